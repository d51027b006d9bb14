/* SPDX-License-Identifier: Apache-2.0 */
/* Batch jobs: made, shown, cancelled, fetched, forgotten. */
#include <string.h>

#include "arm.h"
#include "batch.h"
#include "endpoint.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/id.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/json/json_in.h"
#include "quern/lane/lane.h"
#include "quern/registry/registry.h"
#include "quern/serving/serving.h"

#define OPEN_MAX 100 /* jobs of a project that wait or run */
#define LIST_DEFAULT 100
#define LIST_MAX 1000

struct batch_in {
    const char *id;
    struct opt_i64 limit;
};
struct batch_out {
    const char *id, *state, *reason, *model, *made_by, *output, *errors_file;
    struct opt_i64 version, rows, errors, bytes, input_bytes, attempt;
    struct opt_i64 created_ms, started_ms, ended_ms;
    struct opt_f64 progress, rows_per_s;
    struct opt_bool cancelling;
    struct json_t *spec;
};
struct batches_out {
    struct list batches;
};

SHAPE_LOCAL(shape_batch_id, "BatchId", struct batch_in,
            FIELD(struct batch_in, id, T_STR, F_PATH | F_REQUIRED, "The job"));
SHAPE_LOCAL(shape_batch_query, "BatchQuery", struct batch_in,
            FIELD_MAX(struct batch_in, limit, T_I64, F_QUERY, 1, LIST_MAX,
                      "Newest jobs that are listed; default 100"));
SHAPE_LOCAL(shape_batch, "Batch", struct batch_out,
            FIELD(struct batch_out, id, T_STR, F_ALWAYS, "The job"),
            FIELD(struct batch_out, state, T_STR, F_ALWAYS,
                  "queued, running, succeeded, failed or cancelled"),
            FIELD(struct batch_out, reason, T_STR, F_ALWAYS, "Empty, or why it came so"),
            FIELD(struct batch_out, cancelling, T_BOOL, 0, "It is asked to end"),
            FIELD(struct batch_out, model, T_STR, F_ALWAYS, "Registered model that predicts"),
            FIELD(struct batch_out, version, T_I64, F_ALWAYS, "Its version"),
            FIELD(struct batch_out, rows, T_I64, F_ALWAYS, "Rows done, those that failed included"),
            FIELD(struct batch_out, errors, T_I64, F_ALWAYS, "Rows that failed"),
            FIELD(struct batch_out, bytes, T_I64, F_ALWAYS, "Bytes of the input done"),
            FIELD(struct batch_out, input_bytes, T_I64, F_ALWAYS, "Bytes of the input"),
            FIELD(struct batch_out, progress, T_F64, F_ALWAYS, "Share of the input, 0 to 1"),
            FIELD(struct batch_out, rows_per_s, T_F64, 0, "Rows per second since it was started"),
            FIELD(struct batch_out, attempt, T_I64, F_ALWAYS, "Starts of its worker"),
            FIELD(struct batch_out, output, T_STR, 0, "Artifact with the predictions"),
            FIELD(struct batch_out, errors_file, T_STR, 0, "Artifact with the rows that failed"),
            FIELD(struct batch_out, made_by, T_STR, F_ALWAYS, "Who made it"),
            FIELD(struct batch_out, created_ms, T_I64, F_ALWAYS, "Milliseconds since the epoch"),
            FIELD(struct batch_out, started_ms, T_I64, 0, "Milliseconds since the epoch"),
            FIELD(struct batch_out, ended_ms, T_I64, 0, "Milliseconds since the epoch"),
            FIELD(struct batch_out, spec, T_JSON, F_ALWAYS, "What was posted, without data"));
SHAPE_LOCAL(shape_batches, "Batches", struct batches_out,
            FIELD_SUB(struct batches_out, batches, T_LIST, F_ALWAYS, &shape_batch,
                      "The project's jobs, newest first"));

static int show(struct ctx *c, const struct batch *b, struct batch_out *out) {
    *out = (struct batch_out){.id = b->id,
                              .state = b->state,
                              .reason = b->reason,
                              .model = b->model,
                              .made_by = b->made_by,
                              .version = SET_I64(b->version),
                              .rows = SET_I64(b->rows),
                              .errors = SET_I64(b->errors),
                              .bytes = SET_I64(b->bytes),
                              .input_bytes = SET_I64(b->input_bytes),
                              .attempt = SET_I64(b->attempt),
                              .created_ms = SET_I64(b->created_ms)};
    bool succeeded = strcmp(b->state, "succeeded") == 0;
    double share = b->input_bytes ? (double)b->bytes / (double)b->input_bytes : 0;
    out->progress = SET_F64(succeeded || share > 1 ? 1 : share);
    if (b->started_ms) {
        int64_t ms = (b->ended_ms ? b->ended_ms : c->now_ms) - b->started_ms;
        out->started_ms = SET_I64(b->started_ms);
        out->rows_per_s = SET_F64(ms > 0 ? (double)b->rows * 1000 / (double)ms : 0);
    }
    if (b->ended_ms)
        out->ended_ms = SET_I64(b->ended_ms);
    else if (b->cancelled)
        out->cancelling = SET_BOOL(true);
    if (succeeded)
        out->output = batch_output_path(c, b);
    if (b->ended_ms && b->errors && strcmp(b->state, "cancelled") != 0)
        out->errors_file = batch_errors_path(c, b);
    return json_parse(c, DIALECT_PROBLEM, b->spec, strlen(b->spec), &out->spec);
}

