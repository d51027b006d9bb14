/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_DUCK_DUCK_H
#define QUERN_DUCK_DUCK_H
/* Duck: DuckDB through its C interface, opened with dlopen at run time; no header of it is needed.
 * Each use is a database in memory of its own that may touch the named files and nothing else, with
 * its memory and threads bounded; extensions are neither installed nor loaded. Functions that fail
 * fill c->err: ERR_NOT_IMPLEMENTED without the library, ERR_UNPROCESSABLE with DuckDB's words for
 * files that cannot be read, ERR_DISK_FULL. Paths never stand in messages. For workers: they block.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;
struct buf;
struct ctx;
struct duck;

/* Tries `path` (may be NULL or ""), then each of `more` (NULL-terminated). Called once at start; -1
 * and a sentence when none loads. The library stays loaded till exit. */
int duck_open(const char *path, const char *const *more, struct buf *error);
bool duck_ready(void);
const char *duck_version(void); /* "v1.5.6"; "" when not loaded */
const char *duck_path(void);

struct duck_options {
    const char *const *files; /* absolute paths that may be read and written, NULL-terminated */
    const char *spill;        /* absolute directory for what does not fit into memory; NULL: none */
    uint64_t memory;          /* bytes; 0: 256 MiB */
    unsigned threads;         /* 0: one */
};
int duck_begin(struct ctx *c, const struct duck_options *o, struct duck **out);
void duck_end(struct duck *d); /* NULL is allowed */
/* Statements without an answer. Values and names from outside go through duck_quote. */
int duck_run(struct duck *d, struct ctx *c, const char *sql);
/* 'it''s' for quote '\'', "a ""b""" for '"'. */
const char *duck_quote(struct arena *a, const char *text, char quote);

/* ---- reading ---- */

struct duck_text {
    const char *data; /* UTF-8, no NUL behind it */
    size_t len;
};
enum duck_kind { DUCK_BOOL, DUCK_I64, DUCK_F64, DUCK_TEXT };
struct duck_column {
    const char *name;
    enum duck_kind kind;
    const void *data;     /* of `rows`: uint8_t, int64_t, double, struct duck_text */
    const uint8_t *valid; /* 1 or 0 of each row; NULL: all are */
};
struct duck_chunk {
    const struct duck_column *columns;
    size_t ncolumns, rows; /* at most 2048 */
};
struct duck_reader;

enum duck_format { DUCK_CSV, DUCK_JSONL, DUCK_PARQUET };
/* A query whose answer is fetched chunk by chunk; types besides the four kinds come as their text,
 * so do whole numbers beyond int64. */
int duck_query(struct duck *d, struct ctx *c, const char *sql, struct duck_reader **out);
/* All columns of a file among the options' files, from row `skip` on. */
int duck_read_file(struct duck *d, struct ctx *c, enum duck_format format, const char *path,
                   int64_t skip, struct duck_reader **out);
/* 1 and a chunk that lives until the next call, 0 at the end, negative. */
int duck_next(struct duck_reader *r, struct ctx *c, struct duck_chunk *out);
void duck_reader_end(struct duck_reader *r); /* NULL is allowed */

#endif
