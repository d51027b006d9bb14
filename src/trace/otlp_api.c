/* SPDX-License-Identifier: Apache-2.0 */
/* OpenTelemetry's door, /v1/traces: taken apart on a worker, written in one transaction. */
#include <jansson.h>
#include <string.h>
#include <zlib.h>

#include "convention.h"
#include "otlp.h"
#include "quern/access/access.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/db/db.h"
#include "quern/trace/trace.h"
#include "quern/tracking/tracking.h"
#include "sender.h"
#include "span.h"
#include "trace.h"
#include "trace_api.h"

#define BODY_MAX (32u << 20)
#define RUN_ID_MAX 64
#define INFLATED_MAX ((size_t)64 << 20)
/* zlib's numbers of the forms. */
#define GZIP (15 + 16)
#define ZLIB 15
#define RAW (-15)

static struct db *database;

void trace_open(struct db *db) {
    database = db;
}

/* ------------------------------------------------------------------ the body */

static void release(void *b) {
    buf_free(b);
}

/* Zeros may pad the last of several members. */
static bool more_members(const z_stream *z) {
    for (uInt i = 0; i < z->avail_in; i++)
        if (z->next_in[i])
            return true;
    return false;
}

/* 1: it is in another form than `window` says; nothing is told. */
static int inflate_as(struct ctx *c, int window, const char *data, size_t n, struct buf *out) {
    z_stream z = {.next_in = (Bytef *)(uintptr_t)data, .avail_in = (uInt)n};
    char part[16384];
    int r = inflateInit2(&z, window);
    out->len = 0;
    while (r == Z_OK) {
        z.next_out = (Bytef *)part;
        z.avail_out = sizeof part;
        r = inflate(&z, Z_NO_FLUSH);
        buf_put(out, part, sizeof part - z.avail_out);
        if (out->len > INFLATED_MAX) {
            inflateEnd(&z);
            return fail(c, ERR_TOO_LARGE, "The body is larger than %zu MiB when unpacked.",
                        INFLATED_MAX >> 20);
        }
        if (r == Z_STREAM_END && window == GZIP && more_members(&z))
            r = inflateReset(&z);
    }
    inflateEnd(&z);
    return r == Z_STREAM_END && (window == GZIP || !z.avail_in) ? 0 : 1;
}

/* "deflate" means zlib's form; some senders leave its head away. */
static int inflate_body(struct ctx *c, bool gzip, const char **data, size_t *n) {
    struct buf *out = ARENA_NEW(c->arena, struct buf);
    arena_defer(c->arena, release, out);
    int rc = inflate_as(c, gzip ? GZIP : ZLIB, *data, *n, out);
    if (rc > 0 && !gzip)
        rc = inflate_as(c, RAW, *data, *n, out);
    if (rc > 0)
        return fail(c, ERR_BAD_REQUEST, "Failed to decompress %s payload",
                    gzip ? "gzip" : "deflate");
    *data = out->data ? out->data : "";
    *n = out->len;
    return rc;
}

static int unpack(struct ctx *c, const char **data, size_t *n) {
    const char *encoding = ctx_header(c, "content-encoding");
    *data = c->body;
    *n = c->body_len;
    if (!encoding || str_ieq(encoding, "identity"))
        return 0;
    if (str_ieq(encoding, "gzip") || str_ieq(encoding, "deflate"))
        return inflate_body(c, str_ieq(encoding, "gzip"), data, n);
    return fail(c, ERR_BAD_REQUEST, "Unsupported Content-Encoding: %s. Use gzip or deflate.",
                encoding);
}

/* {"detail": ...} as the genuine server's other web framework tells faults. */
static int detail(struct ctx *c, int status, json_t *what) {
    access_object_nothing(c); /* a failure told as an answer */
    json_t *tree = json_pack("{s:o}", "detail", what);
    char *text = json_dumps(tree, JSON_COMPACT);
    reply_status(c, status);
    reply_text(c, "application/json", arena_strdup(c->arena, text ? text : "{}"));
    free(text);
    json_decref(tree);
    return 0;
}

static int tell_failure(struct ctx *c, int rc) {
    const struct err_row *row = err_row(rc);
    if (row->status >= 500 || row->status == 401 || row->status == 403)
        return rc;
    json_t *text = json_string(c->err.message ? c->err.message : row->title);
    err_clear(c);
    return detail(c, row->status, text);
}

/* ------------------------------------------------------------------ writing */

