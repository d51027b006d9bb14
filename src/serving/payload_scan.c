/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <strings.h>

#include "json_scan.h"
#include "number_fast.h"
#include "payload.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

#define COLUMNS_MAX 16384
/* Cells that no byte of the body stands for: what rows of records lack. */
#define LACKING_MAX ((size_t)1 << 20)

/* ---- values ---- */

static struct cell cell_of(const struct number *n) {
    return n->integer ? (struct cell){.kind = CELL_INTEGER,
                                      .magnitude = n->magnitude,
                                      .negative = n->negative}
                      : (struct cell){.kind = CELL_DOUBLE, .value = n->value};
}

static int scan_scalar(struct scan *s, struct cell *cell) {
    struct bytes text;
    struct number n;
    int rc;
    if (s->extended && scan_odd_number(s, &n.value)) {
        *cell = (struct cell){.kind = CELL_DOUBLE, .value = n.value, .yes = true};
        return 0;
    }
    rc = s->extended ? scan_b64(s, &text) : 0;
    if (rc != 0) {
        if (rc > 0)
            *cell =
                (struct cell){.kind = CELL_STRING, .text = text.data, .len = (uint32_t)text.len};
        return rc > 0 ? 0 : rc;
    }
    switch (scan_peek(s)) {
    case '"':
        rc = scan_string(s, &text);
        if (rc == 0)
            *cell =
                (struct cell){.kind = CELL_STRING, .text = text.data, .len = (uint32_t)text.len};
        return rc;
    case 't':
    case 'f':
        cell->kind = CELL_BOOL;
        return scan_bool(s, &cell->yes);
    case 'n':
        cell->kind = CELL_NULL;
        return scan_null(s);
    case 'N':
    case 'I':
        return scan_skip(s);
    case '{':
        return fail(s->c, ERR_BAD_REQUEST, "an object stands where a value must be (byte %zu)",
                    (size_t)(s->p - s->start));
    default:
        rc = scan_number(s, &n);
        if (rc < 0)
            return rc;
        *cell = cell_of(&n);
        return 0;
    }
}

/* The plain numbers at the beginning of an array whose '[' was read, with the commas between them;
 * returns how many. The cursor stands behind the last one. */
static int64_t scan_plain_numbers(struct scan *s, struct grid *g) {
    const char *p = s->p;
    struct number v = {0};
    int64_t n = 0;
    for (;; n++) {
        const char *q = p;
        if (n > 0 && *q++ != ',')
            break;
        q += *q == ' ';
        q = number_fast(q, s->end, &v);
        if (!q)
            break;
        *grid_push(g) = cell_of(&v);
        p = q;
    }
    s->p = p;
    return n;
}

static int ragged(struct scan *s, const char *where) {
    return fail(s->c, ERR_BAD_REQUEST,
                "%s: nested lists must all have the same length and depth (byte %zu)", where,
                (size_t)(s->p - s->start));
}

/* A scalar or nested lists of them, `axis` levels below the grid's outermost one. */
static int scan_value(struct scan *s, struct grid *g, size_t axis, const char *where) {
    if (scan_peek(s) != '[') {
        if (!g->rank_known) {
            g->rank_known = true;
            g->rank = axis;
        } else if (g->rank != axis) {
            return ragged(s, where);
        }
        return scan_scalar(s, grid_push(g));
    }
    if (axis == TENSOR_MAX_RANK)
        return fail(s->c, ERR_BAD_REQUEST, "%s: lists are nested deeper than %d levels", where,
                    TENSOR_MAX_RANK);
    if (g->rank_known && g->rank <= axis)
        return ragged(s, where);
    int64_t n = 0;
    int rc = scan_enter(s, '[');
    if (rc == 0 && (!g->rank_known || g->rank == axis + 1))
        n = scan_plain_numbers(s, g);
    if (n > 0) {
        g->rank_known = true;
        g->rank = axis + 1;
    }
    for (bool first = n == 0; rc == 0 && (rc = scan_more(s, ']', &first)) > 0; n++)
        rc = scan_value(s, g, axis + 1, where);
    if (rc < 0)
        return rc;
    if (!g->rank_known) {
        g->rank_known = true; /* empty lists all the way down */
        g->rank = axis + 1;
    }
    if (g->size_known[axis] && g->shape[axis] != n)
        return ragged(s, where);
    g->size_known[axis] = true;
    g->shape[axis] = n;
    return 0;
}

