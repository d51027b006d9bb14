/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_api.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "quern/access/access.h"
#include "quern/artifact/artifact.h"
#include "quern/artifact/place.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/json/json_out.h"
#include "quern/tracking/tracking.h"
#include "span.h"
#include "trace.h"
#include "trace_store.h"

#define BATCH_MAX 500
#define LINK_MAX 100

/* ------------------------------------------------------------------ describing */

struct holder {
    struct trace *trace;
};
SHAPE(in_trace_create, "CreateTrace", struct holder,
      FIELD_SUB(struct holder, trace, T_OBJ, F_REQUIRED, &wire_trace, "The trace."));
SHAPE(out_trace, "GetTrace", struct holder,
      FIELD_SUB(struct holder, trace, T_OBJ, 0, &wire_trace, "The trace."));

/* Clients of 3.4 and later send their spans to /v1/traces; those of 3.5 and later say who they are.
 */
static bool sends_spans(const struct ctx *c) {
    const char *version = ctx_header(c, "x-mlflow-client-version");
    int major = 0, minor = 0;
    return version && sscanf(version, "%d.%d", &major, &minor) == 2 &&
           (major > 3 || (major == 3 && minor >= 4));
}

int api_trace_create(struct ctx *c, const void *in, void *out) {
    const struct trace *t = ((const struct holder *)in)->trace;
    struct holder *o = out;
    if (!t->trace_info || !t->trace_info->trace_id)
        return fail_field(c, ERR_INVALID, "trace.trace_info.trace_id",
                          "Missing value for required parameter 'trace.trace_info.trace_id'. See "
                          "the API docs for more information about request parameters.");
    o->trace = ARENA_NEW(c->arena, struct trace);
    o->trace->trace_info = ARENA_NEW(c->arena, struct trace_info);
    return trace_describe(c, t->trace_info, sends_spans(c), o->trace->trace_info);
}

struct by_id {
    const char *trace_id;
    struct opt_bool allow_partial;
};
SHAPE(in_trace_id, "TraceById", struct by_id,
      FIELD(struct by_id, trace_id, T_STR, F_PATH | F_REQUIRED, "Id."));
SHAPE(in_trace_get, "GetTraceQuery", struct by_id,
      FIELD(struct by_id, trace_id, T_STR, F_REQUIRED, "Id."),
      FIELD(struct by_id, allow_partial, T_BOOL, 0, "Also while spans are still to come."));

int api_trace_info(struct ctx *c, const void *in, void *out) {
    struct holder *o = out;
    o->trace = ARENA_NEW(c->arena, struct trace);
    o->trace->trace_info = ARENA_NEW(c->arena, struct trace_info);
    return trace_whole(c, ((const struct by_id *)in)->trace_id, true, o->trace->trace_info);
}

int api_trace_get(struct ctx *c, const void *in, void *out) {
    struct holder *o = out;
    struct trace *t = o->trace = ARENA_NEW(c->arena, struct trace);
    t->trace_info = ARENA_NEW(c->arena, struct trace_info);
    int rc = trace_whole(c, ((const struct by_id *)in)->trace_id, false, t->trace_info);
    if (rc == 0 && t->trace_info->spans == 0)
        rc = fail(c, ERR_NOT_FOUND, "Trace data not stored in tracking store");
    return rc ? rc : span_load(c, t->trace_info->row, &t->spans);
}

/* ------------------------------------------------------------------ several */

struct by_ids {
    struct strs trace_ids;
};
SHAPE(in_trace_ids, "BatchGetTraces", struct by_ids,
      FIELD(struct by_ids, trace_ids, T_STRS, F_QUERY, "Ids; unknown ones are left out."));
SHAPE(in_trace_infos, "BatchGetTraceInfos", struct by_ids,
      FIELD(struct by_ids, trace_ids, T_STRS, 0, "Ids; unknown ones are left out."));
struct traces {
    struct list traces;
};
SHAPE(out_traces, "Traces", struct traces,
      FIELD_SUB(struct traces, traces, T_LIST, 0, &wire_trace, "In the order asked for."));
