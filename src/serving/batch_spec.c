/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "batch.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/duck/duck.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"

#define CHUNK_ROWS 1000
#define CHUNK_ROWS_MAX 100000
#define CONCURRENCY_MAX 16
#define NAMES_MAX 4096

static const char *const formats[] = {"csv", "jsonl", "parquet", NULL};

SHAPE_STRICT(shape_batch_input, "BatchInput", struct batch_input,
             FIELD(struct batch_input, artifact, T_STR, 0,
                   "Path of an artifact of this server, as 3/abc/artifacts/rows.csv"),
             FIELD(struct batch_input, data, T_STR, 0, "The rows themselves"));
SHAPE_STRICT(shape_batch_spec, "BatchPost", struct batch_spec,
             FIELD_MAX(struct batch_spec, target, T_STR, 0, 1, 1024,
                       "models:/NAME@ALIAS or models:/NAME/VERSION"),
             FIELD(struct batch_spec, endpoint, T_STR, 0,
                   "Instead of target: the version that this endpoint's first arm serves now"),
             FIELD_SUB(struct batch_spec, input, T_OBJ, F_REQUIRED, &shape_batch_input,
                       "Where the rows are: one of artifact and data"),
             FIELD_ENUM(struct batch_spec, format, 0, formats,
                        "Of the input; default by the artifact's name, else csv"),
             FIELD_ENUM(struct batch_spec, output_format, 0, formats, "Default as the input"),
             FIELD(struct batch_spec, columns, T_MAP, 0,
                   "Columns of the input that the model gets, and its names for them (empty: the "
                   "same); default all"),
             FIELD(struct batch_spec, keep, T_STRS, 0,
                   "Columns of the input that the output repeats; * alone: all"),
             FIELD_MAX(struct batch_spec, chunk_rows, T_I64, 0, 1, CHUNK_ROWS_MAX,
                       "Rows that the model gets at once; default 1000"),
             FIELD_MAX(struct batch_spec, concurrency, T_I64, 0, 1, CONCURRENCY_MAX,
                       "Threads of the worker; default 1"),
             FIELD_MAX(struct batch_spec, max_errors, T_I64, 0, 0, INT64_MAX,
                       "Failed rows past which the job fails; default any number"));

static const char *format_of(const char *artifact) {
    if (artifact && (str_ends(artifact, ".jsonl") || str_ends(artifact, ".ndjson")))
        return "jsonl";
    if (artifact && str_ends(artifact, ".parquet"))
        return "parquet";
    return "csv";
}

int batch_spec_check(struct ctx *c, struct batch_spec *s) {
    if (!s->target == !s->endpoint)
        return fail_field(c, ERR_INVALID, "target",
                          "give one of target (models:/NAME@ALIAS or "
                          "models:/NAME/VERSION) and endpoint");
    if (!s->input->artifact == !s->input->data)
        return fail_field(c, ERR_INVALID, "input", "give one of artifact and data");
    if (!s->format)
        s->format = format_of(s->input->artifact);
    if (!s->output_format)
        s->output_format = s->format;
    if (!duck_ready() &&
        (strcmp(s->format, "parquet") == 0 || strcmp(s->output_format, "parquet") == 0))
        return fail_field(
            c, ERR_NOT_IMPLEMENTED, strcmp(s->format, "parquet") == 0 ? "format" : "output_format",
            "Parquet needs DuckDB's library (duck.library), which this server did not "
            "find; csv and jsonl work without it");
    if (s->columns.n > NAMES_MAX || s->keep.n > NAMES_MAX)
        return fail_field(c, ERR_INVALID, s->keep.n > NAMES_MAX ? "keep" : "columns",
                          "at most %d columns can be named", NAMES_MAX);
    for (size_t i = 0; i < s->keep.n; i++)
        if (strcmp(s->keep.items[i], "*") == 0 && s->keep.n > 1)
            return fail_field(c, ERR_INVALID, "keep", "* stands alone");
    if (!s->chunk_rows.set)
        s->chunk_rows = SET_I64(CHUNK_ROWS);
    if (!s->concurrency.set)
        s->concurrency = SET_I64(1);
    return 0;
}

const char *batch_spec_text(struct ctx *c, const struct batch_spec *s) {
    struct batch_spec copy = *s;
    struct buf out = {0};
    struct batch_input input = *s->input;
    if (input.data)
        input.data = "";
    copy.input = &input;
    json_encode(&out, &shape_batch_spec, &copy);
    char *text = arena_strndup(c->arena, out.data, out.len);
    buf_free(&out);
    return text;
}

int batch_spec_read(struct ctx *c, const char *text, struct batch_spec *out) {
    struct json_t *tree;
    *out = (struct batch_spec){0};
    int rc = json_parse(c, DIALECT_PROBLEM, text, strlen(text), &tree);
    return rc == 0 ? json_decode(c, DIALECT_PROBLEM, &shape_batch_spec, tree, NULL, NULL, out) : rc;
}

static const char *path_of(struct ctx *c, const struct batch *b, const char *leaf) {
    return arena_printf(c->arena, "batches/%s/%s", b->id, leaf);
}

const char *batch_output_path(struct ctx *c, const struct batch *b) {
    struct batch_spec s;
    bool read = batch_spec_read(c, b->spec, &s) == 0 && s.output_format;
    return path_of(c, b, arena_printf(c->arena, "predictions.%s", read ? s.output_format : "csv"));
}

const char *batch_errors_path(struct ctx *c, const struct batch *b) {
    return path_of(c, b, "errors.jsonl");
}