static int get(struct ctx *c, const void *in_, void *out) {
    const struct batch_in *in = in_;
    struct batch b;
    int rc = batch_get(c, in->id, &b);
    return rc < 0 ? rc : show(c, &b, out);
}

static int list(struct ctx *c, const void *in_, void *out_) {
    const struct batch_in *in = in_;
    struct batches_out *out = out_;
    struct batch *rows;
    size_t n;
    int rc = batch_list(c, in->limit.set ? in->limit.v : LIST_DEFAULT, &rows, &n);
    if (rc < 0)
        return rc;
    struct batch_out *items = ARENA_ARRAY(c->arena, struct batch_out, n ? n : 1);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = show(c, &rows[i], &items[i]);
    out->batches = (struct list){items, n};
    return rc;
}

/* ---- making ---- */

/* The version that an endpoint's first arm serves. */
static int endpoint_version(struct ctx *c, const char *name, struct model_version_info *info) {
    struct endpoint e;
    struct arm *arms;
    size_t n;
    int rc = endpoint_get(c, name, &e);
    if (rc == 0)
        rc = arm_list(c, c->project, name, &arms, &n);
    if (rc < 0)
        return rc;
    const struct arm *a = n && strcmp(arms[0].state, "deleted") != 0 ? &arms[0] : NULL;
    if (!a || !a->version)
        return fail_field(c, ERR_CONFLICT, "endpoint", "endpoint '%s' serves no model yet", name);
    if (*a->runtime)
        return fail_field(c, ERR_UNPROCESSABLE, "endpoint",
                          "the first arm of endpoint '%s' runs in a server of its own; batch jobs "
                          "run ONNX models",
                          name);
    return model_version_get(c, a->model, a->version, info);
}

/* What it is about, while a read is open. */
static int resolve(struct ctx *c, const struct batch_spec *s, struct batch *b) {
    struct model_version_info info;
    struct artifact_entry e;
    int64_t open = 0;
    int rc = batch_count_open(c, &open);
    if (rc == 0 && open >= OPEN_MAX)
        rc = fail(c, ERR_RATE, "the project has %d batch jobs that wait or run; let some end first",
                  OPEN_MAX);
    if (rc == 0)
        rc = s->endpoint ? endpoint_version(c, s->endpoint, &info)
                         : model_resolve(c, s->target, &info);
    if (rc < 0)
        return rc;
    b->model = info.name;
    b->version = info.version;
    if (!s->input->artifact)
        return 0;
    rc = artifact_check_path(c, s->input->artifact);
    if (rc == 0)
        rc = artifact_permit(c, s->input->artifact, OBJECT_READ);
    if (rc == 0)
        rc = artifact_stat(c, s->input->artifact, &e);
    if (rc < 0)
        return rc;
    if (e.is_dir)
        return fail_field(c, ERR_INVALID, "input/artifact", "'%.200s' is a folder, not a file",
                          s->input->artifact);
    b->input_sha256 = arena_strdup(c->arena, e.sha256);
    b->input_bytes = e.size;
    return 0;
}

static int op_insert(struct ctx *c, void *arg) {
    struct batch *b = arg;
    int rc = batch_insert(c, b);
    if (rc == 0)
        rc = audit_append(c, "serving.batch.create", arena_printf(c->arena, "batch:%s", b->id),
                          "{}");
    if (rc == 0)
        rc = batch_get(c, b->id, b);
    if (rc == 0)
        db_after_commit(c, batches_wake, NULL);
    return rc;
}

static int create(struct ctx *c, const void *in_, void *out) {
    struct batch_spec s = *(const struct batch_spec *)in_;
    struct batch b = {.made_by = c->who.name};
    char *id = arena_alloc(c->arena, 33), sha256[65] = "";
    int rc = batch_spec_check(c, &s);
    if (rc == 0)
        rc = db_read_begin(lanes_db(batches_lanes()), c);
    if (rc < 0)
        return rc;
    rc = resolve(c, &s, &b);
    db_read_end(c);
    if (rc == 0 && s.input->data) {
        b.input_bytes = (int64_t)strlen(s.input->data);
        rc = blob_put(c, s.input->data, (size_t)b.input_bytes, sha256);
        b.input_sha256 = sha256;
    }
    if (rc == 0 && b.input_bytes > batches_max_input())
        rc = fail_field(c, ERR_TOO_LARGE, "input",
                        "the input takes %lld bytes, more than %lld "
                        "(batch.max-input)",
                        (long long)b.input_bytes, (long long)batches_max_input());
    if (rc == 0) {
        id_hex32(id);
        b.id = id;
        b.spec = batch_spec_text(c, &s);
        rc = db_write(lanes_db(batches_lanes()), c, op_insert, &b);
    }
    if (*sha256)
        blob_unpin(sha256);
    if (rc == 0)
        rc = show(c, &b, out);
    if (rc == 0)
        reply_status(c, 201);
    return rc;
}

