/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "batch_job.h"
#include "batch_parquet.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/path.h"
#include "quern/core/ctx.h"
#include "quern/duck/duck.h"

#define MEMORY ((uint64_t)512 << 20)
/* DuckDB buffers several lines at once: a line of predictions may be as long as a record. */
#define LINE_MAX 33554432

/* Texts stay texts, whatever they look like: no date is written so. */
#define NO_DATES "'none: %%Y'"

static int open_library(struct ctx *c) {
    struct buf error = {0};
    int rc = 0;
    if (!duck_ready() && duck_open(getenv("QUERN_DUCK_LIBRARY"), NULL, &error) < 0)
        rc = fail(c, ERR_NOT_IMPLEMENTED,
                  "DuckDB, which reads and writes Parquet, is not loaded: %s",
                  error.data ? error.data : "");
    buf_free(&error);
    return rc;
}

static const char *absolute(struct ctx *c, struct dir *d, const char *name) {
    return arena_printf(c->arena, "%s/%s", dir_path(d), name);
}

/* DuckDB's words without our names for the file: its first line, up to a path. */
static int said(struct ctx *c, struct dir *d) {
    char *text = arena_strdup(c->arena, c->err.message ? c->err.message : "");
    text[strcspn(text, "\n")] = '\0';
    char *path = strstr(text, dir_path(d));
    if (path)
        *path = '\0';
    int code = (int)c->err.code;
    err_clear(c);
    return fail(c, code, "%s", text);
}

/* Runs "COPY (%select) TO part (%options)" with the source's quoted path in `select`. */
static int copy(struct ctx *c, struct dir *d, const char *from, const char *to, const char *select,
                const char *options) {
    const char *part = arena_printf(c->arena, "%s.part", to);
    const char *files[] = {absolute(c, d, from), absolute(c, d, part), NULL};
    struct duck_options o = {
        .files = files, .spill = absolute(c, d, "spill"), .memory = MEMORY, .threads = 1};
    struct duck *duck = NULL;
    if (dir_exists(d, to))
        return 0;
    int rc = open_library(c);
    dir_unlink(d, part);
    if (rc == 0)
        rc = duck_begin(c, &o, &duck);
    if (rc == 0)
        rc = duck_run(duck, c,
                      arena_printf(c->arena, "COPY (%s) TO %s (%s)", select,
                                   duck_quote(c->arena, files[1], '\''), options));
    if (rc < 0 && duck)
        rc = said(c, d);
    duck_end(duck);
    dir_remove_tree(d, "spill");
    if (rc == 0 && dir_rename(d, part, to) < 0)
        rc = fail(c, ERR_INTERNAL, "the job's files cannot be renamed");
    return rc;
}

static bool named(const struct batch_job *job, size_t nkeep, const char *name) {
    for (size_t i = 0; i < job->columns.n; i++)
        if (strcmp(job->columns.items[i].key, name) == 0)
            return true;
    for (size_t i = 0; i < nkeep; i++)
        if (strcmp(job->keep.items[i], name) == 0)
            return true;
    return false;
}

static const char *wanted(struct ctx *c, const struct batch_job *job) {
    struct buf list = {0};
    if (!job->columns.n || (job->keep.n && strcmp(job->keep.items[0], "*") == 0))
        return "*";
    for (size_t i = 0; i < job->columns.n; i++)
        buf_printf(&list, "%s%s", i ? ", " : "",
                   duck_quote(c->arena, job->columns.items[i].key, '"'));
    for (size_t i = 0; i < job->keep.n; i++)
        if (!named(job, i, job->keep.items[i]))
            buf_printf(&list, ", %s", duck_quote(c->arena, job->keep.items[i], '"'));
    char *text = arena_strndup(c->arena, list.data, list.len);
    buf_free(&list);
    return text;
}

int parquet_to_lines(struct ctx *c, struct dir *d, const struct batch_job *job, const char *from,
                     const char *to) {
    const char *file = duck_quote(c->arena, absolute(c, d, from), '\'');
    return copy(c, d, from, to,
                arena_printf(c->arena, "SELECT %s FROM read_parquet(%s)", wanted(c, job), file),
                "FORMAT json");
}

int lines_to_parquet(struct ctx *c, struct dir *d, const char *from, const char *to, bool empty) {
    const char *file = duck_quote(c->arena, absolute(c, d, from), '\'');
    return copy(c, d, from, to,
                empty ? "SELECT 0::BIGINT AS \"row\" WHERE false"
                      : arena_printf(c->arena,
                                     "SELECT * FROM read_json(%s, format = 'newline_delimited', "
                                     "sample_size = -1, convert_strings_to_integers = false, "
                                     "dateformat = " NO_DATES ", timestampformat = " NO_DATES ", "
                                     "map_inference_threshold = -1, maximum_object_size = %d)",
                                     file, LINE_MAX),
                "FORMAT parquet, COMPRESSION zstd");
}