struct infos {
    struct list trace_infos;
};
SHAPE(out_trace_infos, "TraceInfos", struct infos,
      FIELD_SUB(struct infos, trace_infos, T_LIST, 0, &wire_trace_info, "In the order asked for."));

/* Descriptions of those that exist. */
static int load_infos(struct ctx *c, const struct strs *ids, struct trace_info **out, size_t *n) {
    int64_t *rows = ARENA_ARRAY(c->arena, int64_t, ids->n ? ids->n : 1);
    *n = 0;
    access_object_nothing(c); /* those that may not be read are left out below */
    if (ids->n > BATCH_MAX)
        return fail_field(c, ERR_INVALID, "trace_ids",
                          "At most %d traces can be asked for at once, got %zu.", BATCH_MAX,
                          ids->n);
    for (size_t i = 0; i < ids->n; i++) {
        struct trace_info t;
        int rc = trace_find(c, ids->items[i], &t);
        if (rc < 0)
            return rc;
        bool may = false;
        if (rc > 0 &&
            (rc = access_object_allows(c, OBJECT_EXPERIMENT, t.experiment, OBJECT_READ, &may)) < 0)
            return rc;
        if (may)
            rows[(*n)++] = t.row;
    }
    *out = ARENA_ARRAY(c->arena, struct trace_info, *n ? *n : 1);
    return trace_load(c, rows, *n, *out);
}

int api_trace_batch(struct ctx *c, const void *in, void *out) {
    struct traces *o = out;
    struct trace_info *infos;
    size_t n;
    int rc = load_infos(c, &((const struct by_ids *)in)->trace_ids, &infos, &n);
    struct trace *t = ARENA_ARRAY(c->arena, struct trace, n ? n : 1);
    for (size_t i = 0; i < n && rc >= 0; i++) {
        if (infos[i].spans == 0) /* they are a file, which the client fetches itself */
            continue;
        t[o->traces.n].trace_info = &infos[i];
        rc = span_load(c, infos[i].row, &t[o->traces.n++].spans);
    }
    o->traces.items = t;
    return rc < 0 ? rc : 0;
}

int api_trace_infos(struct ctx *c, const void *in, void *out) {
    struct infos *o = out;
    struct trace_info *infos;
    size_t n;
    int rc = load_infos(c, &((const struct by_ids *)in)->trace_ids, &infos, &n);
    o->trace_infos = (struct list){.items = rc < 0 ? NULL : infos, .n = rc < 0 ? 0 : n};
    return rc < 0 ? rc : 0;
}

/* ------------------------------------------------------------------ deleting */

struct deletion {
    const char *experiment_id;
    struct opt_i64 max_timestamp_millis, max_traces;
    struct strs request_ids;
};
SHAPE(in_trace_delete, "DeleteTraces", struct deletion,
      FIELD(struct deletion, experiment_id, T_STR, F_REQUIRED, "Experiment that holds them."),
      FIELD(struct deletion, max_timestamp_millis, T_I64, 0, "All that began by then."),
      FIELD(struct deletion, max_traces, T_I64, 0, "At most so many of them, oldest first."),
      FIELD(struct deletion, request_ids, T_STRS, 0, "Or these."));
struct deleted {
    struct opt_i64 traces_deleted;
};
SHAPE(out_trace_delete, "DeletedTraces", struct deleted,
      FIELD(struct deleted, traces_deleted, T_I64, F_ALWAYS, "How many there were."));

