/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "json_string.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/json/json_out.h"

static void put_valid(struct buf *b, const char *s, size_t n) {
    size_t from = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char ch = (unsigned char)s[i];
        if (ch >= 0x20 && ch != '"' && ch != '\\')
            continue;
        buf_put(b, s + from, i - from);
        from = i + 1;
        switch (ch) {
        case '"':
            buf_put(b, "\\\"", 2);
            break;
        case '\\':
            buf_put(b, "\\\\", 2);
            break;
        case '\n':
            buf_put(b, "\\n", 2);
            break;
        case '\r':
            buf_put(b, "\\r", 2);
            break;
        case '\t':
            buf_put(b, "\\t", 2);
            break;
        default:
            buf_printf(b, "\\u%04x", ch);
        }
    }
    buf_put(b, s + from, n - from);
}

void json_put_string(struct buf *b, const char *s, size_t n) {
    buf_putc(b, '"');
    if (utf8_valid(s, n)) {
        put_valid(b, s, n);
    } else {
        /* Not ours to send on: each byte that is no UTF-8 becomes the replacement character. */
        for (size_t i = 0; i < n;) {
            size_t k = 4 < n - i ? 4 : n - i;
            while (k > 0 && !utf8_valid(s + i, k))
                k--;
            if (k)
                put_valid(b, s + i, k);
            else
                buf_puts(b, "\xef\xbf\xbd");
            i += k ? k : 1;
        }
    }
    buf_putc(b, '"');
}

static bool need_comma(const struct json_writer *w) {
    if (w->depth == 0)
        return false;
    if (w->depth <= 64)
        return w->need_comma >> (w->depth - 1) & 1;
    /* Deeper than the bits: the last byte tells. Strings end in a quote, so these are marks. */
    return w->out->len > 0 && !strchr("{[:", w->out->data[w->out->len - 1]);
}

static void set_comma(struct json_writer *w, bool on) {
    if (w->depth == 0 || w->depth > 64)
        return;
    uint64_t bit = (uint64_t)1 << (w->depth - 1);
    w->need_comma = on ? w->need_comma | bit : w->need_comma & ~bit;
}

static void value(struct json_writer *w) {
    if (need_comma(w))
        buf_putc(w->out, ',');
    set_comma(w, true);
}

void jw_init(struct json_writer *w, struct buf *out) {
    *w = (struct json_writer){.out = out};
}

static void begin(struct json_writer *w, char mark) {
    value(w);
    buf_putc(w->out, mark);
    w->depth++;
    set_comma(w, false);
}

static void end(struct json_writer *w, char mark) {
    buf_putc(w->out, mark);
    if (w->depth)
        w->depth--;
}

void jw_obj(struct json_writer *w) {
    begin(w, '{');
}

void jw_obj_end(struct json_writer *w) {
    end(w, '}');
}

void jw_arr(struct json_writer *w) {
    begin(w, '[');
}

void jw_arr_end(struct json_writer *w) {
    end(w, ']');
}

void jw_key(struct json_writer *w, const char *key) {
    value(w);
    json_put_string(w->out, key, strlen(key));
    buf_putc(w->out, ':');
    set_comma(w, false);
}

void jw_str(struct json_writer *w, const char *s) {
    if (s)
        jw_strn(w, s, strlen(s));
    else
        jw_null(w);
}

void jw_strn(struct json_writer *w, const char *s, size_t n) {
    value(w);
    json_put_string(w->out, s, n);
}

void jw_i64(struct json_writer *w, int64_t v) {
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%lld", (long long)v);
    jw_raw(w, digits, (size_t)n);
}

void jw_f64(struct json_writer *w, double v) {
    char text[32];
    jw_raw(w, text, json_double(v, text));
}

void jw_bool(struct json_writer *w, bool v) {
    value(w);
    buf_puts(w->out, v ? "true" : "false");
}

void jw_null(struct json_writer *w) {
    value(w);
    buf_puts(w->out, "null");
}

void jw_raw(struct json_writer *w, const char *json, size_t n) {
    value(w);
    buf_put(w->out, json, n);
}

void jw_tree(struct json_writer *w, const struct json_t *tree) {
    value(w);
    json_put(w->out, tree, JSON_TIGHT);
}

void jw_key_str(struct json_writer *w, const char *key, const char *s) {
    if (!s)
        return;
    jw_key(w, key);
    jw_str(w, s);
}

void jw_key_i64(struct json_writer *w, const char *key, int64_t v) {
    jw_key(w, key);
    jw_i64(w, v);
}

void jw_key_f64(struct json_writer *w, const char *key, double v) {
    jw_key(w, key);
    jw_f64(w, v);
}

void jw_key_bool(struct json_writer *w, const char *key, bool v) {
    jw_key(w, key);
    jw_bool(w, v);
}
