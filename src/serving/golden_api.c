/* SPDX-License-Identifier: Apache-2.0 */
/* Golden cases of a model version: shown, put, recorded from the version, checked against it. */
#include <inttypes.h>
#include <string.h>

#include "golden.h"
#include "golden_store.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/lane/lane.h"
#include "quern/registry/registry.h"
#include "quern/serving/serving.h"
#include "tryout.h"

struct golden_in {
    const char *name;
    struct opt_i64 version, of;
    struct list cases;
    struct opt_bool keep;
};
struct golden_out {
    const char *model, *kept, *sha256, *reason;
    struct opt_i64 version, of, n, updated_ms;
    struct opt_bool passed;
    struct list cases;
};

#define VERSION_KEY                                                                                \
    FIELD(struct golden_in, name, T_STR, F_PATH | F_REQUIRED, "Registered model"),                 \
        FIELD(struct golden_in, version, T_I64, F_PATH | F_REQUIRED, "Its version")

SHAPE_LOCAL(shape_key, "GoldenKey", struct golden_in, VERSION_KEY);
SHAPE_LOCAL(shape_put, "GoldenPut", struct golden_in, VERSION_KEY,
            FIELD_SUB(struct golden_in, cases, T_LIST, F_REQUIRED, &shape_golden_case,
                      "At most 256 cases, 4 MiB in all"));
SHAPE_LOCAL(shape_record, "GoldenRecord", struct golden_in, VERSION_KEY,
            FIELD_SUB(struct golden_in, cases, T_LIST, F_REQUIRED, &shape_golden_case,
                      "Cases whose outputs the version makes"),
            FIELD(struct golden_in, keep, T_BOOL, 0,
                  "Keep them as the version's own; default true"));
SHAPE_LOCAL(shape_check, "GoldenCheck", struct golden_in, VERSION_KEY,
            FIELD(struct golden_in, of, T_I64, 0,
                  "Version of the same model whose cases are replayed; default this one"));
SHAPE_LOCAL(shape_golden, "Golden", struct golden_out,
            FIELD(struct golden_out, model, T_STR, F_ALWAYS, "Registered model"),
            FIELD(struct golden_out, version, T_I64, F_ALWAYS, "Its version"),
            FIELD(struct golden_out, kept, T_STR, F_ALWAYS,
                  "put: beside the version; file: its artifact golden.json; no: not kept"),
            FIELD(struct golden_out, sha256, T_STR, 0, "Digest of the document"),
            FIELD(struct golden_out, updated_ms, T_I64, 0, "When it was put, ms since the epoch"),
            FIELD_SUB(struct golden_out, cases, T_LIST, F_ALWAYS, &shape_golden_case, "The cases"));
SHAPE_LOCAL(shape_verdict, "GoldenVerdict", struct golden_out,
            FIELD(struct golden_out, model, T_STR, F_ALWAYS, "Registered model"),
            FIELD(struct golden_out, version, T_I64, F_ALWAYS, "Version that was run"),
            FIELD(struct golden_out, of, T_I64, F_ALWAYS, "Version whose cases were replayed"),
            FIELD_AS(struct golden_out, n, "cases", T_I64, F_ALWAYS, "How many there are"),
            FIELD(struct golden_out, passed, T_BOOL, F_ALWAYS, "All of them came out as wanted"),
            FIELD(struct golden_out, reason, T_STR, 0, "Case, output and element that did not"));

static int no_cases(struct ctx *c, const char *name, int64_t version) {
    return fail(c, ERR_NOT_FOUND,
                "version %" PRId64 " of '%s' has no golden cases; PUT them, or log a file "
                "golden.json beside the model",
                version, name);
}

/* The version and where its cases lie, for a caller who may `need`. */
static int find(struct ctx *c, const struct golden_in *in, int64_t version, enum object_need need,
                struct model_version_info *info, struct golden_row *row) {
    int rc = db_read_begin(lanes_db(tryout_lanes()), c);
    if (rc < 0)
        return rc;
    rc = golden_store_get(c, in->name, version, need, row);
    if (rc == 0)
        rc = model_version_get(c, in->name, version, info);
    if (rc == 0)
        rc = golden_find(c, info, NULL, row);
    db_read_end(c);
    return rc;
}

