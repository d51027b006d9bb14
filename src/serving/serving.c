/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/serving/serving.h"

#include <stdbool.h>

#include "deploy.h"
#include "loader.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/lane/lane.h"

static void on_event(const char *type, const char *subject, int64_t seq, void *arg) {
    (void)subject;
    (void)seq;
    (void)arg;
    if (str_starts(type, "model."))
        loader_wake(NULL);
}

int serving_start(const struct serving_options *o, struct buf *error) {
    static bool listening;
    /* Nothing that tells of a model has been written yet: the doors open after this. */
    if (!listening)
        event_listen(on_event, NULL);
    listening = true;
    deploy_use(o->lanes);
    return loader_start(o, error);
}

void serving_cease(void) {
    deploy_use(NULL);
}

void serving_stop(void) {
    serving_cease();
    loader_stop();
}
