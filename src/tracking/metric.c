/* SPDX-License-Identifier: Apache-2.0 */
#include "metric.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "key.h"
#include "logged_model.h"
#include "metric_block.h"
#include "metric_series.h"
#include "metric_store.h"
#include "quern/base/arena.h"
#include "quern/base/map.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"
#include "quern/tracking/tracking.h"
#include "run.h"

int metric_check(struct ctx *c, const char *list, size_t index, const struct metric_value *m) {
    /* The member is called "name" in messages, as clients know it. */
    int rc = list ? 0 : text_limit(c, "Metric name", m->key, KEY_MAX);
    if (rc)
        return rc;
    rc = key_plain(m->key)
             ? 0
             : key_check(c, list ? member_path(c, list, index, "name") : "name", m->key);
    if (rc || m->timestamp.v >= 0)
        return rc;
    char value[32];
    json_double(m->value.v, value);
    const char *path = list ? member_path(c, list, index, "timestamp") : "timestamp";
    return fail_field(c, ERR_INVALID, path,
                      "Invalid value %" PRId64 " for parameter '%s' supplied: metric '%s' "
                      "(value=%s). Timestamp must be a nonnegative long (64-bit integer) ",
                      m->timestamp.v, path, m->key, value);
}

struct point metric_point(const struct metric_value *m) {
    struct point p = {.value = m->value.v + 0.0, .time_ms = m->timestamp.v, .step = m->step.v};
    if (isnan(p.value)) {
        p.value = 0;
        p.is_nan = 1;
    } else if (isinf(p.value)) {
        p.value = p.value > 0 ? DBL_MAX : -DBL_MAX;
    }
    return p;
}

static bool later(const struct point *a, const struct point *b) {
    if (a->step != b->step)
        return a->step > b->step;
    if (a->time_ms != b->time_ms)
        return a->time_ms > b->time_ms;
    return a->value > b->value;
}

struct series {
    int64_t key;
    struct point best;
    struct points points;
};

static void drop_series(void *series) {
    points_free(&((struct series *)series)->points);
}

/* Points by key, so that each series is written once however many points come. */
static int collect(struct ctx *c, const struct run_ref *r, const struct metric_value *m, size_t n,
                   struct map *all) {
    struct series *s = NULL;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || strcmp(m[i - 1].key, m[i].key) != 0)
            s = map_get(all, m[i].key);
        struct point p = metric_point(&m[i]);
        if (!s) {
            s = ARENA_NEW(c->arena, struct series);
            arena_defer(c->arena, drop_series, s);
            int rc = run_key_ensure(c, r->experiment, m[i].key, &s->key);
            if (rc)
                return rc;
            s->best = p;
            map_set(all, m[i].key, s);
        } else if (later(&p, &s->best)) {
            s->best = p;
        }
        points_add(&s->points, &p);
    }
    return 0;
}

static int log_series(struct ctx *c, const struct run_ref *r, struct series *s) {
    int rc = series_add(c, r->row, s->key, &s->points);
    if (!rc)
        rc = metric_raise_latest(c, r->row, s->key, &s->best);
    points_free(&s->points);
    return rc < 0 ? rc : 0;
}

static int log_points(struct ctx *c, const struct run_ref *r, const struct metric_value *m,
                      size_t n, struct map *all) {
    int rc = collect(c, r, m, n, all);
    const char *key;
    void *value;
    for (size_t i = 0; !rc && map_next(all, &i, &key, &value);)
        rc = log_series(c, r, value);
    return rc;
}

static int log_one(struct ctx *c, const struct run_ref *r, const struct metric_value *m) {
    struct point p = metric_point(m);
    struct points one = {.items = &p, .n = 1, .cap = 1};
    int64_t key = 0;
    int rc = run_key_ensure(c, r->experiment, m->key, &key);
    if (!rc)
        rc = series_add(c, r->row, key, &one);
    if (!rc)
        rc = metric_raise_latest(c, r->row, key, &p);
    return rc < 0 ? rc : 0;
}

