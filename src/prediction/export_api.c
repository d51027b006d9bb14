/* SPDX-License-Identifier: Apache-2.0 */
/* Export: the records of a window as a table in a file. Columns are found in a first pass over the
 * records, written in a second one, and Parquet is made of the CSV by DuckDB. The file has no name
 * any more when it is sent. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "doors.h"
#include "flat.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/fd.h"
#include "quern/base/id.h"
#include "quern/base/path.h"
#include "quern/core/ctx.h"
#include "quern/duck/duck.h"
#include "quern/prediction/prediction.h"
#include "record.h"
#include "room.h"
#include "scan.h"

#define AT_ONCE 2
#define WRITE_BYTES ((size_t)1 << 20)

struct export_in {
    const char *endpoint, *format, *kind;
    struct opt_i64 from_ms, to_ms;
};
static const char *const formats[] = {"jsonl", "csv", "parquet", NULL};
static const char *const types[] = {"application/x-ndjson", "text/csv; charset=utf-8",
                                    "application/vnd.apache.parquet"};
static const char *const kinds[] = {"answer", "shadow", NULL};

SHAPE(shape_export, "PredictionsExport", struct export_in,
      FIELD(struct export_in, endpoint, T_STR, F_PATH | F_REQUIRED, "The endpoint's name"),
      FIELD_ENUM(struct export_in, format, F_QUERY, formats, "jsonl (default), csv or parquet"),
      FIELD_ENUM(struct export_in, kind, F_QUERY, kinds, "answer (default) or shadow"),
      FIELD_MAX(struct export_in, from_ms, T_I64, F_QUERY, 0, INT64_MAX, "Not before this time"),
      FIELD_MAX(struct export_in, to_ms, T_I64, F_QUERY, 0, INT64_MAX, "Not after this time"));

static atomic_int under_way;

struct job {
    const struct export_in *in;
    struct scan scan;
    struct scan_filter filter;
    struct flat flat;
    struct buf text; /* not yet in the file */
    bool csv;
    int fd;
    const char *name; /* beneath the data directory, without its ending */
};

static int disk(struct ctx *c, int error) {
    return error == -ENOSPC || error == -EDQUOT
               ? fail(c, ERR_DISK_FULL, "there is no room on the disk for the export")
               : fail(c, ERR_INTERNAL, "the export cannot be written: %s", strerror(-error));
}

static int spill(struct ctx *c, struct job *j, size_t most) {
    if (j->text.len < most)
        return 0;
    int rc = fd_write_all(j->fd, j->text.data, j->text.len);
    buf_clear(&j->text);
    return rc < 0 ? disk(c, rc) : 0;
}

static int put_row(struct ctx *c, void *arg, struct flat *f) {
    struct job *j = arg;
    j->csv ? flat_csv_row(f, &j->text) : flat_json_row(f, &j->text);
    return spill(c, j, WRITE_BYTES);
}

/* An arena for each record, since exports are long. */
static int each(struct ctx *c, struct job *j, struct json_t *tree,
                int (*row)(struct ctx *, void *, struct flat *)) {
    struct ctx own;
    ctx_begin(&own);
    own.project = c->project;
    int rc = record_join(&own, j->in->endpoint, tree);
    if (rc < 0)
        rc = fail(c, own.err.code, "%s", own.err.message ? own.err.message : "cannot be read");
    ctx_end(&own);
    return rc < 0 ? rc : flat_record(c, &j->flat, tree, row, j);
}

static int learn(struct ctx *c, void *arg, struct json_t *tree, size_t bytes) {
    (void)bytes;
    return each(c, arg, tree, NULL);
}

static int put(struct ctx *c, void *arg, struct json_t *tree, size_t bytes) {
    (void)bytes;
    return each(c, arg, tree, put_row);
}

static int pass(struct ctx *c, struct job *j,
                int (*record)(struct ctx *, void *, struct json_t *, size_t)) {
    j->scan.record = record;
    j->scan.at = (struct scan_at){0};
    j->scan.budget = INT64_MAX;
    j->scan.damaged = 0;
    return scan_run(c, &j->scan);
}

static const char *ending(struct ctx *c, const struct job *j, const char *what) {
    return arena_printf(c->arena, "%s.%s", j->name, what);
}

static const char *absolute(struct ctx *c, const char *rel) {
    return arena_printf(c->arena, "%s/%s", dir_path(room_data()), rel);
}

