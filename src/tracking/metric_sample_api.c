/* SPDX-License-Identifier: Apache-2.0 */
/* The door to thinned histories. */
#include <inttypes.h>
#include <string.h>

#include "metric_sample.h"
#include "metric_store.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "rows.h"
#include "run.h"
#include "run_store.h"
#include "tracking_api.h"

#define POINTS_USUAL 1000

static const char *const modes[] = {"m4", "lttb", NULL};
static const char *const axes[] = {"step", "time", NULL};

struct sample_wish {
    const char *run_id, *key, *mode, *axis;
    struct opt_i64 points, from, to;
};
SHAPE(in_metric_sample, "MetricSampleQuery", struct sample_wish,
      FIELD(struct sample_wish, run_id, T_STR, F_PATH | F_REQUIRED, "Run."),
      FIELD(struct sample_wish, key, T_STR, F_PATH | F_REQUIRED, "Metric."),
      FIELD_MAX(struct sample_wish, points, T_I64, F_QUERY, 4, 20000,
                "Most points of the answer; 1000 when absent."),
      FIELD_ENUM(struct sample_wish, mode, F_QUERY, modes,
                 "m4 (when absent): first, last, least and greatest of each bucket; lttb: the "
                 "shape in fewer points."),
      FIELD_ENUM(struct sample_wish, axis, F_QUERY, axes,
                 "What the buckets divide and from and to bound: step (when absent) or time in "
                 "milliseconds."),
      FIELD(struct sample_wish, from, T_I64, F_QUERY, "First step or time."),
      FIELD(struct sample_wish, to, T_I64, F_QUERY, "Last step or time."));

struct sample_answer {
    const char *run_id, *key;
    struct opt_i64 total;
    struct list points;
};
SHAPE(wire_sample_point, "MetricPoint", struct metric_value,
      FIELD(struct metric_value, step, T_I64, F_ALWAYS, "Step."),
      FIELD(struct metric_value, timestamp, T_I64, F_ALWAYS, "Milliseconds since the epoch."),
      FIELD(struct metric_value, value, T_F64, F_ALWAYS | F_NONFINITE, "Number or \"NaN\"."));
SHAPE(out_metric_sample, "MetricSample", struct sample_answer,
      FIELD(struct sample_answer, run_id, T_STR, F_ALWAYS, "Run."),
      FIELD(struct sample_answer, key, T_STR, F_ALWAYS, "Metric."),
      FIELD(struct sample_answer, total, T_I64, F_ALWAYS, "Points between from and to."),
      FIELD_SUB(struct sample_answer, points, T_LIST, F_ALWAYS, &wire_sample_point,
                "Points of the series, in the order of the axis."));

int api_metric_sample(struct ctx *c, const void *in, void *out) {
    const struct sample_wish *w = in;
    struct sample_answer *answer = out;
    struct run_ref r;
    struct view v;
    int64_t key = 0;
    int rc = run_for_read(c, w->run_id, &r);
    if (!rc)
        rc = run_key_find(c, r.experiment, w->key, &key);
    if (rc > 0)
        rc = view_open(c, r.row, key, &v);
    else if (rc == 0)
        v.n = 0;
    if (rc < 0)
        return rc;
    if (v.n == 0)
        return fail(c, ERR_NOT_FOUND, "Run %s has no metric '%s'", w->run_id, w->key);
    struct sample s = {.by_time = str_eq(w->axis, "time"),
                       .lttb = str_eq(w->mode, "lttb"),
                       .from = w->from.set ? w->from.v : INT64_MIN,
                       .to = w->to.set ? w->to.v : INT64_MAX,
                       .most = w->points.set ? (size_t)w->points.v : POINTS_USUAL};
    if (s.from > s.to)
        return fail_field(c, ERR_INVALID, "to",
                          "'to' is %" PRId64 ", which is before 'from' %" PRId64, s.to, s.from);
    rc = sample_read(c, &v, &s);
    size_t cap = 0;
    for (size_t i = 0; !rc && i < s.points.n; i++)
        metric_push(c, &answer->points, &cap, NULL, NULL, &s.points.items[i]);
    answer->run_id = w->run_id;
    answer->key = w->key;
    answer->total = SET_I64(s.total);
    return rc;
}
