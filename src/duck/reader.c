/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/duck/duck.h"
#include "session.h"

#define COLUMNS_MOST 10000

struct duck_reader {
    struct duck *d;
    duckdb_statement statement;
    duckdb_result result;
    duckdb_chunk chunk;
    struct arena *arena;  /* of the columns' names */
    struct arena *values; /* of the current chunk */
    struct duck_column *columns;
    int *types;
    size_t n;
};

/* Types that are no kind of ours are asked for as text. */
static bool is_plain(int type) {
    switch (type) {
    case DUCKDB_BOOLEAN:
    case DUCKDB_TINYINT:
    case DUCKDB_SMALLINT:
    case DUCKDB_INTEGER:
    case DUCKDB_BIGINT:
    case DUCKDB_UTINYINT:
    case DUCKDB_USMALLINT:
    case DUCKDB_UINTEGER:
    case DUCKDB_FLOAT:
    case DUCKDB_DOUBLE:
    case DUCKDB_VARCHAR:
        return true;
    default:
        return false;
    }
}

static enum duck_kind kind_of(int type) {
    return type == DUCKDB_BOOLEAN                          ? DUCK_BOOL
           : type == DUCKDB_VARCHAR                        ? DUCK_TEXT
           : type == DUCKDB_FLOAT || type == DUCKDB_DOUBLE ? DUCK_F64
                                                           : DUCK_I64;
}

/* SELECT of the same columns, those of other types cast; NULL when nothing is to be cast. */
static const char *cast_all(struct ctx *c, duckdb_result *r, const char *sql) {
    const struct duck_library *l = &duck_library;
    uint64_t n = l->column_count(r);
    struct buf out = {0};
    bool any = false;
    buf_puts(&out, "SELECT ");
    for (uint64_t i = 0; i < n; i++) {
        const char *name = duck_quote(c->arena, l->column_name(r, i), '"');
        bool plain = is_plain(l->column_type(r, i));
        any = any || !plain;
        buf_printf(&out, plain ? "%s%s" : "%sCAST(%s AS VARCHAR)", i ? ", " : "", name);
        if (!plain)
            buf_printf(&out, " AS %s", name);
    }
    buf_printf(&out, " FROM (%s)", sql);
    const char *text = any ? arena_strndup(c->arena, out.data, out.len) : NULL;
    buf_free(&out);
    return text;
}

static int describe(struct duck_reader *r, struct ctx *c) {
    const struct duck_library *l = &duck_library;
    r->n = l->column_count(&r->result);
    if (r->n > COLUMNS_MOST)
        return fail(c, ERR_UNPROCESSABLE, "%zu columns are more than %d", r->n, COLUMNS_MOST);
    r->columns = ARENA_ARRAY(r->arena, struct duck_column, r->n ? r->n : 1);
    r->types = ARENA_ARRAY(r->arena, int, r->n ? r->n : 1);
    for (size_t i = 0; i < r->n; i++) {
        r->types[i] = l->column_type(&r->result, i);
        r->columns[i] =
            (struct duck_column){.name = arena_strdup(r->arena, l->column_name(&r->result, i)),
                                 .kind = kind_of(r->types[i])};
    }
    return 0;
}

/* Only what was read by now is in memory. */
static int stream(struct duck_reader *r, struct ctx *c, const char *sql) {
    const struct duck_library *l = &duck_library;
    duckdb_pending pending = NULL;
    if (l->prepare(r->d->conn, sql, &r->statement) != 0)
        return duck_fail(r->d, c, l->prepare_error(r->statement));
    int rc = 0;
    if (l->pending_prepared_streaming(r->statement, &pending) != 0)
        rc = duck_fail(r->d, c, l->pending_error(pending));
    else if (l->execute_pending(pending, &r->result) != 0)
        rc = duck_fail(r->d, c, l->result_error(&r->result));
    l->destroy_pending(&pending);
    return rc;
}

static void stop(struct duck_reader *r) {
    if (r->chunk)
        duck_library.destroy_data_chunk(&r->chunk);
    duck_library.destroy_result(&r->result);
    if (r->statement)
        duck_library.destroy_prepare(&r->statement);
    r->result = (duckdb_result){{0}, NULL, NULL, NULL};
}

int duck_query(struct duck *d, struct ctx *c, const char *sql, struct duck_reader **out) {
    struct duck_reader *r = mem_alloc(sizeof *r);
    *out = NULL;
    r->d = d;
    r->arena = arena_new();
    int rc = stream(r, c, sql);
    const char *cast = rc == 0 ? cast_all(c, &r->result, sql) : NULL;
    if (cast) {
        stop(r);
        rc = stream(r, c, cast);
    }
    if (rc == 0)
        rc = describe(r, c);
    if (rc < 0) {
        duck_reader_end(r);
        return rc;
    }
    *out = r;
    return 0;
}

