/* SPDX-License-Identifier: Apache-2.0 */
/* CSV as RFC 4180 has it, with pandas' habits: a header line, blank lines skipped, LF or CRLF. */
#include <string.h>

#include "payload.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

struct csv {
    struct ctx *c;
    const char *p, *end;
    size_t line;
};

static struct bytes without_doubled(struct ctx *c, const char *start, const char *close) {
    char *copy = arena_alloc(c->arena, (size_t)(close - start) + 1), *o = copy;
    for (const char *p = start; p < close; p++) {
        *o++ = *p;
        p += *p == '"';
    }
    return (struct bytes){copy, (size_t)(o - copy)};
}

/* One field; *last tells that its line ends with it. */
static int scan_field(struct csv *s, struct bytes *out, bool *last) {
    if (s->p < s->end && *s->p == '"') {
        const char *start = ++s->p;
        size_t doubled = 0;
        for (;; s->p++) {
            if (s->p >= s->end)
                return fail(s->c, ERR_BAD_REQUEST, "CSV line %zu: a quoted field does not end",
                            s->line);
            s->line += *s->p == '\n';
            if (*s->p != '"')
                continue;
            if (s->p + 1 >= s->end || s->p[1] != '"')
                break;
            doubled++;
            s->p++;
        }
        *out = doubled ? without_doubled(s->c, start, s->p)
                       : (struct bytes){start, (size_t)(s->p - start)};
        s->p++;
    } else {
        const char *start = s->p;
        while (s->p < s->end && *s->p != ',' && *s->p != '\n' && *s->p != '"')
            s->p++;
        *out = (struct bytes){start, (size_t)(s->p - start)};
        if (out->len && start[out->len - 1] == '\r' && (s->p >= s->end || *s->p == '\n'))
            out->len--;
    }
    *last = true;
    if (s->p >= s->end)
        return 0;
    if (*s->p == ',') {
        s->p++;
        *last = false;
        return 0;
    }
    if (*s->p == '\r' && s->p + 1 < s->end && s->p[1] == '\n')
        s->p++;
    if (*s->p != '\n')
        return fail(s->c, ERR_BAD_REQUEST, "CSV line %zu: a quote stands inside a field", s->line);
    s->p++;
    s->line++;
    return 0;
}

static bool skip_blank(struct csv *s) {
    for (;;) {
        if (s->p < s->end && *s->p == '\n')
            s->p++;
        else if (s->end - s->p >= 2 && s->p[0] == '\r' && s->p[1] == '\n')
            s->p += 2;
        else
            return s->p < s->end;
        s->line++;
    }
}

static int scan_line(struct csv *s, struct grid *g, size_t *fields) {
    bool last = false;
    *fields = 0;
    while (!last) {
        struct bytes text = {0};
        int rc = scan_field(s, &text, &last);
        if (rc < 0)
            return rc;
        struct cell *cell = grid_push(g);
        cell->kind = CELL_TEXT;
        cell->text = text.data;
        cell->len = (uint32_t)text.len;
        ++*fields;
    }
    return 0;
}

int csv_scan(struct ctx *c, const char *body, size_t n, struct payload *out) {
    if (!utf8_valid(body, n) || memchr(body, 0, n))
        return fail(c, ERR_BAD_REQUEST, "the CSV body is not UTF-8 text");
    struct csv s = {.c = c, .p = body, .end = body + n, .line = 1};
    if (n >= 3 && memcmp(body, "\xEF\xBB\xBF", 3) == 0)
        s.p += 3;
    if (!skip_blank(&s))
        return fail(c, ERR_BAD_REQUEST,
                    "the CSV body is empty; it must begin with a line of names");
    struct grid *names = grid_new(c), *g = grid_new(c);
    size_t width, rows = 0;
    int rc = scan_line(&s, names, &width);
    while (rc == 0 && skip_blank(&s)) {
        size_t fields, line = s.line;
        rc = scan_line(&s, g, &fields);
        if (rc == 0 && fields != width)
            rc = fail(c, ERR_BAD_REQUEST, "CSV line %zu has %zu fields; its header has %zu", line,
                      fields, width);
        rows++;
    }
    if (rc < 0)
        return rc;
    *out = (struct payload){.frame = true, .matrix = true, .rows = rows, .n = width};
    out->columns = ARENA_ARRAY(c->arena, struct column, width);
    for (size_t i = 0; i < width; i++) {
        struct column *col = &out->columns[i];
        col->name = arena_strndup(c->arena, names->cells[i].text, names->cells[i].len);
        col->cells = rows ? g->cells + i : NULL;
        col->stride = width;
        col->width = 1;
        col->rank = 1;
        col->shape[0] = (int64_t)rows;
    }
    return 0;
}
