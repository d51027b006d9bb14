/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_BATCH_PARQUET_H
#define QUERN_SERVING_BATCH_PARQUET_H
/* Batch parquet: Parquet files to lines of JSON, which the worker reads, and the lines that it
 * wrote to Parquet. Files are names in the job's folder; the new one is there whole or not at all,
 * and an old one of its name is kept. */
#include <stdbool.h>

struct batch_job;
struct ctx;
struct dir;

#define BATCH_ROWS "rows.jsonl" /* of a Parquet input */
#define BATCH_OUTPUT_PARQUET "output.parquet"

/* Where the job names the columns that the model gets, those and the ones it keeps; else all. */
int parquet_to_lines(struct ctx *c, struct dir *d, const struct batch_job *job, const char *from,
                     const char *to);
/* `empty`: a file with the column "row" and nothing in it. */
int lines_to_parquet(struct ctx *c, struct dir *d, const char *from, const char *to, bool empty);

#endif
