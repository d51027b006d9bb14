/* SPDX-License-Identifier: Apache-2.0 */
#include "batch_print.h"

#include <stdio.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"
#include "tensor_print.h"

/* ---- CSV ---- */

static void put_field(struct buf *o, const char *s, size_t n) {
    bool plain = true;
    for (size_t i = 0; i < n && plain; i++)
        plain = s[i] != ',' && s[i] != '"' && s[i] != '\n' && s[i] != '\r';
    if (plain && n && s[0] != ' ' && s[n - 1] != ' ') {
        buf_put(o, s, n);
        return;
    }
    if (!n)
        return;
    buf_putc(o, '"');
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '"')
            buf_putc(o, '"');
        buf_putc(o, s[i]);
    }
    buf_putc(o, '"');
}

static size_t width_of(const struct tensor *t) {
    size_t w = 1;
    for (size_t d = 1; d < t->rank; d++)
        w *= (size_t)t->shape[d];
    return w;
}

const char *page_header(struct ctx *c, const struct batch_page *p) {
    struct buf o = {0};
    buf_puts(&o, "row");
    for (size_t i = 0; i < p->nkeep; i++) {
        buf_putc(&o, ',');
        put_field(&o, p->keep[i]->name, strlen(p->keep[i]->name));
    }
    for (size_t i = 0; i < p->n; i++) {
        const struct tensor *t = &p->outputs[i];
        size_t w = width_of(t);
        for (size_t k = 0; k < w; k++) {
            const char *name = t->classes ? arena_printf(c->arena, "%s_%s", t->name, t->classes[k])
                               : w > 1    ? arena_printf(c->arena, "%s_%zu", t->name, k)
                                          : t->name;
            buf_putc(&o, ',');
            put_field(&o, name, strlen(name));
        }
    }
    buf_putc(&o, '\n');
    char *text = arena_strndup(c->arena, o.data, o.len);
    buf_free(&o);
    return text;
}

/* A cell as the text that it was, or would be, in CSV; false for none. */
static bool cell_text(const struct cell *cell, char number[48], const char **s, size_t *n) {
    *s = number;
    switch (cell->kind) {
    case CELL_NULL:
        return false;
    case CELL_BOOL:
        *s = cell->yes ? "true" : "false";
        *n = strlen(*s);
        return true;
    case CELL_INTEGER:
        *n = (size_t)snprintf(number, 48, "%s%llu", cell->negative ? "-" : "",
                              (unsigned long long)cell->magnitude);
        return true;
    case CELL_DOUBLE:
        *n = json_double(cell->value, number);
        return true;
    default:
        *s = cell->text;
        *n = cell->len;
        return true;
    }
}

static void csv_cell(struct buf *o, const struct column *col, size_t i) {
    char number[48];
    const char *s;
    size_t n;
    for (size_t k = 0; k < col->width; k++) { /* lists: their values, with blanks between */
        if (k)
            buf_putc(o, ' ');
        if (cell_text(&col->cells[i * col->stride + k], number, &s, &n))
            put_field(o, s, n);
    }
}

static void csv_element(struct ctx *c, struct buf *o, const struct tensor *t, size_t i) {
    if (t->dtype == DT_BYTES) {
        const struct bytes *b = (const struct bytes *)t->data + i;
        put_field(o, b->data, b->len);
        return;
    }
    struct text text;
    text_init(&text, c->arena, 40);
    text_element(&text, t, i);
    if (text.len != 4 || memcmp(text.data, "null", 4) != 0) /* what is not finite stays empty */
        buf_put(o, text.data, text.len);
}

/* ---- JSON ---- */

static void json_cell(struct text *o, const struct cell *cell) {
    char number[48];
    const char *s;
    size_t n;
    if (!cell_text(cell, number, &s, &n))
        text_puts(o, "null");
    else if (cell->kind == CELL_STRING || cell->kind == CELL_TEXT)
        text_string(o, s, n);
    else
        text_put(o, s, n);
}

static void json_column(struct text *o, const struct column *col, size_t i) {
    if (col->rank <= 1) {
        json_cell(o, &col->cells[i * col->stride]);
        return;
    }
    text_put(o, "[", 1);
    for (size_t k = 0; k < col->width; k++) {
        if (k)
            text_put(o, ",", 1);
        json_cell(o, &col->cells[i * col->stride + k]);
    }
    text_put(o, "]", 1);
}

static void json_key(struct text *o, const char *name) {
    text_put(o, ",", 1);
    text_string(o, name, strlen(name));
    text_put(o, ":", 1);
}

static void json_row(struct ctx *c, const struct batch_page *p, size_t i, int64_t row,
                     struct buf *out) {
    struct text o;
    text_init(&o, c->arena, 256);
    text_puts(&o, "{\"row\":");
    text_i64(&o, row);
    for (size_t k = 0; k < p->nkeep; k++) {
        json_key(&o, p->keep[k]->name);
        json_column(&o, p->keep[k], i);
    }
    for (size_t k = 0; k < p->n; k++) {
        const struct tensor *t = &p->outputs[k];
        size_t w = width_of(t);
        json_key(&o, t->name);
        if (w == 1 && !t->classes)
            text_element(&o, t, i);
        else
            text_nested(&o, t, 1, i * w);
    }
    text_puts(&o, "}\n");
    buf_put(out, o.data, o.len);
}

void page_row(struct ctx *c, const struct batch_page *p, bool csv, size_t i, int64_t row,
              struct buf *out) {
    if (!csv) {
        json_row(c, p, i, row, out);
        return;
    }
    buf_printf(out, "%lld", (long long)row);
    for (size_t k = 0; k < p->nkeep; k++) {
        buf_putc(out, ',');
        csv_cell(out, p->keep[k], i);
    }
    for (size_t k = 0; k < p->n; k++) {
        size_t w = width_of(&p->outputs[k]);
        for (size_t j = 0; j < w; j++) {
            buf_putc(out, ',');
            csv_element(c, out, &p->outputs[k], i * w + j);
        }
    }
    buf_putc(out, '\n');
}
