/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "number.h"
#include "payload.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "tensor_print.h"

/* ---- cells ---- */

static const char *store_number(const struct cell *cell, enum dtype t, void *element) {
    if (cell->kind == CELL_DOUBLE && cell->yes && isinf(cell->value)) {
        if (t == DT_FP32)
            *(float *)element = (float)cell->value;
        else if (t == DT_FP64)
            *(double *)element = cell->value;
        else
            return "wants a finite number";
        return NULL;
    }
    struct number n = {.negative = cell->negative};
    if (cell->kind == CELL_INTEGER) {
        n.integer = true;
        n.magnitude = cell->magnitude;
        n.value = (double)cell->magnitude;
        if (n.negative)
            n.value = -n.value;
    } else {
        n.value = cell->value;
        n.negative = signbit(cell->value);
    }
    return number_store(&n, t, false, element);
}

static bool word_is(const char *s, size_t n, const char *const *words) {
    for (; *words; words++)
        if (strlen(*words) == n && strncasecmp(s, *words, n) == 0)
            return true;
    return false;
}

static const char *store_missing(enum dtype t, void *element) {
    struct number n = {.value = (double)NAN};
    if (t == DT_FP32 || t == DT_FP64)
        return number_store(&n, t, false, element);
    return "must not be missing";
}

static const char *store_text(const struct cell *cell, enum dtype t, void *element) {
    static const char *const missing[] = {"", "nan", "na", "n/a", "null", "none", NULL};
    static const char *const yes[] = {"true", "1", NULL}, *const no[] = {"false", "0", NULL};
    const char *s = cell->text;
    size_t n = cell->len;
    if (t == DT_BYTES) {
        memcpy(element, &(struct bytes){s, n}, sizeof(struct bytes));
        return NULL;
    }
    while (n > 0 && (*s == ' ' || *s == '\t')) {
        s++;
        n--;
    }
    while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'))
        n--;
    if (word_is(s, n, missing))
        return store_missing(t, element);
    if (t == DT_BOOL) {
        bool is = word_is(s, n, yes);
        if (!is && !word_is(s, n, no))
            return "wants true or false";
        *(unsigned char *)element = is;
        return NULL;
    }
    struct number number;
    const char *from = *s == '+' ? s + 1 : s;
    /* Behind a field stands a comma, a line end, a quote or the body's NUL: no part of a number. */
    const char *end = number_scan(from, s + n, &number);
    if (end != s + n)
        return "wants a number";
    return number_store(&number, t, false, element);
}

static const char *store_cell(const struct cell *cell, enum dtype t, bool frame, void *element) {
    switch (cell->kind) {
    case CELL_NULL:
        return store_missing(t, element);
    case CELL_BOOL:
        if (t == DT_BOOL) {
            *(unsigned char *)element = cell->yes;
            return NULL;
        }
        if (t == DT_BYTES || !frame)
            return t == DT_BYTES ? "wants a string" : "wants a number";
        return store_number(&(struct cell){.kind = CELL_INTEGER, .magnitude = cell->yes}, t,
                            element);
    case CELL_STRING:
        if (t == DT_BYTES) {
            memcpy(element, &(struct bytes){cell->text, cell->len}, sizeof(struct bytes));
            return NULL;
        }
        return t == DT_BOOL ? "wants true or false" : "wants a number";
    case CELL_TEXT:
        return store_text(cell, t, element);
    default:
        return store_number(cell, t, element);
    }
}

static const char *cell_text(struct ctx *c, const struct cell *cell) {
    switch (cell->kind) {
    case CELL_NULL:
        return "null";
    case CELL_BOOL:
        return cell->yes ? "true" : "false";
    case CELL_INTEGER:
        return arena_printf(c->arena, "%s%llu", cell->negative ? "-" : "",
                            (unsigned long long)cell->magnitude);
    case CELL_DOUBLE:
        return arena_printf(c->arena, "%.17g", cell->value);
    default:
        return "a string";
    }
}

static int cell_fail(struct ctx *c, const char *name, size_t row, const struct cell *cell,
                     enum dtype t, const char *wants) {
    return fail_field(c, ERR_BAD_REQUEST, name, "column '%s', row %zu is %s; %s %s", name, row,
                      cell_text(c, cell), dtype_name(t), wants);
}

/* ---- columns to tensors ---- */