static void column_of_grid(struct column *col, const char *name, const struct grid *g) {
    *col = (struct column){.name = name, .cells = g->cells, .rank = g->rank, .width = 1};
    memcpy(col->shape, g->shape, sizeof col->shape);
    for (size_t i = 1; i < g->rank; i++)
        col->width *= (size_t)g->shape[i]; /* no overflow: that many cells were read */
    col->stride = col->width;
}

static int one_nameless(struct ctx *c, const struct grid *g, struct payload *out) {
    if (g->rank == 0)
        return fail(c, ERR_BAD_REQUEST, "a single value is no batch; put it into a list");
    out->columns = ARENA_NEW(c->arena, struct column);
    out->n = 1;
    column_of_grid(out->columns, NULL, g);
    out->rows = (size_t)g->shape[0];
    return 0;
}

/* ---- records ---- */

struct record_column {
    struct bytes key;
    struct grid *grid;
    size_t rows;
};
struct records {
    struct record_column *items;
    size_t n, cap;
    uint32_t *slots; /* index + 1 by hash of the key */
    size_t nslots;
    size_t next;    /* where the next key is expected: rows mostly repeat the order of the first */
    size_t lacking; /* cells made for rows that did not name a column */
};

static size_t key_hash(struct bytes key) {
    size_t h = 14695981039346656037u;
    for (size_t i = 0; i < key.len; i++)
        h = (h ^ (unsigned char)key.data[i]) * 1099511628211u;
    return h ^ h >> 29;
}

