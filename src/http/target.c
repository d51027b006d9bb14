/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include <string.h>

#include "quern/base/arena.h"

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

/* Value of the escape whose '%' stands at p, or -1. */
static int escape_at(const char *p, const char *end) {
    if (end - p < 3)
        return -1;
    int high = hex_digit(p[1]), low = hex_digit(p[2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static const char *check_path(const char *p, const char *end) {
    size_t length = 0, dots = 0; /* of the segment, decoded */
    for (p++;; p++) {
        if (p == end || *p == '/') {
            if (length == 0 && p != end)
                return "The path has an empty segment.";
            if (length > 0 && length == dots && dots <= 2)
                return "The path has a dot segment.";
            if (p == end)
                return NULL;
            length = dots = 0;
            continue;
        }
        int c = (unsigned char)*p;
        if (c == '%') {
            c = escape_at(p, end);
            if (c < 0)
                return "The path has a '%' without two hexadecimal digits.";
            if (c < 0x20 || c == 0x7f || c == '/' || c == '\\')
                return "The path has an escaped slash, backslash or control character.";
            p += 2;
        } else if (c <= 0x20 || c >= 0x7f || strchr("\\#\"<>^`{|}", c)) {
            return "The path has a character that must be percent-encoded.";
        }
        length++;
        if (c == '.')
            dots++;
    }
}

static const char *check_query(const char *p, const char *end) {
    for (; p < end; p++) {
        int c = (unsigned char)*p;
        if (c <= 0x20 || c >= 0x7f || c == '\\' || c == '#')
            return "The query has a character that must be percent-encoded.";
        if (c != '%')
            continue;
        int value = escape_at(p, end);
        if (value < 0)
            return "The query has a '%' without two hexadecimal digits.";
        if (value == 0)
            return "The query has an escaped NUL.";
        p += 2;
    }
    return NULL;
}

const char *target_check(const char *target, size_t n) {
    if (n == 0 || target[0] != '/')
        return "The target must be in origin form: a path that begins with '/'.";
    const char *end = target + n;
    const char *query = memchr(target, '?', n);
    const char *why = check_path(target, query ? query : end);
    if (!why && query)
        why = check_query(query + 1, end);
    return why;
}

static char *decode(struct arena *a, const char *p, size_t n, bool plus, size_t *length) {
    char *out = arena_alloc(a, n + 1);
    size_t o = 0;
    for (size_t i = 0; i < n; i++) {
        int value = p[i] == '%' ? escape_at(p + i, p + n) : -1;
        if (value >= 0) {
            out[o++] = (char)value;
            i += 2;
        } else {
            out[o++] = plus && p[i] == '+' ? ' ' : p[i];
        }
    }
    out[o] = '\0';
    if (length)
        *length = o;
    return out;
}

int target_segments(struct arena *a, const char *path, size_t n, struct segment *out, size_t max) {
    /* One copy for all segments; escapes only shrink it. */
    char *copy = arena_strndup(a, path, n);
    size_t count = 0;
    size_t i = 1;
    for (;;) {
        if (count == max)
            return -1;
        char *start = copy + i;
        char *o = start;
        while (i < n && path[i] != '/') {
            int value = path[i] == '%' ? escape_at(path + i, path + n) : -1;
            *o++ = value >= 0 ? (char)value : path[i];
            i += value >= 0 ? 3 : 1;
        }
        *o = '\0';
        out[count].text = start;
        out[count].len = (size_t)(o - start);
        count++;
        if (i >= n)
            return (int)count;
        i++;
    }
}

void target_query(struct arena *a, const char *query, struct pairs *out) {
    *out = (struct pairs){0};
    if (!*query)
        return;
    size_t most = 1;
    for (const char *p = query; *p; p++)
        most += *p == '&';
    out->items = ARENA_ARRAY(a, struct pair, most);
    for (const char *p = query; *p;) {
        size_t n = strcspn(p, "&");
        const char *eq = memchr(p, '=', n);
        size_t klen = eq ? (size_t)(eq - p) : n;
        if (n) {
            struct pair *item = &out->items[out->n++];
            item->key = decode(a, p, klen, true, NULL);
            item->value = eq ? decode(a, eq + 1, n - klen - 1, true, NULL) : "";
        }
        p += n;
        if (*p == '&')
            p++;
    }
}