static const struct column *find(const struct payload *p, const char *name, size_t hint) {
    if (hint < p->n && p->columns[hint].name && strcmp(p->columns[hint].name, name) == 0)
        return &p->columns[hint];
    for (size_t i = 0; i < p->n; i++)
        if (p->columns[i].name && strcmp(p->columns[i].name, name) == 0)
            return &p->columns[i];
    return NULL;
}

static const char *names_text(struct ctx *c, const struct payload *p) {
    struct buf text = {0};
    for (size_t i = 0; i < p->n && text.len < 300; i++)
        buf_printf(&text, "%s'%.60s'", i ? ", " : "", p->columns[i].name ? p->columns[i].name : "");
    if (!p->n)
        buf_puts(&text, "none");
    char *copy = arena_strndup(c->arena, text.data, text.len);
    buf_free(&text);
    return copy;
}

static int fill(struct ctx *c, const struct payload *p, const struct column *col,
                struct tensor *t) {
    size_t size = dtype_size(t->dtype);
    t->data = arena_alloc_n(c->arena, t->count ? t->count : 1, size);
    char *o = t->data;
    for (size_t r = 0; r < p->rows; r++)
        for (size_t i = 0; i < col->width; i++, o += size) {
            const struct cell *cell = &col->cells[r * col->stride + i];
            const char *wants = store_cell(cell, t->dtype, p->frame, o);
            if (wants)
                return cell_fail(c, col->name ? col->name : t->name, r, cell, t->dtype, wants);
        }
    return 0;
}

/* One column as one input. A plain column meets [n, 1] and [n] alike. */
static int bind_column(struct ctx *c, const struct payload *p, const struct column *col,
                       const struct tensor_spec *spec, struct tensor *t) {
    *t = (struct tensor){.name = spec->name, .dtype = spec->dtype, .rank = col->rank};
    memcpy(t->shape, col->shape, sizeof t->shape);
    t->count = p->rows * col->width;
    if (col->rank == 1 && spec->rank == 2 && col->name &&
        (spec->shape[1] == 1 || spec->shape[1] < 0)) {
        t->rank = 2;
        t->shape[1] = 1;
    } else if (col->rank == 2 && col->shape[1] == 1 && spec->rank == 1) {
        t->rank = 1;
    }
    return fill(c, p, col, t);
}

static int matrix_width(struct ctx *c, const struct tensor_spec *spec, size_t n, const char *of) {
    if (spec->rank == 2 && spec->shape[1] >= 0 && (size_t)spec->shape[1] != n)
        return fail_field(c, ERR_BAD_REQUEST, spec->name,
                          "%s has %zu columns; input '%s' of the model wants %lld", of, n,
                          spec->name, (long long)spec->shape[1]);
    return 0;
}

/* All columns side by side as the model's one input. */
static int bind_matrix(struct ctx *c, const struct payload *p, const struct model_inputs *m,
                       struct tensor *t) {
    const struct tensor_spec *spec = &m->specs[0];
    bool by_name = m->nfeatures > 0 && spec->rank == 2 &&
                   (spec->shape[1] < 0 || (size_t)spec->shape[1] == m->nfeatures);
    /* A frame whose columns were only numbered carries no names to go by. */
    if (by_name && p->n == m->nfeatures && p->n > 0 && !find(p, m->features[0], 0) &&
        strcmp(p->columns[0].name, "0") == 0)
        by_name = false;
    size_t n = by_name ? m->nfeatures : p->n;
    const struct column **order = ARENA_ARRAY(c->arena, const struct column *, n ? n : 1);
    for (size_t i = 0; i < n; i++) {
        order[i] = by_name ? find(p, m->features[i], i) : &p->columns[i];
        if (!order[i])
            return fail_field(c, ERR_INVALID, m->features[i],
                              "column '%s' is missing; the request has %s", m->features[i],
                              names_text(c, p));
        if (order[i]->width != 1)
            return fail_field(c, ERR_BAD_REQUEST, order[i]->name,
                              "column '%s' holds lists; input '%s' of the model wants plain values",
                              order[i]->name, spec->name);
    }
    int rc = matrix_width(c, spec, n, "the request");
    if (rc < 0)
        return rc;
    *t = (struct tensor){.name = spec->name, .dtype = spec->dtype, .rank = 2};
    t->shape[0] = (int64_t)p->rows;
    t->shape[1] = (int64_t)n;
    t->count = p->rows * n;
    size_t size = dtype_size(t->dtype);
    t->data = arena_alloc_n(c->arena, t->count ? t->count : 1, size);
    char *o = t->data;
    for (size_t r = 0; r < p->rows; r++)
        for (size_t i = 0; i < n; i++, o += size) {
            const struct cell *cell = &order[i]->cells[r * order[i]->stride];
            const char *wants = store_cell(cell, t->dtype, p->frame, o);
            if (wants)
                return cell_fail(c, order[i]->name, r, cell, t->dtype, wants);
        }
    return 0;
}

