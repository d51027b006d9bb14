/* SPDX-License-Identifier: Apache-2.0 */
#include "retention.h"

#include <stdlib.h>
#include <string.h>

#include "feedback_store.h"
#include "quern/base/arena.h"
#include "quern/base/log.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "segment.h"
#include "segment_store.h"

#define FEEDBACK_PER_WRITE 1000

static int by_id(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

void retention_sort(int64_t *ids, size_t n) {
    if (n)
        qsort(ids, n, sizeof *ids, by_id);
}

static int delete_op(struct ctx *c, void *arg) {
    return segment_store_delete(c, ((const struct segment *)arg)->id);
}

/* First the row, so that no reader looks for what is not there. */
static bool drop(struct db *db, struct ctx *c, struct segment *s) {
    int rc = db_write(db, c, delete_op, s);
    if (rc == 0)
        rc = segment_remove(s);
    if (rc != 0)
        log_warn("prediction.retention", "a segment of endpoint '%s' cannot be removed: %s",
                 s->endpoint, c->err.message ? c->err.message : strerror(-rc));
    err_clear(c);
    return rc == 0;
}

struct expire {
    const struct kept *of;
    int64_t before_ms;
    int64_t gone;
};

static int expire_op(struct ctx *c, void *arg) {
    struct expire *e = arg;
    return feedback_store_expire(c, e->of->project, e->of->endpoint, e->before_ms,
                                 FEEDBACK_PER_WRITE, &e->gone);
}

/* Feedback of predictions before that time. */
static void expire_feedback(struct db *db, struct ctx *c, const struct kept *of, int64_t before) {
    struct expire e = {of, before, FEEDBACK_PER_WRITE};
    for (int i = 0; i < 100 && e.gone == FEEDBACK_PER_WRITE; i++)
        if (db_write(db, c, expire_op, &e) != 0)
            break;
    err_clear(c);
}

/* all[0..n) are one endpoint's, oldest first. */
static size_t sweep_endpoint(struct db *db, struct ctx *c, struct segment *all, size_t n,
                             const struct keep *k, int64_t now_ms, bool (*is_open)(int64_t)) {
    int64_t bytes = 0;
    size_t gone = 0;
    for (size_t i = n; i-- > 0;) {
        bool over = all[i].to_ms < now_ms - k->ms || bytes + all[i].bytes > k->bytes;
        if (!over || is_open(all[i].id))
            bytes += all[i].bytes;
        else
            gone += drop(db, c, &all[i]);
    }
    if (gone)
        log_info("prediction.retention", "endpoint '%s': %zu of %zu segments went", all->endpoint,
                 gone, n);
    return gone;
}

size_t retention_sweep(struct db *db, int64_t now_ms, bool (*is_open)(int64_t id)) {
    struct ctx c;
    struct segment *all = NULL;
    struct keep *keeps = NULL;
    struct kept *kept = NULL;
    size_t n = 0, nkept = 0, gone = 0;
    ctx_begin(&c);
    int rc = db_read_begin(db, &c);
    if (rc == 0) {
        rc = segment_store_list(&c, NULL, 0, 0, &all, &n);
        keeps = ARENA_ARRAY(c.arena, struct keep, n ? n : 1);
        for (size_t i = 0; rc == 0 && i < n; i++)
            rc = keep_store_get(&c, all[i].project, all[i].endpoint, &keeps[i]);
        if (rc == 0)
            rc = keep_store_list(&c, &kept, &nkept);
        db_read_end(&c);
    }
    for (size_t i = 0, end; rc == 0 && i < n; i = end) {
        for (end = i + 1; end < n && all[end].project == all[i].project &&
                          strcmp(all[end].endpoint, all[i].endpoint) == 0;)
            end++;
        gone += sweep_endpoint(db, &c, all + i, end - i, &keeps[i], now_ms, is_open);
    }
    for (size_t i = 0; rc == 0 && i < nkept; i++)
        expire_feedback(db, &c, &kept[i], now_ms - kept[i].keep.ms);
    ctx_end(&c);
    return gone;
}