static bool same_key(struct bytes a, struct bytes b) {
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static void index_key(struct records *r, size_t i) {
    size_t at = key_hash(r->items[i].key) & (r->nslots - 1);
    while (r->slots[at])
        at = (at + 1) & (r->nslots - 1);
    r->slots[at] = (uint32_t)i + 1;
}

static void grow_records(struct ctx *c, struct records *r) {
    size_t cap = r->cap ? r->cap * 2 : 8;
    struct record_column *items = ARENA_ARRAY(c->arena, struct record_column, cap);
    if (r->n)
        memcpy(items, r->items, r->n * sizeof *items);
    r->items = items;
    r->cap = cap;
    r->nslots = cap * 2;
    r->slots = ARENA_ARRAY(c->arena, uint32_t, r->nslots);
    for (size_t i = 0; i < r->n; i++)
        index_key(r, i);
}

/* A short body can name many columns once and have many empty rows: their product is bounded. */
static int count_lacking(struct scan *s, struct records *r, size_t n) {
    r->lacking += n;
    if (r->lacking <= LACKING_MAX + (size_t)(s->end - s->start))
        return 0;
    return fail(s->c, ERR_BAD_REQUEST,
                "the rows lack too many of the %zu columns; send dataframe_split or rows with the "
                "same columns",
                r->n);
}

static int find_column(struct scan *s, struct records *r, struct bytes key, size_t row,
                       struct record_column **out) {
    if (r->next < r->n && same_key(r->items[r->next].key, key)) {
        *out = &r->items[r->next++];
        return 0;
    }
    for (size_t at = r->nslots ? key_hash(key) & (r->nslots - 1) : 0; r->nslots && r->slots[at];
         at = (at + 1) & (r->nslots - 1)) {
        size_t i = r->slots[at] - 1;
        if (same_key(r->items[i].key, key)) {
            r->next = i + 1;
            *out = &r->items[i];
            return 0;
        }
    }
    if (r->n == COLUMNS_MAX)
        return fail(s->c, ERR_BAD_REQUEST, "the rows have more than %d different columns",
                    COLUMNS_MAX);
    int rc = count_lacking(s, r, row);
    if (rc < 0)
        return rc;
    if (r->n == r->cap)
        grow_records(s->c, r);
    struct record_column *col = &r->items[r->n];
    *col = (struct record_column){.key = key, .grid = grid_new(s->c), .rows = row};
    for (size_t i = 0; i < row; i++)
        grid_push(col->grid); /* rows before it lack this column */
    if (row) {
        col->grid->rank_known = true;
        col->grid->rank = 1;
    }
    index_key(r, r->n++);
    r->next = r->n;
    *out = col;
    return 0;
}

static int scan_record(struct scan *s, struct records *r, size_t row, const char *member) {
    if (scan_peek(s) != '{')
        return fail(s->c, ERR_BAD_REQUEST, "%s[%zu] is %s; every row must be an object", member,
                    row, scan_kind(s));
    r->next = 0;
    int rc = scan_enter(s, '{');
    for (bool first = true; rc == 0 && (rc = scan_more(s, '}', &first)) > 0;) {
        struct bytes key;
        struct record_column *col = NULL;
        rc = scan_key(s, &key);
        if (rc == 0)
            rc = find_column(s, r, key, row, &col);
        if (rc == 0 && col->rows > row)
            rc = fail(s->c, ERR_BAD_REQUEST, "%s[%zu] has column '%.*s' twice", member, row,
                      (int)(key.len > 100 ? 100 : key.len), key.data);
        if (rc < 0)
            return rc;
        col->rows++;
        rc = scan_value(s, col->grid, 1, member);
    }
    for (size_t i = 0; rc == 0 && i < r->n; i++)
        if (r->items[i].rows == row) {
            struct grid *g = r->items[i].grid;
            if (g->rank > 1)
                return ragged(s, member);
            rc = count_lacking(s, r, 1);
            if (rc < 0)
                break;
            grid_push(g);
            r->items[i].rows++;
        }
    return rc;
}

static int records_done(struct scan *s, struct records *r, size_t rows, struct payload *out) {
    out->rows = rows;
    out->n = r->n;
    out->columns = ARENA_ARRAY(s->c->arena, struct column, r->n ? r->n : 1);
    for (size_t i = 0; i < r->n; i++) {
        const char *name;
        int rc = scan_text(s, r->items[i].key, &name);
        if (rc < 0)
            return rc;
        struct grid *g = r->items[i].grid;
        g->shape[0] = (int64_t)rows;
        column_of_grid(&out->columns[i], name, g);
    }
    return 0;
}

static int scan_records(struct scan *s, const char *member, struct payload *out) {
    struct records r = {0};
    size_t rows = 0;
    if (scan_peek(s) != '[')
        return fail(s->c, ERR_BAD_REQUEST, "%s is %s; it must be a list of objects", member,
                    scan_kind(s));
    int rc = scan_enter(s, '[');
    for (bool first = true; rc == 0 && (rc = scan_more(s, ']', &first)) > 0; rows++)
        rc = scan_record(s, &r, rows, member);
    return rc < 0 ? rc : records_done(s, &r, rows, out);
}

/* ---- dataframe_split ---- */

static int scan_names(struct scan *s, const char ***names, size_t *n) {
    size_t cap = 0;
    *n = 0;
    if (scan_peek(s) != '[')
        return fail(s->c, ERR_BAD_REQUEST, "dataframe_split.columns is %s; it must be a list",
                    scan_kind(s));
    int rc = scan_enter(s, '[');
    for (bool first = true; rc == 0 && (rc = scan_more(s, ']', &first)) > 0; (*n)++) {
        if (*n == COLUMNS_MAX)
            return fail(s->c, ERR_BAD_REQUEST, "dataframe_split has more than %d columns",
                        COLUMNS_MAX);
        *names = arena_room(s->c->arena, *names, *n, &cap, sizeof **names);
        struct bytes text = {0};
        char ch = scan_peek(s);
        if (ch == '"') {
            rc = scan_string(s, &text);
        } else if (ch >= '0' && ch <= '9') { /* a frame without names numbers its columns */
            struct number number;
            text.data = s->p;
            rc = scan_number(s, &number);
            text.len = (size_t)(s->p - text.data);
        } else {
            rc = fail(s->c, ERR_BAD_REQUEST,
                      "dataframe_split.columns[%zu] is %s; names are strings", *n, scan_kind(s));
        }
        if (rc == 0)
            rc = scan_text(s, text, &(*names)[*n]);
    }
    return rc;
}

static int split_done(struct ctx *c, const char **names, size_t n, const struct grid *g,
                      struct payload *out) {
    size_t rows = (size_t)g->shape[0];
    if (rows > 0 && g->rank != 2)
        return fail(c, ERR_BAD_REQUEST,
                    "dataframe_split.data must be a list of rows, each a list of plain values");
    if (rows > 0 && (size_t)g->shape[1] != n)
        return fail(c, ERR_BAD_REQUEST,
                    "dataframe_split has %zu columns, but its rows hold %zu values", n,
                    (size_t)g->shape[1]);
    out->rows = rows;
    out->n = n;
    out->matrix = true;
    out->columns = ARENA_ARRAY(c->arena, struct column, n ? n : 1);
    for (size_t i = 0; i < n; i++) {
        out->columns[i] = (struct column){
            .name = names[i], .cells = rows ? g->cells + i : NULL, .stride = n, .width = 1};
        out->columns[i].rank = 1;
        out->columns[i].shape[0] = (int64_t)rows;
    }
    return 0;
}

static int scan_split(struct scan *s, struct payload *out) {
    const char **names = NULL;
    size_t n = 0;
    struct grid *g = NULL;
    bool has_columns = false;
    if (scan_peek(s) != '{')
        return fail(s->c, ERR_BAD_REQUEST,
                    "dataframe_split is %s; it must be an object with columns "
                    "and data",
                    scan_kind(s));
    int rc = scan_enter(s, '{');
    for (bool first = true; rc == 0 && (rc = scan_more(s, '}', &first)) > 0;) {
        struct bytes key;
        rc = scan_key(s, &key);
        if (rc < 0)
            return rc;
        if (bytes_eq(key, "columns") && !has_columns) {
            rc = scan_names(s, &names, &n);
            has_columns = true;
        } else if (bytes_eq(key, "data") && !g) {
            g = grid_new(s->c);
            if (scan_peek(s) != '[')
                rc = fail(s->c, ERR_BAD_REQUEST, "dataframe_split.data is %s; it must be a list",
                          scan_kind(s));
            else
                rc = scan_value(s, g, 0, "dataframe_split.data");
        } else if (bytes_eq(key, "columns") || bytes_eq(key, "data")) {
            rc = fail(s->c, ERR_BAD_REQUEST, "dataframe_split holds a member twice");
        } else {
            rc = scan_skip(s); /* index */
        }
    }
    if (rc < 0)
        return rc;
    if (!g)
        return fail(s->c, ERR_BAD_REQUEST, "dataframe_split has no data");
    if (!has_columns) { /* pandas numbers them */
        n = g->rank == 2 ? (size_t)g->shape[1] : 0;
        names = ARENA_ARRAY(s->c->arena, const char *, n ? n : 1);
        for (size_t i = 0; i < n; i++)
            names[i] = arena_printf(s->c->arena, "%zu", i);
    }
    return split_done(s->c, names, n, g, out);
}

/* ---- inputs and instances ---- */

static int scan_named(struct scan *s, const char *member, struct payload *out) {
    size_t cap = 0;
    int rc = scan_enter(s, '{');
    for (bool first = true; rc == 0 && (rc = scan_more(s, '}', &first)) > 0; out->n++) {
        struct bytes key;
        const char *name = NULL;
        if (out->n == COLUMNS_MAX)
            return fail(s->c, ERR_BAD_REQUEST, "%s has more than %d members", member, COLUMNS_MAX);
        out->columns = arena_room(s->c->arena, out->columns, out->n, &cap, sizeof *out->columns);
        rc = scan_key(s, &key);
        if (rc == 0)
            rc = scan_text(s, key, &name);
        struct grid *g = grid_new(s->c);
        if (rc == 0)
            rc = scan_value(s, g, 0, name);
        if (rc < 0)
            return rc;
        if (g->rank == 0)
            return fail(s->c, ERR_BAD_REQUEST, "%s.%s is a single value; it must be a list", member,
                        name);
        column_of_grid(&out->columns[out->n], name, g);
        if (out->n == 0)
            out->rows = (size_t)g->shape[0];
        else if (out->rows != (size_t)g->shape[0])
            return fail(s->c, ERR_BAD_REQUEST, "%s.%s has %zu rows, %s.%s has %zu", member, name,
                        (size_t)g->shape[0], member, out->columns[0].name, out->rows);
    }
    return rc;
}

static int scan_tensor(struct scan *s, const char *member, struct payload *out) {
    if (scan_peek(s) != '[')
        return fail(s->c, ERR_BAD_REQUEST, "%s is %s; it must be a list%s", member, scan_kind(s),
                    strcmp(member, "inputs") == 0 ? " or an object of lists" : "");
    struct grid *g = grid_new(s->c);
    int rc = scan_value(s, g, 0, member);
    return rc < 0 ? rc : one_nameless(s->c, g, out);
}

static int scan_instances(struct scan *s, struct payload *out) {
    struct scan ahead = *s;
    if (scan_peek(&ahead) == '[') {
        ahead.p++;
        if (scan_peek(&ahead) == '{')
            return scan_records(s, "instances", out);
    }
    return scan_tensor(s, "instances", out);
}

int payload_value(struct scan *s, const char *member, struct payload *out) {
    *out = (struct payload){0};
    if (scan_peek(s) == '{')
        return scan_named(s, member, out);
    struct scan ahead = *s;
    struct bytes text;
    if (scan_peek(&ahead) == '[') {
        ahead.p++;
        if (scan_peek(&ahead) == '{' && scan_b64(&ahead, &text) == 0)
            return scan_records(s, member, out);
        err_clear(s->c); /* bad base64 is told where it is read */
    }
    return scan_tensor(s, member, out);
}

/* Kept as text: what becomes of it depends on the model. */
static int scan_params(struct scan *s, struct bytes *out) {
    char ch = scan_peek(s);
    const char *from = s->p;
    if (ch != '{' && ch != 'n')
        return fail(s->c, ERR_BAD_REQUEST, "params is %s; it must be an object", scan_kind(s));
    int rc = scan_skip(s);
    if (rc == 0 && ch == '{')
        *out = (struct bytes){from, (size_t)(s->p - from)};
    return rc;
}

static const char forms_text[] = "exactly one of dataframe_split, dataframe_records, instances and "
                                 "inputs";

static int scan_json(struct ctx *c, const char *body, size_t n, struct payload *out) {
    struct scan s;
    bool found = false;
    scan_init(&s, c, body, n);
    if (scan_peek(&s) == 0)
        return fail(c, ERR_BAD_REQUEST, "the body is empty; it must be a JSON object with %s",
                    forms_text);
    if (scan_peek(&s) != '{')
        return fail(c, ERR_BAD_REQUEST, "the body is %s; it must be an object with %s",
                    scan_kind(&s), forms_text);
    int rc = scan_enter(&s, '{');
    for (bool first = true; rc == 0 && (rc = scan_more(&s, '}', &first)) > 0;) {
        struct bytes key;
        rc = scan_key(&s, &key);
        if (rc < 0)
            return rc;
        if (bytes_eq(key, "params")) {
            rc = scan_params(&s, &out->params);
            continue;
        }
        bool split = bytes_eq(key, "dataframe_split"), records = bytes_eq(key, "dataframe_records");
        bool instances = bytes_eq(key, "instances"), inputs = bytes_eq(key, "inputs");
        if (bytes_eq(key, "signature_name"))
            return fail_field(c, ERR_BAD_REQUEST, "signature_name",
                              "signature_name is not taken: a model has one signature here");
        if (!split && !records && !instances && !inputs) {
            rc = scan_skip(&s); /* as MLflow's server does */
            continue;
        }
        if (found)
            return fail(c, ERR_BAD_REQUEST, "the body holds more than one input; it must hold %s",
                        forms_text);
        found = true;
        out->frame = split || records;
        if (split)
            rc = scan_split(&s, out);
        else if (records)
            rc = scan_records(&s, "dataframe_records", out);
        else if (instances)
            rc = scan_instances(&s, out);
        else
            rc = scan_peek(&s) == '{' ? scan_named(&s, "inputs", out)
                                      : scan_tensor(&s, "inputs", out);
        out->named = !out->frame && (out->n != 1 || out->columns[0].name);
    }
    if (rc == 0)
        rc = scan_end(&s);
    if (rc == 0 && !found)
        rc = fail(c, ERR_BAD_REQUEST, "the body holds no input; it must hold %s", forms_text);
    return rc;
}

/* "type/subtype" and nothing but a charset of utf-8. */
static int check_type(struct ctx *c, const char *content_type, bool *csv) {
    size_t n = strcspn(content_type, ";");
    const char *rest = content_type + n;
    while (n > 0 && (content_type[n - 1] == ' ' || content_type[n - 1] == '\t'))
        n--;
    *csv = n == 8 && strncasecmp(content_type, "text/csv", 8) == 0;
    if (n != 0 && !*csv && !(n == 16 && strncasecmp(content_type, "application/json", 16) == 0))
        return fail(c, ERR_MEDIA_TYPE,
                    "content type '%.*s' is not served; send application/json or text/csv",
                    (int)(n > 80 ? 80 : n), content_type);
    while (*rest == ';' || *rest == ' ' || *rest == '\t')
        rest++;
    if (*rest && strcasecmp(rest, "charset=utf-8") != 0 &&
        strcasecmp(rest, "charset=\"utf-8\"") != 0)
        return fail(c, ERR_MEDIA_TYPE,
                    "the only parameter a content type may have is charset=utf-8");
    return 0;
}

int payload_scan(struct ctx *c, const char *content_type, const char *body, size_t n,
                 struct payload *out) {
    bool csv;
    *out = (struct payload){0};
    int rc = check_type(c, content_type, &csv);
    if (rc < 0)
        return rc;
    rc = csv ? csv_scan(c, body, n, out) : scan_json(c, body, n, out);
    /* Values that are wrong for the model are ERR_INVALID; a body that cannot be read is not. */
    if (rc == -ERR_INVALID) {
        c->err.code = ERR_BAD_REQUEST;
        rc = -ERR_BAD_REQUEST;
    }
    return rc;
}
