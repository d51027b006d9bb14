/* SPDX-License-Identifier: Apache-2.0 */
#include "key.h"
#include "metric.h"
#include "param.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "run.h"
#include "run_feed.h"
#include "run_search.h"
#include "tracking_api.h"

#define BATCH_METRICS 1000
#define BATCH_PARAMS 100
#define BATCH_TAGS 100
#define BATCH_ALL 1000

/* Older clients know the run by its former name. */
#define RUN_ID(S)                                                                                  \
    {                                                                                              \
        .name = "run_id", .type = T_STR, .flags = F_REQUIRED, .offset = offsetof(S, run_id),       \
        .doc = "Run.", .alias = "run_uuid"                                                         \
    }

SHAPE(in_run_create, "CreateRun", struct run_wish,
      FIELD(struct run_wish, experiment_id, T_STR, F_REQUIRED | F_NUMBER_TEXT, "Experiment."),
      FIELD(struct run_wish, user_id, T_STR, 0, "Who starts it."),
      FIELD(struct run_wish, run_name, T_STR, 0, "Name; a random one when absent."),
      FIELD(struct run_wish, start_time, T_I64, 0, "Milliseconds since the epoch."),
      FIELD_SUB(struct run_wish, tags, T_LIST, 0, &wire_tag_in, "Tags."));

struct by_id {
    const char *run_id;
};
SHAPE(in_run_id, "RunById", struct by_id, RUN_ID(struct by_id));

SHAPE(in_run_update, "UpdateRun", struct run_change, RUN_ID(struct run_change),
      FIELD_ENUM(struct run_change, status, 0, run_status_names, "New state."),
      FIELD(struct run_change, end_time, T_I64, 0, "Milliseconds since the epoch."),
      FIELD(struct run_change, run_name, T_STR, 0, "New name."));

SHAPE(in_run_search, "SearchRuns", struct run_search,
      FIELD(struct run_search, experiment_ids, T_STRS, 0, "Experiments to look in."),
      FIELD(struct run_search, filter, T_STR, 0, "Filter over metrics, params, tags, attributes."),
      FIELD_ENUM(struct run_search, run_view_type, 0, view_type_names,
                 "Which; ACTIVE_ONLY when absent."),
      FIELD(struct run_search, max_results, T_I64, 0, "At most 50000; 1000 when absent."),
      FIELD(struct run_search, order_by, T_STRS, 0, "Keys with ASC or DESC."),
      FIELD(struct run_search, page_token, T_STR, 0, "From the page before."));
SHAPE(out_run_page, "RunPage", struct run_page,
      FIELD_SUB(struct run_page, runs, T_LIST, 0, &wire_run, "Runs."),
      FIELD(struct run_page, next_page_token, T_STR, 0, "Absent on the last page."));

struct run_answer {
    struct run *run;
};
SHAPE(out_run, "GetRun", struct run_answer,
      FIELD_SUB(struct run_answer, run, T_OBJ, 0, &wire_run, "Run."));
struct info_answer {
    struct run_info *run_info;
};
SHAPE(out_run_info, "GetRunInfo", struct info_answer,
      FIELD_SUB(struct info_answer, run_info, T_OBJ, 0, &wire_run_info, "What the run is."));

struct entry {
    const char *run_id, *key, *value;
};
SHAPE(in_run_tag, "SetTag", struct entry, RUN_ID(struct entry),
      FIELD(struct entry, key, T_STR, F_REQUIRED, "Name, at most 250 characters."),
      FIELD(struct entry, value, T_STR, 0, "Text; cut at 8000 characters."));
SHAPE(in_run_tag_key, "DeleteTag", struct entry, RUN_ID(struct entry),
      FIELD(struct entry, key, T_STR, F_REQUIRED, "Name."));
SHAPE(in_log_parameter, "LogParam", struct entry, RUN_ID(struct entry),
      FIELD(struct entry, key, T_STR, F_REQUIRED, "Name, at most 250 characters."),
      FIELD(struct entry, value, T_STR, 0, "Text; cut at 6000 characters."));

SHAPE(in_log_metric, "LogMetric", struct metric_value, RUN_ID(struct metric_value),
      FIELD(struct metric_value, key, T_STR, F_REQUIRED, "Name, at most 250 characters."),
      FIELD(struct metric_value, value, T_F64, F_REQUIRED | F_NONFINITE, "Number."),
      FIELD(struct metric_value, timestamp, T_I64, F_REQUIRED, "Milliseconds since the epoch."),
      FIELD(struct metric_value, step, T_I64, 0, "Step; 0 when absent."),
      FIELD(struct metric_value, model_id, T_STR, 0, "Logged model that it also belongs to."),
      FIELD(struct metric_value, dataset_name, T_STR, 0, "Data set; only with model_id."),
      FIELD(struct metric_value, dataset_digest, T_STR, 0, "Its digest; only with model_id."));

struct batch {
    const char *run_id;
    struct list metrics, params, tags;
};
SHAPE(in_log_batch, "LogBatch", struct batch, RUN_ID(struct batch),
      FIELD_SUB(struct batch, metrics, T_LIST, 0, &wire_metric_in, "At most 1000 points."),
      FIELD_SUB(struct batch, params, T_LIST, 0, &wire_tag_in, "At most 100 params."),
      FIELD_SUB(struct batch, tags, T_LIST, 0, &wire_tag_in, "At most 100 tags."));

struct model_note {
    const char *run_id, *model_json;
};
SHAPE(in_log_model, "LogModel", struct model_note, RUN_ID(struct model_note),
      FIELD(struct model_note, model_json, T_STR, F_REQUIRED, "The MLmodel file as JSON text."));

