/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_BASE_BUF_H
#define QUERN_BASE_BUF_H
/* Buf: a growing run of bytes on the heap. `data` is always NUL-terminated one past `len` once
 * anything was put. Zero-initialise to start empty; buf_free returns it to that state. */
#include <stdarg.h>
#include <stddef.h>

struct buf {
    char *data;
    size_t len;
    size_t cap;
};

void buf_reserve(struct buf *b, size_t more); /* room for `more` bytes and a NUL */
void buf_put(struct buf *b, const void *data, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
void buf_clear(struct buf *b); /* len = 0, memory kept */
void buf_free(struct buf *b);

#endif
