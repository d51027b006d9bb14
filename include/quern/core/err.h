/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_CORE_ERR_H
#define QUERN_CORE_ERR_H
/* Err: the ways to fail. Functions return 0 or a negative ERR_ code. Whoever detects the failure
 * fills the context's one slot with fail(); everybody else passes the code up. */
#include <stdint.h>

struct ctx;

enum err_code {
    ERR_OK = 0,
#define ERR(name, status, mlflow, retry, title) ERR_##name,
#include "quern/core/err.def"
#undef ERR
    ERR_COUNT
};

struct err_row {
    const char *name; /* "NOT_FOUND" */
    int status;
    const char *mlflow;
    int retry_after;
    const char *title;
};

const struct err_row *err_row(int code); /* accepts the negative or the positive code */

struct err {
    int code;      /* positive ERR_*, 0 when clear */
    char *message; /* in the context's arena, UTF-8, no path, no SQL */
    char *field;   /* name of the offending field in the request, or NULL */
};

/* Fills the slot (the first failure stays) and returns -code, so `return fail(...)`. */
int fail(struct ctx *c, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int fail_field(struct ctx *c, int code, const char *field, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void err_clear(struct ctx *c);

#endif