static int make_parquet(struct ctx *c, struct job *j) {
    const char *from = absolute(c, ending(c, j, "csv")), *to = absolute(c, ending(c, j, "parquet"));
    const char *files[] = {from, to, NULL};
    struct duck_options o = {.files = files, .spill = absolute(c, ending(c, j, "spill"))};
    struct duck *d = NULL;
    struct buf sql = {0};
    int rc = duck_begin(c, &o, &d);
    buf_printf(&sql,
               "COPY (SELECT * FROM read_csv(%s, header = true, auto_detect = false, delim = ',', "
               "quote = '\"', escape = '\"', new_line = '\\n', allow_quoted_nulls = false, "
               "strict_mode = true, max_line_size = 33554432, buffer_size = 67108864, columns = {",
               duck_quote(c->arena, from, '\''));
    for (size_t i = 0; i < j->flat.n; i++)
        buf_printf(&sql, "%s%s: '%s'", i ? ", " : "",
                   duck_quote(c->arena, j->flat.order[i]->name, '\''),
                   flat_type_sql(flat_type(j->flat.order[i])));
    buf_printf(&sql, "})) TO %s (FORMAT parquet, COMPRESSION zstd)",
               duck_quote(c->arena, to, '\''));
    if (rc == 0)
        rc = duck_run(d, c, sql.data);
    duck_end(d);
    buf_free(&sql);
    return rc;
}

static int write_table(struct ctx *c, struct job *j, bool parquet) {
    const char *name = ending(c, j, "csv");
    int rc = dir_mkdirs(room_data(), "exports");
    if (rc == 0)
        j->fd = dir_openat(room_data(), name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (rc < 0 || j->fd < 0)
        return disk(c, rc < 0 ? rc : j->fd);
    if (j->csv) {
        rc = pass(c, j, learn);
        flat_fix(&j->flat);
        flat_csv_head(&j->flat, &j->text);
    }
    if (rc == 0)
        rc = pass(c, j, put);
    if (rc == 0)
        rc = spill(c, j, 1);
    if (rc == 0 && parquet)
        rc = make_parquet(c, j);
    if (rc == 0 && parquet) {
        fd_close(j->fd);
        j->fd = dir_openat(room_data(), ending(c, j, "parquet"), O_RDONLY, 0);
        rc = j->fd < 0 ? disk(c, j->fd) : 0;
    }
    return rc;
}

static void clean(struct ctx *c, struct job *j) {
    dir_unlink(room_data(), ending(c, j, "csv"));
    dir_unlink(room_data(), ending(c, j, "parquet"));
    dir_remove_tree(room_data(), ending(c, j, "spill"));
    flat_end(&j->flat);
    buf_free(&j->text);
}

static int export(struct ctx *c, struct job *j, size_t format) {
    char id[33];
    struct stat st;
    id_hex32(id);
    j->name = arena_printf(c->arena, "exports/%s", id);
    j->csv = format != 0;
    j->scan = (struct scan){.filter = &j->filter, .arg = j};
    flat_begin(&j->flat);
    int rc = scan_begin(c, &j->scan);
    if (rc == 0)
        rc = write_table(c, j, format == 2);
    clean(c, j);
    if (rc == 0 && fstat(j->fd, &st) != 0)
        rc = disk(c, -errno);
    if (rc < 0) {
        if (j->fd >= 0)
            fd_close(j->fd);
        return rc;
    }
    reply_file(c, types[format], j->fd, (int64_t)st.st_size);
    if (j->scan.damaged)
        reply_header(c, "X-Quern-Damaged-Frames",
                     arena_printf(c->arena, "%" PRId64, j->scan.damaged));
    reply_attachment(c, arena_printf(c->arena, "%s.%s", j->in->endpoint, formats[format]));
    return 0;
}

int export_api(struct ctx *c, const void *in_, void *out) {
    const struct export_in *in = in_;
    size_t format = 0;
    (void)out;
    while (in->format && strcmp(in->format, formats[format]) != 0)
        format++;
    struct job j = {.in = in,
                    .fd = -1,
                    .filter = {.endpoint = in->endpoint,
                               .from_ms = in->from_ms.v,
                               .to_ms = in->to_ms.set ? in->to_ms.v : INT64_MAX,
                               .kind = in->kind ? in->kind : "answer"}};
    if (in->to_ms.set && in->from_ms.v > in->to_ms.v)
        return fail_field(c, ERR_INVALID, "to_ms", "to_ms is before from_ms");
    if (format == 2 && !duck_ready())
        return fail_field(c, ERR_NOT_IMPLEMENTED, "format",
                          "parquet needs DuckDB's library, which the server was started without "
                          "(setting duck.library); csv and jsonl need nothing");
    int rc = room_endpoint(c, in->endpoint);
    if (rc == 0)
        rc = prediction_flush(c, 5000);
    if (rc < 0)
        return rc;
    if (atomic_fetch_add(&under_way, 1) >= AT_ONCE)
        rc = fail(c, ERR_BUSY, "%d exports are under way", AT_ONCE);
    if (rc == 0)
        rc = export(c, &j, format);
    atomic_fetch_sub(&under_way, 1);
    return rc;
}
