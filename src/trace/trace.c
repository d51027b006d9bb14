/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include <string.h>

#include "quern/access/access.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/trace/timestamp.h"
#include "quern/tracking/tracking.h"
#include "trace_store.h"

#define ID_MAX 50 /* as wide as MLflow's column */
#define PREVIEW_MAX 1000

static int not_found(struct ctx *c, const char *trace_id, bool quoted) {
    return quoted ? fail(c, ERR_NOT_FOUND, "Trace with ID '%s' not found.", trace_id)
                  : fail(c, ERR_NOT_FOUND, "Trace with ID %s is not found.", trace_id);
}

int trace_for_read(struct ctx *c, const char *trace_id, bool quoted, struct trace_info *out) {
    int rc = trace_find(c, trace_id, out);
    if (rc <= 0)
        return rc < 0 ? rc : not_found(c, trace_id, quoted);
    return access_object(c, OBJECT_EXPERIMENT, out->experiment, OBJECT_READ);
}

int trace_writer_check(struct ctx *c, int64_t experiment) {
    int64_t own = -1;
    int rc = access_object(c, OBJECT_EXPERIMENT, experiment, OBJECT_EDIT);
    if (rc != 0 || !c->who.run_id)
        return rc;
    rc = run_exists(c, c->who.run_id, &own, NULL);
    if (rc == 0 && own != experiment)
        rc = fail(c, ERR_FORBIDDEN, "This token may write traces of its run's experiment only.");
    return rc;
}

int trace_for_write(struct ctx *c, const char *trace_id, struct trace_info *out) {
    int rc = trace_for_read(c, trace_id, true, out);
    return rc ? rc : trace_writer_check(c, out->experiment);
}

int trace_whole(struct ctx *c, const char *trace_id, bool quoted, struct trace_info *out) {
    struct trace_info t;
    int rc = trace_for_read(c, trace_id, quoted, &t);
    return rc ? rc : trace_load(c, &t.row, 1, out);
}

int trace_pair_check(struct ctx *c, const char *what, const char *key) {
    size_t n = utf8_count(key);
    if (n > 0 && n <= TRACE_KEY_MAX)
        return 0;
    if (n == 0)
        return fail_field(c, ERR_INVALID, "key", "%s key cannot be empty.", what);
    return fail_field(c, ERR_INVALID, "key",
                      "'key' exceeds the maximum length of %d characters: a %s key has %zu.",
                      TRACE_KEY_MAX, what, n);
}

const char *trace_value(struct ctx *c, const char *value) {
    size_t n = value ? utf8_prefix(value, TRACE_VALUE_MAX) : 0;
    return value && !value[n] ? value : arena_strndup(c->arena, value ? value : "", n);
}

const char *trace_location_uri(struct ctx *c, const char *location, const char *trace_id) {
    size_t n = strcspn(location, "?"); /* a query stays at the end */
    const char *slash = n && location[n - 1] == '/' ? "" : "/";
    return arena_printf(c->arena, "%.*s%straces/%s/artifacts%s", (int)n, location, slash, trace_id,
                        location + n);
}