/* ---- ending ---- */

static bool is_open(const struct batch *b) {
    return strcmp(b->state, "queued") == 0 || strcmp(b->state, "running") == 0;
}

static int cancel(struct ctx *c, const void *in_, void *out) {
    const struct batch_in *in = in_;
    struct batch b;
    int rc = batch_get(c, in->id, &b);
    if (rc < 0)
        return rc;
    if (!is_open(&b))
        return fail(c, ERR_CONFLICT, "the job is %s already", b.state);
    b.cancelled = true;
    if (strcmp(b.state, "queued") == 0) {
        b.state = "cancelled";
        b.ended_ms = c->now_ms;
    }
    rc = batch_update(c, &b);
    if (rc == 0)
        db_after_commit(c, batches_wake, NULL);
    return rc == 0 ? show(c, &b, out) : rc;
}

static int forget(struct ctx *c, const void *in_, void *out) {
    const struct batch_in *in = in_;
    struct batch b;
    (void)out;
    int rc = batch_get(c, in->id, &b);
    if (rc == 0 && is_open(&b))
        rc = fail(c, ERR_CONFLICT, "the job is %s; cancel it first", b.state);
    if (rc == 0)
        rc = artifact_unlink_tree(c, arena_printf(c->arena, "batches/%s", b.id));
    return rc == 0 ? batch_delete(c, &b) : rc;
}

static int send(struct ctx *c, const struct batch_in *in, bool errors) {
    struct batch b;
    int rc = batch_get(c, in->id, &b);
    if (rc < 0)
        return rc;
    if (!errors && strcmp(b.state, "succeeded") != 0)
        return fail(c, ERR_CONFLICT, "the job is %s; predictions are there when it has succeeded",
                    b.state);
    if (errors && (!b.ended_ms || strcmp(b.state, "cancelled") == 0))
        return fail(c, ERR_CONFLICT, "the job is %s; its errors are there when it has ended",
                    b.state);
    if (errors && !b.errors)
        return fail(c, ERR_NOT_FOUND, "no row failed");
    return artifact_send(c, errors ? batch_errors_path(c, &b) : batch_output_path(c, &b));
}

static int send_output(struct ctx *c, const void *in, void *out) {
    (void)out;
    return send(c, in, false);
}

static int send_errors(struct ctx *c, const void *in, void *out) {
    (void)out;
    return send(c, in, true);
}

#define BATCHES "/api/v1/batches"

static const struct route rows[] = {
    {.id = "serving.batches.create",
     .method = "POST",
     .path = BATCHES,
     .in = &shape_batch_spec,
     .out = &shape_batch,
     .perm = PERM_WRITE,
     .lane = LANE_WORK,
     .body_cap = 64u << 20,
     .fn = create,
     .summary = "Makes a job that predicts the rows of a file in a process of its own."},
    {.id = "serving.batches.list",
     .method = "GET",
     .path = BATCHES,
     .in = &shape_batch_query,
     .out = &shape_batches,
     .perm = PERM_READ,
     .lane = LANE_READ,
     .fn = list,
     .summary = "Lists the project's batch jobs, newest first."},
    {.id = "serving.batches.get",
     .method = "GET",
     .path = BATCHES "/{id}",
     .in = &shape_batch_id,
     .out = &shape_batch,
     .perm = PERM_READ,
     .lane = LANE_READ,
     .fn = get,
     .summary = "Shows a batch job, its state and how far it is."},
    {.id = "serving.batches.cancel",
     .method = "POST",
     .path = BATCHES "/{id}/cancel",
     .in = &shape_batch_id,
     .out = &shape_batch,
     .perm = PERM_WRITE,
     .lane = LANE_WRITE,
     .flags = ROUTE_AUDIT,
     .fn = cancel,
     .summary = "Ends a batch job; what it predicted is thrown away."},
    {.id = "serving.batches.delete",
     .method = "DELETE",
     .path = BATCHES "/{id}",
     .in = &shape_batch_id,
     .perm = PERM_WRITE,
     .lane = LANE_WRITE,
     .flags = ROUTE_AUDIT,
     .fn = forget,
     .summary = "Forgets a batch job that has ended, and its files."},
    {.id = "serving.batches.output",
     .method = "GET",
     .path = BATCHES "/{id}/output",
     .in = &shape_batch_id,
     .perm = PERM_READ,
     .lane = LANE_READ,
     .fn = send_output,
     .summary = "Sends the predictions of a batch job."},
    {.id = "serving.batches.errors",
     .method = "GET",
     .path = BATCHES "/{id}/errors",
     .in = &shape_batch_id,
     .perm = PERM_READ,
     .lane = LANE_READ,
     .fn = send_errors,
     .summary = "Sends the rows that failed, as lines of JSON."},
};
const struct route_list batch_routes = {.rows = rows, .n = ARRAY_LEN(rows)};
