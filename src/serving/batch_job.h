/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_BATCH_JOB_H
#define QUERN_SERVING_BATCH_JOB_H
/* Batch job: what the daemon tells a batch worker, and what the worker tells of how far it is. Both
 * are files of the job's folder: BATCH_JOB, written before the worker starts, and BATCH_PROGRESS,
 * replaced whenever what was predicted is safely on the disk. A worker that begins anew cuts its
 * outputs back to what the progress tells and goes on from there, so that no row is predicted twice
 * into them and none is lost. */
#include "quern/core/shape.h"

#define BATCH_JOB "job.json"
#define BATCH_PROGRESS "progress.json"
#define BATCH_FAILURE "failure.json"
#define BATCH_INPUT "input"
#define BATCH_OUTPUT "output"
#define BATCH_ERRORS "errors"
#define BATCH_MLMODEL "MLmodel"

struct batch_job {
    const char *model; /* file, from the job's folder on */
    const char *format, *output_format;
    struct pairs columns; /* of the input that the model gets, and under which names; none: all */
    struct strs keep;     /* of the input that stand in the output; "*": all */
    struct opt_i64 chunk_rows, concurrency, max_errors, max_output;
};
extern const struct shape shape_batch_job;

struct batch_progress {
    struct opt_i64 in_total;       /* bytes of the input as it is read */
    struct opt_i64 in_bytes, line; /* of the input, up to where it was predicted */
    struct opt_i64 rows, errors;   /* met so far; errors are among the rows */
    struct opt_i64 out_bytes, error_bytes;
    const char *header; /* of the output's columns, once it is known; CSV alone */
    const char *first_error;
    struct opt_bool finished;
};
extern const struct shape shape_batch_progress;

struct batch_failure {
    const char *reason;
};
extern const struct shape shape_batch_failure;

/* `quern batch-worker FOLDER`: 0 when the job is finished, 1 with BATCH_FAILURE written. */
int batch_worker_main(const char *folder);

#endif