struct intake {
    int64_t experiment;
    const char *location;
    const char *experiment_id, *run_id;
    struct span *spans; /* those of one trace next to each other */
    size_t n;
};

static int by_trace(const void *a, const void *b) {
    const struct span *x = a, *y = b;
    int order = strcmp(x->trace_id, y->trace_id);
    return order ? order : strcmp(x->span_id, y->span_id);
}

static int write_spans(struct ctx *c, void *arg) {
    struct intake *in = arg;
    c->inner_bytes = 0;
    int rc = experiment_for_write(c, in->experiment_id, &in->experiment, &in->location);
    rc = rc ? rc : trace_writer_check(c, in->experiment);
    rc = rc == 0 && in->run_id ? access_check_run(c, in->run_id) : rc;
    for (size_t from = 0, to; from < in->n && rc == 0; from = to) {
        for (to = from + 1; to < in->n && str_eq(in->spans[to].trace_id, in->spans[from].trace_id);)
            to++;
        rc = span_store(c, in->experiment, in->location, in->run_id, in->spans + from, to - from);
    }
    return rc;
}

static int read_spans(struct ctx *c, const struct otlp *from, struct intake *in) {
    const json_t *last = NULL;
    struct pairs *sender = NULL;
    size_t i;
    json_t *tree;
    int rc = 0;
    in->n = json_array_size(from->spans);
    in->spans = ARENA_ARRAY(c->arena, struct span, in->n ? in->n : 1);
    json_array_foreach(from->spans, i, tree) {
        if (rc == 0)
            convention_apply(c, tree);
        rc = rc ? rc : span_read(c, tree, &in->spans[i]);
        if (json_array_get(from->resources, i) != last) {
            last = json_array_get(from->resources, i);
            sender = ARENA_NEW(c->arena, struct pairs);
            sender_tags(c, last, sender);
        }
        in->spans[i].sender = sender;
    }
    if (rc != 0)
        return rc;
    qsort(in->spans, in->n, sizeof *in->spans, by_trace);
    return sender_check(c, in->spans, in->n);
}

/* Ids of runs are 32 hex digits; what came from elsewhere may look otherwise. It is stored for
 * every trace of the request, so it must not be long. */
static bool run_id_fits(const char *id) {
    size_t n = id ? strlen(id) : 0;
    return n <= RUN_ID_MAX && (!id || strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz"
                                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ_-") == n);
}

int api_otlp(struct ctx *c, const void *input, void *out) {
    struct intake in = {.experiment_id = ctx_header(c, "x-mlflow-experiment-id"),
                        .run_id = ctx_header(c, "x-mlflow-run-id")};
    size_t type_len = strcspn(c->content_type, "; ");
    const char *type = arena_strndup(c->arena, c->content_type, type_len), *data = NULL;
    bool json = str_ieq(type, "application/json");
    struct otlp told = {0};
    size_t n = 0;
    (void)input;
    (void)out;
    if (!in.experiment_id || !*in.experiment_id)
        return detail(c, 422,
                      json_pack("[{s:s,s:[s,s],s:s,s:n}]", "type", "missing", "loc", "header",
                                "x-mlflow-experiment-id", "msg", "Field required", "input"));
    if (!json && !str_ieq(type, "application/x-protobuf"))
        return detail(c, 400,
                      json_string(arena_printf(c->arena,
                                               "Invalid Content-Type: %s. Expected: "
                                               "application/x-protobuf or application/json",
                                               c->content_type)));
    int rc = run_id_fits(in.run_id) ? unpack(c, &data, &n)
                                    : fail(c, ERR_INVALID, "x-mlflow-run-id must be a run's id.");
    if (rc == 0)
        rc = json ? otlp_from_json(c, data, n, &told) : otlp_from_protobuf(c, data, n, &told);
    if (rc == 0 && !told.senders)
        rc = fail(c, ERR_INVALID, "Invalid OpenTelemetry format - no spans found");
    rc = rc ? rc : read_spans(c, &told, &in);
    if (rc == 0 && c->inner_full)
        rc = fail(c, ERR_TOO_LARGE,
                  "The JSON texts in the attributes would take more than 256 MiB of memory. Send "
                  "fewer spans at once.");
    if (rc != 0)
        return tell_failure(c, rc);
    rc = db_write(database, c, write_spans, &in);
    if (rc != 0) /* in the words and form of the rest of MLflow */
        return rc;
    reply_bytes(c, json ? "application/json" : "application/x-protobuf", json ? "{}" : "",
                json ? 2 : 0);
    return 0;
}