static int id_check(struct ctx *c, const char *id) {
    size_t n = id ? strlen(id) : 0;
    for (size_t i = 0; i < n; i++) {
        char ch = id[i];
        if (!((ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
              ch == '-' || ch == '_'))
            n = 0;
    }
    if (n > 0 && n <= ID_MAX)
        return 0;
    return fail_field(c, ERR_INVALID, "trace.trace_info.trace_id",
                      "Invalid trace ID: it must be 1 to %d letters, digits, '-' or '_'.", ID_MAX);
}

static int read_times(struct ctx *c, const struct trace_info *in, struct trace_info *t) {
    int64_t ms = 0;
    if (in->request_time && !timestamp_parse(in->request_time, &t->timestamp_ms))
        return fail_field(c, ERR_INVALID, "trace.trace_info.request_time",
                          "Invalid value for parameter 'request_time' supplied: it must be a time "
                          "as 2026-01-31T12:00:00.123Z.");
    if (in->execution_duration && !duration_parse(in->execution_duration, &ms))
        return fail_field(c, ERR_INVALID, "trace.trace_info.execution_duration",
                          "Invalid value for parameter 'execution_duration' supplied: it must be "
                          "seconds as 1.250s.");
    if (in->execution_duration)
        t->execution_ms = SET_I64(ms);
    return 0;
}

static const char *preview(struct ctx *c, const char *text) {
    return text ? arena_strndup(c->arena, text, utf8_prefix(text, PREVIEW_MAX)) : NULL;
}

/* A step's token links traces to its own run only, whatever the way. */
int trace_source_check(struct ctx *c, bool tag, const char *key, const char *value) {
    return !tag && str_eq(key, "mlflow.sourceRun") ? access_check_run(c, value) : 0;
}

static int put_pairs(struct ctx *c, int64_t row, const struct pairs *p, bool tags) {
    int rc = 0;
    for (size_t i = 0; i < p->n && rc == 0; i++) {
        const char *value = trace_value(c, p->items[i].value);
        rc = trace_pair_check(c, tags ? "tag" : "metadata", p->items[i].key);
        rc = rc ? rc : trace_source_check(c, tags, p->items[i].key, value);
        if (rc == 0)
            rc = tags ? trace_put_tag(c, row, p->items[i].key, value)
                      : trace_put_metadata(c, row, p->items[i].key, value);
    }
    return rc;
}

static const char *wanted_experiment(const struct trace_info *in) {
    return in->trace_location && in->trace_location->mlflow_experiment
               ? in->trace_location->mlflow_experiment->experiment_id
               : NULL;
}

/* Told, not kept: the spans are under way, and the client need not upload them a second time. The
 * tag itself comes with them. */
static void promise_spans(struct ctx *c, struct trace_info *t) {
    struct pair *tags = ARENA_ARRAY(c->arena, struct pair, t->tags.n + 1);
    if (t->tags.n)
        memcpy(tags, t->tags.items, t->tags.n * sizeof *tags);
    tags[t->tags.n] = (struct pair){.key = SPANS_LOCATION, .value = "TRACKING_STORE"};
    t->tags.items = tags;
    t->tags.n++;
}

int trace_describe(struct ctx *c, const struct trace_info *in, bool spans_come,
                   struct trace_info *out) {
    const char *experiment = wanted_experiment(in), *location = "";
    struct trace_info t;
    int64_t id = 0;
    int rc = id_check(c, in->trace_id);
    if (rc == 0 && !experiment)
        rc = fail_field(c, ERR_INVALID, "trace.trace_info.trace_location",
                        "Missing value for required parameter 'trace.trace_info.trace_location."
                        "mlflow_experiment.experiment_id'. See the API docs for more information "
                        "about request parameters.");
    rc = rc ? rc : experiment_for_write(c, experiment, &id, &location);
    rc = rc ? rc : trace_writer_check(c, id);
    if (rc != 0)
        return rc;
    rc = trace_find(c, in->trace_id, &t);
    if (rc > 0 && t.experiment != id)
        return fail(c, ERR_INVALID, "Trace with ID '%s' belongs to experiment %lld.", in->trace_id,
                    (long long)t.experiment);
    if (rc == 0) {
        t = (struct trace_info){.trace_id = in->trace_id,
                                .experiment = id,
                                .timestamp_ms = c->now_ms,
                                .state = "STATE_UNSPECIFIED"};
        rc = trace_insert(c, &t);
    }
    rc = rc < 0 ? rc : read_times(c, in, &t);
    t.state = in->state ? in->state : t.state;
    t.client_request_id = in->client_request_id ? in->client_request_id : t.client_request_id;
    t.request_preview = in->request_preview ? preview(c, in->request_preview) : t.request_preview;
    t.response_preview =
        in->response_preview ? preview(c, in->response_preview) : t.response_preview;
    rc = rc ? rc : trace_update(c, &t, true);
    rc = rc ? rc : put_pairs(c, t.row, &in->trace_metadata, false);
    rc = rc ? rc : put_pairs(c, t.row, &in->tags, true);
    rc = rc ? rc : trace_put_metadata(c, t.row, "mlflow.trace.infoFinalized", "true");
    rc = rc ? rc
            : trace_put_tag(c, t.row, "mlflow.artifactLocation",
                            trace_location_uri(c, location, t.trace_id));
    rc = rc ? rc : trace_load(c, &t.row, 1, out);
    if (rc == 0 && spans_come && t.spans == 0)
        promise_spans(c, out);
    return rc;
}

int trace_set_tag(struct ctx *c, const char *trace_id, const char *key, const char *value) {
    struct trace_info t;
    int rc = trace_pair_check(c, "tag", key);
    rc = rc ? rc : trace_for_write(c, trace_id, &t);
    return rc ? rc : trace_put_tag(c, t.row, key, trace_value(c, value));
}

int trace_delete_tag(struct ctx *c, const char *trace_id, const char *key) {
    struct trace_info t;
    bool was = false;
    int rc = trace_for_write(c, trace_id, &t);
    rc = rc ? rc : trace_drop_tag(c, t.row, key, &was);
    if (rc == 0 && !was)
        rc = fail(c, ERR_NOT_FOUND, "No trace tag with key '%s' for trace with ID '%s'", key,
                  trace_id);
    return rc;
}
