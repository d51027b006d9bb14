/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_BATCH_FOLDER_H
#define QUERN_SERVING_BATCH_FOLDER_H
/* Batch folder: a job's files while it runs, below the data directory's batch/<id>. */
#include <stdint.h>

#include "batch_job.h"

struct batch;
struct ctx;
struct dir;
struct serving_options;

/* Model, input and job document; nothing when they are there already. Not inside a read.
 * *model_bytes is the size of the model file. */
int batch_folder_make(struct ctx *c, const struct serving_options *o, struct dir *root,
                      const struct batch *b, int64_t *model_bytes);
/* How far the worker says it is; zero when it has said nothing yet. */
int batch_folder_progress(struct ctx *c, struct dir *root, const char *id,
                          struct batch_progress *out);
/* Why the worker gave up; NULL when it did not say. */
const char *batch_folder_failure(struct ctx *c, struct dir *root, const char *id);
/* One of the worker's files as a blob, which stays pinned. */
int batch_folder_blob(struct ctx *c, struct dir *root, const char *id, const char *name,
                      char sha256[65], int64_t *size);

#endif
