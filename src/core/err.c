/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/core/err.h"

#include <stdarg.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"

static const struct err_row rows[ERR_COUNT] = {
    [ERR_OK] = {"OK", 200, "", 0, "OK"},
#define ERR(name, status, mlflow, retry, title)                                                    \
    [ERR_##name] = {#name, status, mlflow, retry, title},
#include "quern/core/err.def"
#undef ERR
};

const struct err_row *err_row(int code) {
    if (code < 0 && code > -ERR_COUNT)
        code = -code;
    return &rows[code >= 0 && code < ERR_COUNT ? code : ERR_INTERNAL];
}

static void fill(struct ctx *c, int code, const char *field, const char *fmt, va_list ap)
    __attribute__((format(printf, 4, 0)));
static void fill(struct ctx *c, int code, const char *field, const char *fmt, va_list ap) {
    if (c->err.code)
        return;
    c->err.code = code;
    c->err.message = arena_vprintf(c->arena, fmt, ap);
    c->err.field = arena_strdup(c->arena, field);
}

/* A code outside the table would read as success to somebody. */
static int known(int code) {
    if (code < 0)
        code = code > -ERR_COUNT ? -code : ERR_INTERNAL;
    return code > 0 && code < ERR_COUNT ? code : ERR_INTERNAL;
}

int fail(struct ctx *c, int code, const char *fmt, ...) {
    va_list ap;
    code = known(code);
    va_start(ap, fmt);
    fill(c, code, NULL, fmt, ap);
    va_end(ap);
    return -code;
}

int fail_field(struct ctx *c, int code, const char *field, const char *fmt, ...) {
    va_list ap;
    code = known(code);
    va_start(ap, fmt);
    fill(c, code, field, fmt, ap);
    va_end(ap);
    return -code;
}

void err_clear(struct ctx *c) {
    c->err = (struct err){0};
}