int api_run_create(struct ctx *c, const void *in, void *out) {
    return run_make(c, in, &((struct run_answer *)out)->run);
}

int api_run_get(struct ctx *c, const void *in, void *out) {
    struct run_ref r;
    int rc = run_for_read(c, ((const struct by_id *)in)->run_id, &r);
    if (rc)
        return rc;
    struct run *run = ((struct run_answer *)out)->run = ARENA_NEW(c->arena, struct run);
    return run_load_whole(c, &r.row, 1, true, run);
}

int api_run_update(struct ctx *c, const void *in, void *out) {
    struct info_answer *o = out;
    int rc = run_update(c, in, &o->run_info);
    if (!rc)
        run_feed_status(c, o->run_info->run_id, o->run_info);
    return rc;
}

int api_run_delete(struct ctx *c, const void *in, void *out) {
    const char *run_id = ((const struct by_id *)in)->run_id;
    (void)out;
    int rc = run_set_deleted(c, run_id, true);
    if (!rc)
        run_feed_deleted(c, run_id, true);
    return rc;
}

int api_run_restore(struct ctx *c, const void *in, void *out) {
    const char *run_id = ((const struct by_id *)in)->run_id;
    (void)out;
    int rc = run_set_deleted(c, run_id, false);
    if (!rc)
        run_feed_deleted(c, run_id, false);
    return rc;
}

int api_run_search(struct ctx *c, const void *in, void *out) {
    return run_search(c, in, out);
}

int api_run_set_tag(struct ctx *c, const void *in, void *out) {
    const struct entry *i = in;
    (void)out;
    int rc = run_set_tag(c, i->run_id, i->key, i->value);
    if (!rc)
        run_feed_pair(c, i->run_id, "tags", i->key, i->value ? i->value : "");
    return rc;
}

int api_run_delete_tag(struct ctx *c, const void *in, void *out) {
    const struct entry *i = in;
    (void)out;
    int rc = run_drop_tag(c, i->run_id, i->key);
    if (!rc)
        run_feed_pair(c, i->run_id, "untags", i->key, NULL);
    return rc;
}

int api_log_parameter(struct ctx *c, const void *in, void *out) {
    const struct entry *i = in;
    struct pair p = {.key = i->key, .value = i->value};
    struct run_ref r;
    (void)out;
    int rc = param_check(c, NULL, 0, &p);
    if (!rc)
        rc = run_for_write(c, i->run_id, &r);
    rc = rc ? rc : param_log(c, &r, &p, 1, false);
    if (!rc)
        run_feed_pair(c, r.uuid, "params", i->key, i->value ? i->value : "");
    return rc;
}

int api_log_metric(struct ctx *c, const void *in, void *out) {
    const struct metric_value *m = in;
    struct run_ref r;
    (void)out;
    int rc = metric_check(c, NULL, 0, m);
    if (!rc)
        rc = run_for_write(c, m->run_id, &r);
    rc = rc ? rc : metric_log(c, &r, m, 1);
    if (!rc)
        run_feed_metrics(c, r.uuid, m, 1);
    return rc;
}

static int count_check(struct ctx *c, size_t n, size_t most, const char *what) {
    if (n <= most)
        return 0;
    return fail(
        c, ERR_INVALID,
        "A batch logging request can contain at most %zu %s. Got %zu %s. Please split up %s "
        "across multiple requests and try again.",
        most, what, n, what, what);
}

static int batch_check(struct ctx *c, const struct batch *b) {
    const struct metric_value *m = b->metrics.items;
    const struct pair *p = b->params.items, *t = b->tags.items;
    int rc = run_id_check(c, b->run_id);
    if (!rc)
        rc = count_check(c, b->metrics.n, BATCH_METRICS, "metrics");
    if (!rc)
        rc = count_check(c, b->params.n, BATCH_PARAMS, "params");
    if (!rc)
        rc = count_check(c, b->tags.n, BATCH_TAGS, "tags");
    if (!rc)
        rc = count_check(c, b->metrics.n + b->params.n + b->tags.n, BATCH_ALL,
                         "metrics, params, and tags");
    for (size_t i = 0; !rc && i < b->metrics.n; i++)
        rc = metric_check(c, "metrics", i, &m[i]);
    for (size_t i = 0; !rc && i < b->params.n; i++)
        rc = param_check(c, "params", i, &p[i]);
    for (size_t i = 0; !rc && i < b->tags.n; i++)
        rc = key_check(c, member_path(c, "tags", i, "key"), t[i].key);
    return rc ? rc : keys_distinct(c, &b->params, "parameter");
}

int api_log_batch(struct ctx *c, const void *in, void *out) {
    const struct batch *b = in;
    const struct pair *t = b->tags.items;
    struct run_ref r;
    (void)out;
    int rc = batch_check(c, b);
    if (!rc)
        rc = run_for_write(c, b->run_id, &r);
    if (!rc)
        rc = param_log(c, &r, b->params.items, b->params.n, true);
    if (!rc && b->metrics.n)
        rc = metric_log(c, &r, b->metrics.items, b->metrics.n);
    for (size_t i = 0; !rc && i < b->tags.n; i++)
        rc = run_put_tag(c, &r, "key", t[i].key, t[i].value);
    if (!rc) {
        run_feed_metrics(c, r.uuid, b->metrics.items, b->metrics.n);
        run_feed_pairs(c, r.uuid, "params", b->params.items, b->params.n);
        run_feed_pairs(c, r.uuid, "tags", t, b->tags.n);
    }
    return rc;
}

int api_log_model(struct ctx *c, const void *in, void *out) {
    const struct model_note *i = in;
    (void)out;
    return run_log_model(c, i->run_id, i->model_json);
}
