/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "quern/base/buf.h"
#include "quern/http/server.h"

/* The rows as a page for people: docs/generated/api.md. */

static const char *lane_text(enum lane l) {
    switch (l) {
    case LANE_READ:
        return "read";
    case LANE_WRITE:
        return "write";
    case LANE_WORK:
        return "work";
    case LANE_CALL:
        return "call";
    case LANE_UNSET:
        break;
    }
    return "unset";
}

static void type_text(const struct field *f, struct buf *out) {
    switch (f->type) {
    case T_STR:
        buf_puts(out, "string");
        break;
    case T_I64:
        buf_puts(out, "integer");
        break;
    case T_F64:
        buf_puts(out, "number");
        break;
    case T_BOOL:
        buf_puts(out, "boolean");
        break;
    case T_ENUM:
        for (const char *const *n = f->names; n && *n; n++)
            buf_printf(out, "%s`%s`", n == f->names ? "" : ", ", *n);
        break;
    case T_OBJ:
        buf_printf(out, "%s", f->sub->name);
        break;
    case T_LIST:
        buf_printf(out, "list of %s", f->sub->name);
        break;
    case T_STRS:
        buf_puts(out, "list of strings");
        break;
    case T_JSON:
        buf_puts(out, "any");
        break;
    case T_MAP:
        buf_puts(out, "object of strings");
        break;
    case T_FMAP:
        buf_puts(out, "object of numbers");
        break;
    }
}

/* A '|' would end the table's cell. */
static void cell(struct buf *out, const char *text) {
    for (const char *p = text ? text : ""; *p; p++) {
        if (*p == '|')
            buf_putc(out, '\\');
        buf_putc(out, *p == '\n' ? ' ' : *p);
    }
}

static void fields(const struct shape *s, bool input, struct buf *out) {
    buf_puts(out, input ? "| field | in | type | |\n|---|---|---|---|\n"
                        : "| field | type | |\n|---|---|---|\n");
    for (size_t i = 0; i < s->n; i++) {
        const struct field *f = &s->fields[i];
        buf_printf(out, "| `%s`%s ", f->name, input && (f->flags & F_REQUIRED) ? " *" : "");
        if (input)
            buf_printf(out, "| %s ",
                       f->flags & F_PATH    ? "path"
                       : f->flags & F_QUERY ? "query"
                                            : "body");
        buf_puts(out, "| ");
        type_text(f, out);
        buf_puts(out, " | ");
        cell(out, f->doc);
        buf_puts(out, " |\n");
    }
    buf_puts(out, "\n");
}

static void one_route(const struct route *row, struct buf *out) {
    buf_printf(out, "### %s %s\n\n%s\n\n", row->method, row->path, row->summary);
    buf_printf(out, "`%s` · permission %s · lane %s", row->id, perm_name(row->perm),
               lane_text(row->lane));
    if (row->flags & ROUTE_MLFLOW_AJAX)
        buf_puts(out, " · also under `/ajax-api`");
    if (row->flags & ROUTE_UPLOAD)
        buf_puts(out, " · the body is streamed");
    if (row->flags & ROUTE_AUDIT)
        buf_puts(out, " · audited");
    if (row->body_cap)
        buf_printf(out, " · body up to %u bytes", row->body_cap);
    buf_puts(out, "\n\n");
    if (row->in && row->in->n) {
        buf_puts(out, "Takes (* is required):\n\n");
        fields(row->in, true, out);
    }
    if (row->out && row->out->n) {
        buf_puts(out, "Answers:\n\n");
        fields(row->out, false, out);
    }
}

void routes_markdown(const struct route_list *routes, struct buf *out) {
    size_t n = 0;
    for (const struct route_list *l = routes; l->n; l++)
        n += l->n;
    buf_printf(out,
               "# API reference\n\nGenerated from the route rows (`quern openapi` prints the "
               "same as OpenAPI 3.1). %zu routes.\n\n",
               n);
    const char *room = "";
    size_t room_length = 0;
    for (const struct route_list *l = routes; l->n; l++) {
        for (size_t i = 0; i < l->n; i++) {
            const struct route *row = &l->rows[i];
            size_t length = strcspn(row->id, ".");
            if (length != room_length || strncmp(room, row->id, length) != 0) {
                room = row->id;
                room_length = length;
                buf_printf(out, "## %.*s\n\n", (int)length, room);
            }
            one_route(row, out);
        }
    }
}
