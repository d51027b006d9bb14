/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_BATCH_SHEET_H
#define QUERN_SERVING_BATCH_SHEET_H
/* Batch sheet: rows as text to predictions as text, chunk by chunk. A chunk that fails is halved
 * until the rows that are at fault are found; those are told in the errors, the others predicted.
 * Several chunks may be run at once by as many threads, once the sheet is settled. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batch_job.h"
#include "batch_reader.h"
#include "quern/base/buf.h"

struct model;

struct batch_sheet {
    const struct batch_job *job;
    const struct model *m;
    bool csv, csv_out;
    char *names;  /* CSV: the input's first line; heap */
    bool lists;   /* JSON: rows are lists, not objects */
    bool settled; /* names and form are known, and the header where there is one */
    char *header; /* of the output, with its line end; heap; NULL: not known yet */
};
void sheet_free(struct batch_sheet *s);

struct batch_row {
    size_t at, len; /* in the chunk's text */
    int64_t line;
    bool too_long;
};
struct batch_chunk {
    struct batch_sheet *sheet;
    struct buf text;
    struct batch_row *rows; /* heap */
    size_t n, cap;
    int64_t first;                /* number of its first row, from 0 */
    int64_t end_offset, end_line; /* of the input behind it */
    /* What came of it. */
    struct buf out, errors;
    int64_t failed;
    char *first_error; /* heap; NULL */
};

void chunk_add(struct batch_chunk *k, const struct record *r);
void chunk_run(struct batch_chunk *k);
void chunk_clear(struct batch_chunk *k); /* to be filled anew */
void chunk_free(struct batch_chunk *k);

#endif
