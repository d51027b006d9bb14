/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_BATCH_H
#define QUERN_SERVING_BATCH_H
/* Batch: predictions for the rows of a file, made by a worker process (batch_job.h) that this room
 * starts, watches and, when it was lost or crashed, starts again from the last rows that are safely
 * on the disk. Input and model version are pinned when the job is made. Its outputs become
 * artifacts below batches/<id>. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/core/shape.h"

struct buf;
struct ctx;
struct lanes;
struct serving_options;

#define BATCH_ATTEMPTS 5 /* starts of a worker, before a job that loses them is given up */

/* What was posted; also how a row keeps it (without data). */
struct batch_input {
    const char *artifact, *data;
};
struct batch_spec {
    const char *target, *endpoint;
    struct batch_input *input;
    const char *format, *output_format;
    struct pairs columns;
    struct strs keep;
    struct opt_i64 chunk_rows, concurrency, max_errors;
};
extern const struct shape shape_batch_spec;

/* Puts defaults in; ERR_INVALID naming the field, ERR_NOT_IMPLEMENTED for Parquet. */
int batch_spec_check(struct ctx *c, struct batch_spec *s);
const char *batch_spec_text(struct ctx *c, const struct batch_spec *s);
int batch_spec_read(struct ctx *c, const char *text, struct batch_spec *out);

struct batch {
    const char *id;
    int64_t project;
    const char *state, *reason;
    const char *spec; /* JSON */
    const char *model;
    int64_t version;
    const char *input_sha256;
    int64_t input_bytes;
    const char *made_by;
    int64_t attempt;
    bool cancelled;
    int64_t rows, errors, bytes;
    int64_t created_ms, started_ms, ended_ms;
};

/* ---- rows (batch_store.c) ---- */

int batch_get(struct ctx *c, const char *id, struct batch *out);            /* ERR_NOT_FOUND */
int batch_list(struct ctx *c, int64_t most, struct batch **out, size_t *n); /* newest first */
int batch_list_open(struct ctx *c, struct batch **out,
                    size_t *n);                         /* of every project, oldest first */
int batch_count_open(struct ctx *c, int64_t *n);        /* of the project */
int batch_insert(struct ctx *c, const struct batch *b); /* pins its input as well */
int batch_update(struct ctx *c, const struct batch *b); /* all that changes after it was made */
int batch_delete(struct ctx *c, const struct batch *b);

/* Where the outputs of a job are, as artifacts; in c's arena. */
const char *batch_output_path(struct ctx *c, const struct batch *b);
const char *batch_errors_path(struct ctx *c, const struct batch *b);

/* ---- the thread that runs them (batch_runner.c) ---- */

int batches_start(const struct serving_options *o, struct buf *error);
void batches_stop(void); /* workers go on */
void batches_wake(void *unused);
struct lanes *batches_lanes(void);
int64_t batches_max_input(void);

#endif
