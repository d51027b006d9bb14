/* SPDX-License-Identifier: Apache-2.0 */
#include "room.h"

#include "capture.h"
#include "quern/base/path.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/lane/lane.h"
#include "quern/prediction/prediction.h"
#include "recorder.h"
#include "replay.h"
#include "segment.h"

static struct lanes *lanes;
static struct dir *data;
static prediction_endpoint_fn *known;

struct db *room_db(void) {
    return lanes_db(lanes);
}

struct dir *room_data(void) {
    return data;
}

struct lanes *room_lanes(void) {
    return lanes;
}

void prediction_endpoint_known(prediction_endpoint_fn *fn) {
    known = fn;
}

int room_endpoint_here(struct ctx *c, const char *name) {
    return known ? known(c, name) : 0;
}

int room_endpoint(struct ctx *c, const char *name) {
    if (!known)
        return 0;
    int rc = db_read_begin(room_db(), c);
    if (rc == 0) {
        rc = known(c, name);
        db_read_end(c);
    }
    return rc;
}

int prediction_start(const struct prediction_options *o, struct buf *error) {
    lanes = o->lanes;
    data = o->data;
    segment_files(o->data);
    dir_remove_tree(o->data, "exports"); /* what a crash left */
    ring_bound(o->ring_bytes);
    int rc = recorder_start(room_db(), o->sweep_ms, error);
    if (rc == 0)
        replay_start();
    return rc;
}

void prediction_stop(void) {
    replay_stop();
    ring_bound(0);
    recorder_stop();
    segment_files(NULL);
}