int duck_read_file(struct duck *d, struct ctx *c, enum duck_format format, const char *path,
                   int64_t skip, struct duck_reader **out) {
    static const char *const forms[] = {
        [DUCK_CSV] = "SELECT * FROM read_csv(%s, header = true, sample_size = 20480)",
        [DUCK_JSONL] = "SELECT * FROM read_json(%s, format = 'newline_delimited')",
        [DUCK_PARQUET] = "SELECT * FROM read_parquet(%s)",
    };
    const char *form = forms[format], *at = strstr(form, "%s");
    const char *sql = arena_printf(c->arena, "%.*s%s%s OFFSET %" PRId64, (int)(at - form), form,
                                   duck_quote(c->arena, path, '\''), at + 2, skip);
    return duck_query(d, c, sql, out);
}

/* ---- chunks ---- */

static int64_t whole(const void *data, int type, size_t i) {
    switch (type) {
    case DUCKDB_TINYINT:
        return ((const int8_t *)data)[i];
    case DUCKDB_SMALLINT:
        return ((const int16_t *)data)[i];
    case DUCKDB_INTEGER:
        return ((const int32_t *)data)[i];
    case DUCKDB_UTINYINT:
        return ((const uint8_t *)data)[i];
    case DUCKDB_USMALLINT:
        return ((const uint16_t *)data)[i];
    case DUCKDB_UINTEGER:
        return ((const uint32_t *)data)[i];
    default:
        return ((const int64_t *)data)[i];
    }
}

static const void *convert(struct arena *a, const void *data, int type, size_t n,
                           const uint8_t *valid) {
    if (type == DUCKDB_VARCHAR) {
        struct duck_text *out = ARENA_ARRAY(a, struct duck_text, n);
        const duckdb_string *s = data;
        for (size_t i = 0; i < n; i++)
            if (!valid || valid[i])
                out[i] = s[i].near_.length <= sizeof s[i].near_.data
                             ? (struct duck_text){s[i].near_.data, s[i].near_.length}
                             : (struct duck_text){s[i].far_.data, s[i].far_.length};
        return out;
    }
    if (type == DUCKDB_FLOAT) {
        double *out = ARENA_ARRAY(a, double, n);
        for (size_t i = 0; i < n; i++)
            out[i] = (double)((const float *)data)[i];
        return out;
    }
    if (type == DUCKDB_DOUBLE || type == DUCKDB_BIGINT || type == DUCKDB_BOOLEAN)
        return data;
    int64_t *out = ARENA_ARRAY(a, int64_t, n);
    for (size_t i = 0; i < n; i++)
        out[i] = whole(data, type, i);
    return out;
}

static const uint8_t *validity(struct arena *a, const uint64_t *bits, size_t n) {
    if (!bits)
        return NULL;
    uint8_t *out = ARENA_ARRAY(a, uint8_t, n);
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(bits[i / 64] >> (i % 64) & 1);
    return out;
}

int duck_next(struct duck_reader *r, struct ctx *c, struct duck_chunk *out) {
    const struct duck_library *l = &duck_library;
    if (r->chunk)
        l->destroy_data_chunk(&r->chunk);
    arena_free(r->values);
    r->values = arena_new();
    *out = (struct duck_chunk){.columns = r->columns, .ncolumns = r->n};
    do {
        if (r->chunk)
            l->destroy_data_chunk(&r->chunk);
        r->chunk = l->fetch_chunk(r->result);
        if (!r->chunk) { /* the end, or a fault that was met on the way */
            const char *said = l->result_error(&r->result);
            return said && *said ? duck_fail(r->d, c, said) : 0;
        }
        out->rows = l->data_chunk_get_size(r->chunk);
    } while (out->rows == 0);
    for (size_t i = 0; i < r->n; i++) {
        duckdb_vector v = l->data_chunk_get_vector(r->chunk, i);
        struct duck_column *col = &r->columns[i];
        col->valid = validity(r->values, l->vector_get_validity(v), out->rows);
        col->data = convert(r->values, l->vector_get_data(v), r->types[i], out->rows, col->valid);
    }
    return 1;
}

void duck_reader_end(struct duck_reader *r) {
    if (!r)
        return;
    stop(r);
    arena_free(r->values);
    arena_free(r->arena);
    free(r);
}