int api_trace_delete(struct ctx *c, const void *in, void *out) {
    const struct deletion *d = in;
    int64_t experiment = 0, gone = 0;
    const char *location;
    if (!d->max_timestamp_millis.set && !d->request_ids.n)
        return fail(c, ERR_INVALID,
                    "Either `max_timestamp_millis` or `trace_ids` must be specified.");
    if (d->max_timestamp_millis.set && d->request_ids.n)
        return fail(c, ERR_INVALID,
                    "Only one of `max_timestamp_millis` and `trace_ids` can be specified.");
    if (d->request_ids.n && d->max_traces.set)
        return fail_field(c, ERR_INVALID, "max_traces",
                          "`max_traces` can't be specified if `trace_ids` is specified.");
    if (d->max_traces.set && d->max_traces.v <= 0)
        return fail_field(c, ERR_INVALID, "max_traces",
                          "`max_traces` must be a positive integer, received %lld.",
                          (long long)d->max_traces.v);
    int rc = experiment_for_read(c, d->experiment_id, &experiment, &location);
    rc = rc ? rc : trace_writer_check(c, experiment);
    rc = rc ? rc : access_object(c, OBJECT_EXPERIMENT, experiment, OBJECT_DELETE);
    if (rc == 0 && d->max_timestamp_millis.set)
        rc = trace_delete_old(c, experiment, d->max_timestamp_millis.v,
                              d->max_traces.set ? d->max_traces.v : INT64_MAX, &gone);
    for (size_t i = 0; i < d->request_ids.n && rc == 0; i++)
        rc = trace_delete_one(c, experiment, d->request_ids.items[i], &gone);
    ((struct deleted *)out)->traces_deleted = SET_I64(gone);
    return rc;
}

/* ------------------------------------------------------------------ tags and links */

struct tag {
    const char *trace_id, *key, *value;
};
SHAPE(in_trace_tag, "SetTraceTag", struct tag,
      FIELD(struct tag, trace_id, T_STR, F_PATH | F_REQUIRED, "Id."),
      FIELD(struct tag, key, T_STR, F_REQUIRED, "Name, at most 250 characters."),
      FIELD(struct tag, value, T_STR, 0, "Text; cut at 8000 characters."));
SHAPE(in_trace_tag_key, "DeleteTraceTag", struct tag,
      FIELD(struct tag, trace_id, T_STR, F_PATH | F_REQUIRED, "Id."),
      FIELD(struct tag, key, T_STR, F_REQUIRED, "Name."));

int api_trace_set_tag(struct ctx *c, const void *in, void *out) {
    const struct tag *t = in;
    (void)out;
    return trace_set_tag(c, t->trace_id, t->key, t->value);
}

int api_trace_delete_tag(struct ctx *c, const void *in, void *out) {
    const struct tag *t = in;
    (void)out;
    return trace_delete_tag(c, t->trace_id, t->key);
}

struct link_run {
    struct strs trace_ids;
    const char *run_id;
};
SHAPE(in_trace_link_run, "LinkTracesToRun", struct link_run,
      FIELD(struct link_run, trace_ids, T_STRS, 0, "At most 100."),
      FIELD(struct link_run, run_id, T_STR, F_REQUIRED, "Run."));

int api_trace_link_run(struct ctx *c, const void *in, void *out) {
    const struct link_run *l = in;
    struct trace_info t;
    int rc = access_check_run(c, l->run_id);
    (void)out;
    if (rc == 0 && l->trace_ids.n > LINK_MAX)
        return fail_field(c, ERR_INVALID, "trace_ids",
                          "Cannot link more than %d traces to a run in a single request. Provided "
                          "%zu traces.",
                          LINK_MAX, l->trace_ids.n);
    access_object_nothing(c); /* unknown traces are passed over */
    for (size_t i = 0; i < l->trace_ids.n && rc >= 0; i++) {
        rc = trace_find(c, l->trace_ids.items[i], &t);
        if (rc > 0) {
            rc = trace_writer_check(c, t.experiment);
            rc = rc ? rc : trace_link_run(c, t.row, l->run_id);
        }
    }
    return rc < 0 ? rc : 0;
}

struct prompt {
    const char *name, *version;
};
SHAPE_LOCAL(wire_prompt, "PromptVersionRef", struct prompt,
            FIELD(struct prompt, name, T_STR, F_REQUIRED, "Name."),
            FIELD(struct prompt, version, T_STR, F_REQUIRED | F_NUMBER_TEXT, "Number."));
struct link_prompts {
    const char *trace_id;
    struct list prompt_versions;
};
SHAPE(in_trace_link_prompts, "LinkPromptsToTrace", struct link_prompts,
      FIELD(struct link_prompts, trace_id, T_STR, F_REQUIRED, "Id."),
      FIELD_SUB(struct link_prompts, prompt_versions, T_LIST, 0, &wire_prompt, "Prompts."));

