/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/fd.h"
#include "quern/base/str.h"
#include "quern/base/thread.h"

#define MESSAGE_CAP ((size_t)16 * 1024)

static _Atomic int least = LOG_INFO;
static _Atomic int format = LOG_PLAIN;
static _Thread_local const char *request_id;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_init(enum log_level l, enum log_format f) {
    atomic_store(&least, (int)l);
    atomic_store(&format, (int)f);
}

void log_request_id(const char *id_or_null) {
    request_id = id_or_null;
}

static bool token_char(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           c == '-';
}

/* A token that slipped into a message keeps its prefix only. */
static void mask_tokens(struct buf *b) {
    char *p = b->data;
    while ((p = strstr(p, "qn_"))) {
        p += 3;
        size_t n = 0;
        while (token_char(p[n]))
            n++;
        /* Short words are names such as qn_x; a token's secret is far longer. */
        if (n >= 6)
            memset(p, '*', n);
        p += n;
    }
}

/* Escapes for both forms: a line stays a line and cannot carry terminal control. */
static void put_escaped(struct buf *out, const char *s, size_t n, bool json) {
    size_t i = 0;
    while (i < n) {
        unsigned char ch = (unsigned char)s[i];
        size_t width = ch < 0x80 ? 1 : ch >= 0xf0 ? 4 : ch >= 0xe0 ? 3 : 2;
        if (ch == '\n')
            buf_puts(out, "\\n");
        else if (ch == '\t')
            buf_puts(out, "\\t");
        else if (ch < 0x20 || ch == 0x7f)
            buf_printf(out, json ? "\\u%04x" : "\\x%02x", ch);
        else if (json && (ch == '"' || ch == '\\'))
            buf_printf(out, "\\%c", ch);
        else if (width > 1 && (i + width > n || !utf8_valid(s + i, width))) {
            buf_puts(out, "\xef\xbf\xbd");
            width = 1;
        } else if (width == 2 && ch == 0xc2 && (unsigned char)s[i + 1] < 0xa0)
            buf_printf(out, "\\u%04x", (unsigned char)s[i + 1]); /* C1 controls */
        else
            buf_put(out, s + i, width);
        i += width;
    }
}

void log_write(enum log_level level, const char *event, const char *fmt, ...) {
    if ((int)level < atomic_load_explicit(&least, memory_order_relaxed))
        return;
    struct buf text = {0}, line = {0};
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    mask_tokens(&text);
    size_t n = text.len < MESSAGE_CAP ? text.len : MESSAGE_CAP;
    char when[32];
    clock_format_ms(clock_wall_ms(), when);
    const char *name = level_names[level];
    if (atomic_load_explicit(&format, memory_order_relaxed) == LOG_JSON) {
        buf_printf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\",\"thread\":\"", when,
                   name, event);
        put_escaped(&line, thread_name(), strlen(thread_name()), true);
        buf_puts(&line, "\",\"message\":\"");
        put_escaped(&line, text.data, n, true);
        if (request_id) {
            buf_puts(&line, "\",\"request_id\":\"");
            put_escaped(&line, request_id, strlen(request_id), true);
        }
        buf_puts(&line, "\"}\n");
    } else {
        buf_printf(&line, "%.12s %-5s %s  ", when + 11, name, event);
        put_escaped(&line, text.data, n, false);
        buf_putc(&line, '\n');
    }
    /* A log that cannot be written must not stop the work it tells of. */
    (void)fd_write_all(STDERR_FILENO, line.data, line.len);
    buf_free(&line);
    buf_free(&text);
}
