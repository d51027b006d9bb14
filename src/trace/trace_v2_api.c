/* SPDX-License-Identifier: Apache-2.0 */
/* The older line's way: a trace is begun, its file uploaded, then it is ended. */
#include <inttypes.h>

#include "quern/base/arena.h"
#include "quern/base/id.h"
#include "quern/base/str.h"
#include "quern/tracking/tracking.h"
#include "trace.h"
#include "trace_api.h"
#include "trace_store.h"

struct answer {
    struct trace_info_v2 *trace_info;
};
SHAPE(out_trace_v2, "GetTraceInfo", struct answer,
      FIELD_SUB(struct answer, trace_info, T_OBJ, 0, &wire_trace_info_v2, "What it is."));

struct begin {
    const char *experiment_id;
    struct opt_i64 timestamp_ms;
    struct list request_metadata, tags;
};
SHAPE(in_trace_begin_v2, "StartTrace", struct begin,
      FIELD(struct begin, experiment_id, T_STR, F_REQUIRED, "Experiment."),
      FIELD(struct begin, timestamp_ms, T_I64, F_REQUIRED, "Start in milliseconds."),
      FIELD_SUB(struct begin, request_metadata, T_LIST, 0, &wire_trace_pair, "Metadata."),
      FIELD_SUB(struct begin, tags, T_LIST, 0, &wire_trace_pair, "Tags."));

static int put(struct ctx *c, int64_t row, const struct list *l, bool tags) {
    const struct pair *p = l->items;
    int rc = 0;
    for (size_t i = 0; i < l->n && rc == 0; i++) {
        const char *key = p[i].key ? p[i].key : "", *value = trace_value(c, p[i].value);
        rc = trace_pair_check(c, tags ? "tag" : "metadata", key);
        rc = rc ? rc : trace_source_check(c, tags, key, value);
        if (rc == 0)
            rc = tags ? trace_put_tag(c, row, key, value) : trace_put_metadata(c, row, key, value);
    }
    return rc;
}

static int answer(struct ctx *c, int64_t row, void *out) {
    struct trace_info t;
    struct answer *o = out;
    int rc = trace_load(c, &row, 1, &t);
    o->trace_info = ARENA_NEW(c->arena, struct trace_info_v2);
    if (rc == 0)
        trace_info_to_v2(c, &t, o->trace_info);
    return rc;
}

int api_trace_begin_v2(struct ctx *c, const void *in, void *out) {
    const struct begin *b = in;
    struct trace_info t = {.timestamp_ms = b->timestamp_ms.v, .state = "IN_PROGRESS"};
    const char *location;
    char id[33];
    int rc = experiment_for_write(c, b->experiment_id, &t.experiment, &location);
    rc = rc ? rc : trace_writer_check(c, t.experiment);
    if (rc != 0)
        return rc;
    id_hex32(id);
    t.trace_id = arena_strdup(c->arena, id);
    rc = trace_insert(c, &t);
    rc = rc ? rc : trace_update(c, &t, true);
    rc = rc ? rc : put(c, t.row, &b->request_metadata, false);
    rc = rc ? rc : put(c, t.row, &b->tags, true);
    rc = rc ? rc
            : trace_put_tag(c, t.row, "mlflow.artifactLocation",
                            trace_location_uri(c, location, t.trace_id));
    return rc ? rc : answer(c, t.row, out);
}

struct end {
    const char *request_id, *status;
    struct opt_i64 timestamp_ms;
    struct list request_metadata, tags;
};
SHAPE(in_trace_end_v2, "EndTrace", struct end,
      FIELD(struct end, request_id, T_STR, F_PATH | F_REQUIRED, "Id."),
      FIELD(struct end, timestamp_ms, T_I64, 0, "End in milliseconds."),
      FIELD_ENUM(struct end, status, 0, trace_status_names, "How it went."),
      FIELD_SUB(struct end, request_metadata, T_LIST, 0, &wire_trace_pair, "More metadata."),
      FIELD_SUB(struct end, tags, T_LIST, 0, &wire_trace_pair, "More tags."));

int api_trace_end_v2(struct ctx *c, const void *in, void *out) {
    const struct end *e = in;
    struct trace_info t;
    int rc = trace_for_write(c, e->request_id, &t);
    if (rc != 0)
        return rc;
    if (e->timestamp_ms.set)
        t.execution_ms = SET_I64(e->timestamp_ms.v - t.timestamp_ms);
    if (e->status)
        t.state = str_eq(e->status, "TRACE_STATUS_UNSPECIFIED") ? "STATE_UNSPECIFIED" : e->status;
    rc = trace_update(c, &t, true);
    rc = rc ? rc : put(c, t.row, &e->request_metadata, false);
    rc = rc ? rc : put(c, t.row, &e->tags, true);
    return rc ? rc : answer(c, t.row, out);
}

struct by_id {
    const char *request_id;
};
SHAPE(in_trace_info_v2, "TraceInfoById", struct by_id,
      FIELD(struct by_id, request_id, T_STR, F_PATH | F_REQUIRED, "Id."));

int api_trace_info_v2(struct ctx *c, const void *in, void *out) {
    struct trace_info t;
    int rc = trace_for_read(c, ((const struct by_id *)in)->request_id, true, &t);
    return rc ? rc : answer(c, t.row, out);
}