#define LINKED_PROMPTS "mlflow.linkedPrompts"

static json_t *linked(const struct trace_info *t) {
    for (size_t i = 0; i < t->tags.n; i++) {
        if (str_eq(t->tags.items[i].key, LINKED_PROMPTS)) {
            json_t *list = json_loads(t->tags.items[i].value, 0, NULL);
            if (json_is_array(list))
                return list;
            json_decref(list);
        }
    }
    return json_array();
}

static bool lists(const json_t *list, const struct prompt *p) {
    size_t i;
    json_t *one;
    json_array_foreach(list, i, one) {
        if (str_eq(json_string_value(json_object_get(one, "name")), p->name) &&
            str_eq(json_string_value(json_object_get(one, "version")), p->version))
            return true;
    }
    return false;
}

/* The links are a tag that holds a JSON list, which the web page reads. */
int api_trace_link_prompts(struct ctx *c, const void *in, void *out) {
    const struct link_prompts *l = in;
    const struct prompt *p = l->prompt_versions.items;
    struct trace_info t, whole;
    (void)out;
    int rc = trace_for_write(c, l->trace_id, &t);
    if (rc == 0 && l->prompt_versions.n > LINK_MAX)
        rc = fail_field(c, ERR_INVALID, "prompt_versions",
                        "Cannot link more than %d prompts to a trace in a single request.",
                        LINK_MAX);
    rc = rc ? rc : trace_load(c, &t.row, 1, &whole);
    if (rc != 0)
        return rc;
    json_t *list = linked(&whole);
    for (size_t i = 0; i < l->prompt_versions.n; i++)
        if (!lists(list, &p[i]))
            json_array_append_new(
                list, json_pack("{s:s,s:s}", "name", p[i].name, "version", p[i].version));
    char *text = json_dumps(list, 0);
    json_decref(list);
    rc = text && utf8_count(text) > TRACE_VALUE_MAX
             ? fail_field(c, ERR_INVALID, "prompt_versions",
                          "The trace would be linked to more prompts than its tag '%s' has room "
                          "for, %d characters.",
                          LINKED_PROMPTS, TRACE_VALUE_MAX)
             : trace_put_tag(c, t.row, LINKED_PROMPTS, text ? text : "[]");
    free(text);
    return rc;
}

/* ------------------------------------------------------------------ as a file */

struct artifact {
    const char *request_id;
};
SHAPE(in_trace_artifact, "TraceArtifact", struct artifact,
      FIELD(struct artifact, request_id, T_STR, F_QUERY | F_REQUIRED, "Id."));

int api_trace_artifact(struct ctx *c, const void *in, void *out) {
    struct trace_info t;
    struct json_t *spans = NULL;
    (void)out;
    int rc = trace_whole(c, ((const struct artifact *)in)->request_id, true, &t);
    if (rc != 0)
        return rc;
    if (t.spans == 0) { /* a client put them beside the run's files */
        for (size_t i = 0; i < t.tags.n; i++) {
            struct artifact_place top, file;
            if (!str_eq(t.tags.items[i].key, "mlflow.artifactLocation") ||
                artifact_place(c, t.experiment, t.tags.items[i].value, &top) != 0)
                continue;
            rc = artifact_place_below(c, &top, "traces.json", &file);
            return rc ? rc : artifact_place_send(c, &file, "traces.json");
        }
        err_clear(c);
        return fail(c, ERR_NOT_FOUND, "Trace data is not available for trace with ID '%s'.",
                    t.trace_id);
    }
    rc = span_load(c, t.row, &spans);
    if (rc != 0)
        return rc;
    json_t *list = json_array(), *span;
    size_t i;
    json_array_foreach(spans, i, span) {
        json_array_append_new(list, span_file_form(c, t.trace_id, span));
    }
    json_t *tree = json_pack("{s:o}", "spans", list);
    reply_text(c, "application/octet-stream", json_text(c->arena, tree, JSON_TIGHT));
    json_decref(tree);
    reply_attachment(c, "traces.json");
    return 0;
}

int api_trace_nothing(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    reply_status(c, 404);
    reply_bytes(c, "text/html; charset=utf-8", "", 0);
    return 0;
}
