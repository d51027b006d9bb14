/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/json/json_error.h"

#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"

static void put_type(struct json_writer *w, struct arena *arena, const struct err_row *row) {
    char *type = arena_printf(arena, "urn:quern:error:%s", row->name);
    for (char *p = type; *p; p++) {
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
        else if (*p == '_')
            *p = '-';
    }
    jw_key_str(w, "type", type);
}

static void put_problem(struct json_writer *w, const struct ctx *c, const struct err_row *row,
                        const char *message) {
    jw_obj(w);
    put_type(w, c->arena, row);
    jw_key_str(w, "title", row->title);
    jw_key_i64(w, "status", row->status);
    jw_key_str(w, "detail", message);
    if (c->path && *c->path)
        jw_key_str(w, "instance", c->path);
    jw_key_str(w, "field", c->err.field);
    jw_key_str(w, "request_id", c->request_id);
    jw_obj_end(w);
}

const char *json_error(enum dialect d, const struct ctx *c, struct buf *out) {
    const struct err_row *row = err_row(c->err.code ? c->err.code : ERR_INTERNAL);
    const char *message = c->err.message ? c->err.message : row->title;
    struct json_writer w;
    if (row->status == 500)
        message = arena_printf(c->arena, "Internal error; see the log for request %s",
                               c->request_id ? c->request_id : "");
    jw_init(&w, out);
    switch (d) {
    case DIALECT_TEXT:
        buf_puts(out, message);
        buf_putc(out, '\n');
        return "text/plain; charset=utf-8";
    case DIALECT_PROBLEM:
        put_problem(&w, c, row, message);
        return "application/problem+json";
    case DIALECT_OIP:
        jw_obj(&w);
        jw_key_str(&w, "error", message);
        jw_obj_end(&w);
        return "application/json";
    case DIALECT_MLFLOW:
    case DIALECT_SCORING:
        break;
    }
    bool callers = row->status >= 400 && row->status < 500 && c->err.code != ERR_INVALID;
    if (d == DIALECT_SCORING && c->err.code == ERR_MEDIA_TYPE) {
        buf_puts(out, message);
        return "text/plain; charset=utf-8";
    }
    jw_obj(&w);
    jw_key_str(&w, "error_code", d == DIALECT_SCORING && callers ? "BAD_REQUEST" : row->mlflow);
    jw_key_str(&w, "message", message);
    jw_obj_end(&w);
    return "application/json";
}