/* A nameless matrix for a model with an input per column: columns in the model's order. */
static int spread_matrix(struct ctx *c, const struct payload *p, const struct model_inputs *m,
                         struct tensor *tensors) {
    const struct column *all = &p->columns[0];
    if (all->rank != 2 || (size_t)all->shape[1] != m->n)
        return fail(
            c, ERR_BAD_REQUEST,
            "the model has %zu inputs ('%s', ...): name the columns, or send rows of %zu values",
            m->n, m->specs[0].name, m->n);
    for (size_t i = 0; i < m->n; i++) {
        struct column one = {.name = m->specs[i].name,
                             .cells = all->cells + i,
                             .stride = all->stride,
                             .width = 1,
                             .rank = 1};
        one.shape[0] = all->shape[0];
        int rc = bind_column(c, p, &one, &m->specs[i], &tensors[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int payload_bind(struct ctx *c, const struct payload *p, const struct model_inputs *m,
                 struct tensor **tensors) {
    struct tensor *t = *tensors = ARENA_ARRAY(c->arena, struct tensor, m->n);
    bool nameless = p->n == 1 && !p->columns[0].name;
    if (nameless && m->n > 1)
        return spread_matrix(c, p, m, t);
    if (m->n == 1) {
        const struct column *own = nameless ? &p->columns[0] : find(p, m->specs[0].name, 0);
        /* A frame of one column may call it what it likes, unless the signature names columns. */
        if (!own && p->n == 1 && p->frame &&
            (m->nfeatures == 0 || p->columns[0].width > 1 ||
             (m->nfeatures == 1 && strcmp(m->features[0], p->columns[0].name) == 0)))
            own = &p->columns[0];
        if (own && p->n == 1)
            return bind_column(c, p, own, &m->specs[0], t);
        if (!p->frame && own)
            return fail(c, ERR_BAD_REQUEST, "the model has one input, '%s'; the request has %s",
                        m->specs[0].name, names_text(c, p));
        return bind_matrix(c, p, m, t);
    }
    for (size_t i = 0; i < m->n; i++) {
        const struct column *col = find(p, m->specs[i].name, i);
        if (!col)
            return fail_field(c, ERR_INVALID, m->specs[i].name,
                              "column '%s' is missing; the request has %s", m->specs[i].name,
                              names_text(c, p));
        int rc = bind_column(c, p, col, &m->specs[i], &t[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* A number reads as it does in a tensor, so that one key is one key in every protocol. */
static const char *key_text(struct ctx *c, const struct cell *cell) {
    struct tensor one = {.count = 1};
    struct text o;
    double value = cell->value;
    int64_t integer;
    switch (cell->kind) {
    case CELL_STRING:
    case CELL_TEXT:
        return arena_strndup(c->arena, cell->text, cell->len);
    case CELL_BOOL:
        return cell->yes ? "true" : "false";
    case CELL_INTEGER:
        if (cell->magnitude > INT64_MAX)
            return NULL;
        integer = cell->negative ? -(int64_t)cell->magnitude : (int64_t)cell->magnitude;
        one.dtype = DT_INT64;
        one.data = &integer;
        break;
    case CELL_DOUBLE:
        one.dtype = DT_FP64;
        one.data = &value;
        break;
    default:
        return NULL;
    }
    text_init(&o, c->arena, 32);
    text_element(&o, &one, 0);
    return arena_strndup(c->arena, o.data, o.len);
}

const char *payload_field(struct ctx *c, const struct payload *p, const char *name) {
    const struct column *col = find(p, name, 0);
    return col && p->rows && col->width ? key_text(c, col->cells) : NULL;
}