int metric_log(struct ctx *c, const struct run_ref *r, const struct metric_value *m, size_t n) {
    int rc;
    if (n == 1) {
        rc = log_one(c, r, m);
    } else {
        struct map *all = map_new();
        rc = log_points(c, r, m, n, all);
        map_free(all, NULL);
    }
    const char *model_id = NULL;
    int64_t model = 0;
    for (size_t i = 0; !rc && i < n; i++)
        if (m[i].model_id && *m[i].model_id) {
            struct point p = metric_point(&m[i]);
            if (!model_id || strcmp(model_id, m[i].model_id) != 0)
                rc = logged_model_row_of(c, model_id = m[i].model_id, &model);
            if (!rc)
                rc = logged_model_measured(c, model, r->uuid, &m[i], &p);
        }
    return rc;
}

int run_metric(struct ctx *c, const char *run_id, const char *key, double *value) {
    struct run_ref r;
    int64_t id = 0;
    struct point p;
    int rc = run_for_read(c, run_id, &r);
    if (rc)
        return rc;
    rc = run_key_find(c, r.experiment, key, &id);
    if (rc > 0)
        rc = metric_read_latest(c, r.row, id, &p);
    if (rc == 0)
        return fail(c, ERR_NOT_FOUND, "Run %s has no metric '%s'", run_id, key);
    if (rc > 0)
        *value = p.is_nan ? NAN : p.value;
    return rc < 0 ? rc : 0;
}

int run_metrics(struct ctx *c, const char *run_id, struct fpairs *out) {
    struct run_ref r;
    struct run run;
    int rc = run_for_read(c, run_id, &r);
    if (!rc)
        rc = run_load_whole(c, &r.row, 1, false, &run);
    if (rc)
        return rc;
    const struct metric_value *m = run.data->metrics.items;
    out->n = run.data->metrics.n;
    out->items = ARENA_ARRAY(c->arena, struct fpair, out->n ? out->n : 1);
    for (size_t i = 0; i < out->n; i++)
        out->items[i] = (struct fpair){.key = m[i].key, .value = m[i].value.v};
    return 0;
}

static int has_point(struct ctx *c, const struct run_ref *r, const char *key, bool *yes) {
    int64_t id = 0;
    struct point p;
    int rc = run_key_find(c, r->experiment, key, &id);
    if (rc > 0)
        rc = metric_read_latest(c, r->row, id, &p);
    *yes = rc > 0;
    return rc < 0 ? rc : 0;
}

int run_log_metrics(struct ctx *c, const char *run_id, const struct fpairs *values,
                    int64_t time_ms) {
    struct run_ref r;
    int rc = run_for_read(c, run_id, &r); /* also of a run that was deleted meanwhile */
    struct metric_value *m = ARENA_ARRAY(c->arena, struct metric_value, values->n + 1);
    size_t n = 0;
    for (size_t i = 0; !rc && i < values->n; i++) {
        m[n] = (struct metric_value){.key = values->items[i].key,
                                     .value = SET_F64(values->items[i].value),
                                     .timestamp = SET_I64(time_ms),
                                     .step = SET_I64(0)};
        bool there = false;
        if (metric_check(c, "metrics", i, &m[n]))
            err_clear(c);
        else if (!(rc = has_point(c, &r, m[n].key, &there)) && !there)
            n++;
    }
    return rc || !n ? rc : metric_log(c, &r, m, n);
}

#define ROWS_PER_UNIT 20 /* rows are cheaper to move than what else housekeeping counts */

int run_metrics_pack(struct ctx *c, int64_t most) {
    return (int)series_pack_rows(c, most * ROWS_PER_UNIT);
}

int run_metrics_erase(struct ctx *c, int64_t run_row, int64_t most) {
    return series_erase(c, run_row, most);
}
