/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "metric.h"
#include "metric_interval.h"
#include "metric_store.h"
#include "metric_view.h"
#include "quern/access/access.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/core/page.h"
#include "rows.h"
#include "run.h"

#define HISTORY_POINTS 100000 /* on one page when the caller names no number */
#define BULK_RUNS 100
#define BULK_POINTS 25000
#define INTERVAL_POINTS 2500

/* 1 and the numbers when the run and its key exist, 0 when not. */
static int find_series(struct ctx *c, const char *run_id, const char *key, struct run_ref *r,
                       int64_t *id) {
    int rc = run_find_ref(c, run_id, r);
    access_object_nothing(c); /* an unknown run has no points, which is no error */
    if (rc <= 0)
        return rc;
    rc = access_object(c, OBJECT_EXPERIMENT, r->experiment, OBJECT_READ);
    return rc ? rc : run_key_find(c, r->experiment, key, id);
}

/* Appends points `skip` to `skip + take - 1` of a series as the wire has them. */
static int push_history(struct ctx *c, const struct run_ref *r, int64_t key_id, const char *key,
                        const char *run_id, int64_t skip, int64_t take, struct list *out,
                        size_t *cap) {
    struct view v;
    struct points *p = view_room(c);
    int rc = view_open(c, r->row, key_id, &v);
    if (rc >= 0)
        rc = view_slice(c, &v, skip, take, p);
    for (size_t i = 0; rc >= 0 && i < p->n; i++) {
        metric_push(c, out, cap, run_id, key, &p->items[i]);
        rc = answer_check(c);
    }
    points_free(p);
    return rc;
}

int metric_history(struct ctx *c, const struct history_wish *in, struct history_page *out) {
    struct run_ref r;
    int64_t key = 0, offset = 0, limit = in->max_results.v;
    size_t cap = 0;
    if (in->max_results.set && limit < 0)
        return fail_field(c, ERR_INVALID, "max_results",
                          "Invalid value %" PRId64 " for parameter 'max_results' supplied. It must "
                          "be a positive integer",
                          limit);
    int rc = page_offset(c, in->page_token, &offset);
    if (rc)
        return rc;
    rc = find_series(c, in->run_id, in->metric_key, &r, &key);
    if (rc <= 0)
        return rc;
    if (limit == 0 || limit > HISTORY_POINTS)
        limit = HISTORY_POINTS;
    rc = push_history(c, &r, key, in->metric_key, NULL, offset, limit + 1, &out->metrics, &cap);
    if (rc < 0 || out->metrics.n <= (size_t)limit)
        return rc;
    out->metrics.n = (size_t)limit;
    out->next_page_token = page_token(c, offset + limit);
    return 0;
}

static int check_runs(struct ctx *c, const char *what, const struct strs *ids) {
    if (ids->n == 0)
        return fail_field(c, ERR_INVALID, "run_id", "%s request must specify at least one run_id.",
                          what);
    if (ids->n > BULK_RUNS)
        return fail_field(c, ERR_INVALID, "run_id",
                          "%s request cannot specify more than %d run_ids. Received %zu run_ids.",
                          what, BULK_RUNS, ids->n);
    return 0;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int metric_history_bulk(struct ctx *c, const struct bulk_wish *in, struct list *out) {
    int rc = check_runs(c, "GetMetricHistoryBulk", &in->run_ids);
    if (rc)
        return rc;
    if (!in->metric_key || !*in->metric_key)
        return fail_field(c, ERR_INVALID, "metric_key",
                          "GetMetricHistoryBulk request must specify a metric_key.");
    int64_t left = in->max_results.set && in->max_results.v > 0 ? in->max_results.v : BULK_POINTS;
    if (left > BULK_POINTS)
        left = BULK_POINTS;
    const char **ids = arena_dup(c->arena, in->run_ids.items, in->run_ids.n * sizeof *ids);
    qsort(ids, in->run_ids.n, sizeof *ids, by_text);
    size_t cap = 0;
    for (size_t i = 0; i < in->run_ids.n && left > 0; i++) {
        struct run_ref r;
        int64_t key = 0;
        if (i > 0 && !strcmp(ids[i], ids[i - 1]))
            continue;
        size_t before = out->n;
        rc = find_series(c, ids[i], in->metric_key, &r, &key);
        if (rc > 0)
            rc = push_history(c, &r, key, in->metric_key, ids[i], 0, left, out, &cap);
        if (rc < 0)
            return rc;
        left -= (int64_t)(out->n - before);
    }
    return 0;
}

static int interval_check(struct ctx *c, const struct bulk_wish *in) {
    int rc = check_runs(c, "GetMetricHistoryBulkInterval", &in->run_ids);
    if (rc)
        return rc;
    if (in->start_step.set != in->end_step.set)
        return fail_field(c, ERR_INVALID, in->start_step.set ? "end_step" : "start_step",
                          "If either start step or end step are specified, both must be "
                          "specified.");
    if (in->start_step.set && in->start_step.v > in->end_step.v)
        return fail_field(c, ERR_INVALID, "end_step",
                          "end_step must be greater than start_step. Found start_step=%" PRId64
                          " and end_step=%" PRId64 ".",
                          in->start_step.v, in->end_step.v);
    if (in->max_results.set && (in->max_results.v < 1 || in->max_results.v > INTERVAL_POINTS))
        return fail_field(c, ERR_INVALID, "max_results",
                          "max_results must be between 1 and %d. Found max_results=%" PRId64 ".",
                          INTERVAL_POINTS, in->max_results.v);
    return 0;
}

int metric_history_interval(struct ctx *c, const struct bulk_wish *in, struct list *out) {
    int rc = interval_check(c, in);
    if (rc)
        return rc;
    struct interval w = {.from = in->start_step.set ? in->start_step.v : INT64_MIN,
                         .to = in->end_step.set ? in->end_step.v : INT64_MAX,
                         .steps = in->max_results.set ? (size_t)in->max_results.v : INTERVAL_POINTS,
                         .most = BULK_POINTS,
                         .series = ARENA_ARRAY(c->arena, struct interval_series, in->run_ids.n)};
    for (size_t i = 0; i < in->run_ids.n; i++) {
        struct run_ref r;
        int64_t key = 0;
        rc = find_series(c, in->run_ids.items[i], in->metric_key, &r, &key);
        if (rc > 0)
            rc = view_open(c, r.row, key, &w.series[w.n].view);
        else if (rc == 0)
            continue;
        if (rc < 0)
            return rc;
        w.series[w.n++].run_id = r.uuid;
    }
    return interval_read(c, &w, in->metric_key, out);
}
