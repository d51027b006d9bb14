/* SPDX-License-Identifier: Apache-2.0 */
/* Rows as CSV and as JSON lines. In CSV texts are quoted and nothing else is, so that an empty text
 * and no value differ. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "flat.h"
#include "quern/base/buf.h"
#include "quern/json/json_out.h"

static void quoted(struct buf *out, const char *s) {
    buf_putc(out, '"');
    for (const char *q; (q = strchr(s, '"')); s = q + 1) {
        buf_put(out, s, (size_t)(q - s));
        buf_puts(out, "\"\"");
    }
    buf_puts(out, s);
    buf_putc(out, '"');
}

static void number(struct buf *out, const json_t *v) {
    char t[32];
    if (json_is_integer(v)) {
        buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        return;
    }
    buf_put(out, t, json_double(json_real_value(v), t));
}

void flat_csv_head(const struct flat *f, struct buf *out) {
    for (size_t i = 0; i < f->n; i++) {
        if (i)
            buf_putc(out, ',');
        quoted(out, f->order[i]->name);
    }
    buf_putc(out, '\n');
}

/* What does not fit the column's type, because it came after the types were told, is left out. */
static void csv_cell(struct buf *out, const struct flat_column *k, enum flat_type t) {
    const json_t *v = k->value;
    bool digits = json_is_number(v);
    if (!v)
        return;
    if (t == FLAT_TEXT && json_is_string(v)) {
        quoted(out, json_string_value(v));
    } else if (t == FLAT_TEXT) {
        buf_putc(out, '"');
        digits ? number(out, v) : buf_puts(out, json_is_true(v) ? "true" : "false");
        buf_putc(out, '"');
    } else if (t == FLAT_BOOL && json_is_boolean(v)) {
        buf_puts(out, json_is_true(v) ? "true" : "false");
    } else if ((t == FLAT_INT && json_is_integer(v)) || (t == FLAT_REAL && digits)) {
        number(out, v);
    } else if (t == FLAT_REAL && json_is_string(v)) {
        const char *s = json_string_value(v);
        if (strcmp(s, "NaN") == 0 || strcmp(s, "Infinity") == 0 || strcmp(s, "-Infinity") == 0)
            buf_puts(out, s);
    }
}

void flat_csv_row(const struct flat *f, struct buf *out) {
    for (size_t i = 0; i < f->n; i++) {
        if (i)
            buf_putc(out, ',');
        csv_cell(out, f->order[i], flat_type(f->order[i]));
    }
    buf_putc(out, '\n');
}

void flat_json_row(const struct flat *f, struct buf *out) {
    struct json_writer w;
    jw_init(&w, out);
    jw_obj(&w);
    for (size_t i = 0; i < f->n; i++) {
        const struct flat_column *k = f->order[i];
        if (!k->value)
            continue;
        jw_key(&w, k->name);
        jw_tree(&w, k->value);
    }
    jw_obj_end(&w);
    buf_putc(out, '\n');
}