static int read_document(struct ctx *c, const struct golden_row *row, char **text, size_t *n,
                         struct golden *g) {
    int rc = blob_read(c, row->sha256, GOLDEN_BYTES, text, n);
    return rc == 0 ? golden_read(c, *text, *n, true, g) : rc;
}

static void answer(const struct golden_in *in, const struct golden_row *row, const struct golden *g,
                   struct golden_out *out) {
    *out = (struct golden_out){.model = in->name,
                               .version = in->version,
                               .kept = row->file      ? "file"
                                       : *row->sha256 ? "put"
                                                      : "no",
                               .cases = g->cases};
    if (*row->sha256)
        out->sha256 = row->sha256;
    if (row->updated_ms)
        out->updated_ms = SET_I64(row->updated_ms);
}

static int get(struct ctx *c, const void *in_, void *out) {
    const struct golden_in *in = in_;
    struct model_version_info info;
    struct golden_row *row = ARENA_NEW(c->arena, struct golden_row);
    struct golden g;
    char *text;
    size_t n;
    int rc = find(c, in, in->version.v, OBJECT_READ, &info, row);
    if (rc == 0 && !*row->sha256)
        rc = no_cases(c, in->name, in->version.v);
    if (rc == 0)
        rc = read_document(c, row, &text, &n, &g);
    if (rc == 0)
        answer(in, row, &g, out);
    return rc;
}

struct keeping {
    const struct golden_in *in;
    struct golden_row *row; /* sha256, size and cases are set */
};

static int op_keep(struct ctx *c, void *arg) {
    struct keeping *k = arg;
    struct golden_row now;
    int rc = golden_store_get(c, k->in->name, k->in->version.v, OBJECT_EDIT, &now);
    if (rc < 0)
        return rc;
    k->row->model = now.model;
    k->row->version = now.version;
    k->row->updated_ms = c->now_ms;
    rc = golden_store_put(c, k->row);
    return rc < 0 ? rc
                  : audit_append(c, "serving.golden.put",
                                 arena_printf(c->arena, "model_version:%s/%" PRId64, k->in->name,
                                              now.version),
                                 arena_printf(c->arena, "{\"sha256\":\"%s\"}", k->row->sha256));
}

static int keep(struct ctx *c, const struct golden_in *in, const char *text, size_t cases,
                struct golden_row *row) {
    *row = (struct golden_row){.size = (int64_t)strlen(text), .cases = (int64_t)cases};
    int rc = blob_put(c, text, strlen(text), row->sha256);
    if (rc < 0)
        return rc;
    rc = db_write(lanes_db(tryout_lanes()), c, op_keep, &(struct keeping){in, row});
    blob_unpin(row->sha256);
    return rc;
}

static int put(struct ctx *c, const void *in_, void *out) {
    const struct golden_in *in = in_;
    struct model_version_info info;
    struct golden_row *row = ARENA_NEW(c->arena, struct golden_row);
    struct golden g = {in->cases};
    const char *text;
    int rc = find(c, in, in->version.v, OBJECT_EDIT, &info, row);
    if (rc == 0)
        rc = golden_check(c, &g, true);
    if (rc == 0)
        rc = golden_text(c, &g, &text);
    if (rc == 0)
        rc = keep(c, in, text, g.cases.n, row);
    if (rc == 0)
        answer(in, row, &g, out);
    return rc;
}

static int remove_cases(struct ctx *c, const void *in_, void *out) {
    const struct golden_in *in = in_;
    struct golden_row row;
    (void)out;
    int rc = golden_store_get(c, in->name, in->version.v, OBJECT_EDIT, &row);
    if (rc == 0 && !*row.sha256)
        rc = fail(c, ERR_NOT_FOUND, "no golden cases were put for version %" PRId64 " of '%s'",
                  in->version.v, in->name);
    return rc == 0 ? golden_store_delete(c, &row) : rc;
}

