/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_LANE_LANE_H
#define QUERN_LANE_LANE_H
/* Lane: carries a request from http to where its row says it runs, and back. It knows rows,
 * database and workers, and no room.
 *
 * WRITE calls whose row has ROUTE_AUDIT append one audit row in the same transaction through the
 * hook. Idempotency-Key on POST: the first answer (status, body) is stored with a hash of the
 * request for 24 h; the same key and request answers it again, another request 422, one under way
 * 409.
 *
 * Rows with a twin: the GET carries an ETag (a digest of its JSON), a change on the WRITE lane
 * takes If-Match and If-None-Match, compared inside its transaction; 412 when they do not hold. */
#include <stddef.h>
#include <stdint.h>

struct db;
struct call;
struct ctx;
struct lanes;
struct route;
struct route_list;

struct lane_options {
    struct db *db;
    unsigned workers;
    size_t work_queue;
    /* Called inside the transaction of an audited write after the handler succeeded. */
    int (*audit)(struct ctx *c, const struct route *row, const char *outcome);
    const struct route_list *routes; /* to find twins; ends with n = 0; NULL: no ETags */
};

struct lanes *lanes_start(const struct lane_options *o);
void lanes_stop(struct lanes *l);                /* finishes what is queued */
void lane_dispatch(struct call *k, void *lanes); /* server_options.dispatch */
void lane_thread_end(void *lanes);               /* server_options.thread_end */

/* A job on a worker, with its own background context. 0 or -ERR_BUSY. */
int lane_work(struct lanes *l, void (*job)(struct ctx *c, void *arg), void *arg);
struct db *lanes_db(struct lanes *l);

/* Event: one of event.def's rows, written to the outbox in the transaction of the change it tells
 * of; listeners run after the commit on the writer thread and must only wake somebody. */
int event_emit(struct ctx *c, const char *type, const char *subject_ref, const char *json_data);
typedef void event_listener(const char *type, const char *subject_ref, int64_t seq, void *arg);
void event_listen(event_listener *fn, void *arg); /* by the thread that starts the house */

/* Housekeeping, inside a write: deletes at most `most` kept answers of spent idempotency keys, or
 * events made before `before_ms`. The newest event stays, so that numbers go on from it. The number
 * deleted, or negative. */
int replay_expire(struct ctx *c, int64_t most);
int event_expire(struct ctx *c, int64_t before_ms, int64_t most);

#endif