static int record(struct ctx *c, const void *in_, void *out) {
    const struct golden_in *in = in_;
    bool kept = !in->keep.set || in->keep.v;
    struct model_version_info info;
    struct golden_row *row = ARENA_NEW(c->arena, struct golden_row);
    struct golden g = {in->cases};
    const char *text, *document = NULL;
    int rc = find(c, in, in->version.v, kept ? OBJECT_EDIT : OBJECT_USE, &info, row);
    if (rc == 0)
        rc = golden_check(c, &g, false);
    if (rc == 0)
        rc = golden_text(c, &g, &text);
    if (rc == 0)
        rc = tryout_record(c, &info, text, strlen(text), &document);
    if (rc == 0)
        rc = golden_read(c, document, strlen(document), true, &g);
    *row = (struct golden_row){0};
    if (rc == 0 && kept)
        rc = keep(c, in, document, g.cases.n, row);
    if (rc == 0)
        answer(in, row, &g, out);
    return rc;
}

static int check(struct ctx *c, const void *in_, void *out_) {
    const struct golden_in *in = in_;
    struct golden_out *out = out_;
    struct model_version_info info, of;
    struct golden_row row;
    struct golden g;
    char *text = NULL;
    size_t n = 0;
    int64_t from = in->of.set ? in->of.v : in->version.v;
    int rc = find(c, in, in->version.v, OBJECT_USE, &info, &row);
    if (rc == 0)
        rc = find(c, in, from, OBJECT_READ, &of, &row);
    if (rc == 0 && !*row.sha256)
        rc = no_cases(c, in->name, from);
    if (rc == 0)
        rc = read_document(c, &row, &text, &n, &g);
    if (rc < 0)
        return rc;
    rc = tryout_replay(c, &info, text, n);
    if (rc < 0 && c->err.code != ERR_UNPROCESSABLE)
        return rc;
    *out = (struct golden_out){.model = in->name,
                               .version = in->version,
                               .of = SET_I64(from),
                               .n = SET_I64((int64_t)g.cases.n),
                               .passed = SET_BOOL(rc == 0)};
    if (rc < 0)
        out->reason = arena_strdup(c->arena, c->err.message);
    err_clear(c);
    return 0;
}

#define GOLDEN "/api/v1/models/{name}/versions/{version}/golden"

static const struct route rows[] = {
    {.id = "serving.golden.get",
     .method = "GET",
     .path = GOLDEN,
     .in = &shape_key,
     .out = &shape_golden,
     .perm = PERM_READ,
     .lane = LANE_WORK,
     .flags = ROUTE_OBJECT,
     .fn = get,
     .summary = "Shows a version's golden cases."},
    {.id = "serving.golden.put",
     .method = "PUT",
     .path = GOLDEN,
     .in = &shape_put,
     .out = &shape_golden,
     .perm = PERM_WRITE,
     .lane = LANE_WORK,
     .flags = ROUTE_OBJECT,
     .body_cap = (uint32_t)GOLDEN_BYTES + (1u << 16),
     .fn = put,
     .summary = "Keeps golden cases beside a version; its next load must pass them."},
    {.id = "serving.golden.delete",
     .method = "DELETE",
     .path = GOLDEN,
     .in = &shape_key,
     .perm = PERM_WRITE,
     .lane = LANE_WRITE,
     .flags = ROUTE_OBJECT | ROUTE_AUDIT,
     .fn = remove_cases,
     .summary = "Forgets the cases that were put for a version."},
    {.id = "serving.golden.record",
     .method = "POST",
     .path = GOLDEN ":record",
     .in = &shape_record,
     .out = &shape_golden,
     .perm = PERM_WRITE,
     .lane = LANE_WORK,
     .flags = ROUTE_OBJECT,
     .body_cap = (uint32_t)GOLDEN_BYTES + (1u << 16),
     .fn = record,
     .summary = "Runs inputs through a version in a child and keeps what comes as golden cases."},
    {.id = "serving.golden.check",
     .method = "POST",
     .path = GOLDEN ":check",
     .in = &shape_check,
     .out = &shape_verdict,
     .perm = PERM_READ,
     .lane = LANE_WORK,
     .flags = ROUTE_OBJECT,
     .fn = check,
     .summary = "Replays golden cases against a version in a child."},
};
const struct route_list golden_routes = {.rows = rows, .n = ARRAY_LEN(rows)};
