/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

void hex_encode(const void *data, size_t n, char *out) {
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * n] = '\0';
}

bool hex_decode(const char *s, size_t hexlen, unsigned char *out) {
    if (hexlen % 2)
        return false;
    for (size_t i = 0; i < hexlen; i++)
        if (hex_value(s[i]) < 0)
            return false;
    for (size_t i = 0; i < hexlen / 2; i++)
        out[i] = (unsigned char)(hex_value(s[2 * i]) << 4 | hex_value(s[2 * i + 1]));
    return true;
}

static const char b64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(struct arena *a, const void *data, size_t n) {
    if (n > SIZE_MAX / 2)
        mem_die();
    const unsigned char *p = data;
    char *out = arena_alloc(a, (n + 2) / 3 * 4 + 1), *o = out;
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t v = (uint32_t)p[i] << 16;
        if (left > 1)
            v |= (uint32_t)p[i + 1] << 8;
        if (left > 2)
            v |= p[i + 2];
        *o++ = b64[v >> 18];
        *o++ = b64[v >> 12 & 63];
        *o++ = left > 1 ? b64[v >> 6 & 63] : '=';
        *o++ = left > 2 ? b64[v & 63] : '=';
    }
    return out;
}

static int b64_value(char c) {
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

unsigned char *base64_decode(struct arena *a, const char *s, size_t *n) {
    size_t len = strlen(s), pad = 0;
    if (len % 4)
        return NULL;
    if (len)
        pad = s[len - 1] != '=' ? 0 : s[len - 2] != '=' ? 1 : 2;
    size_t size = len / 4 * 3 - pad, o = 0;
    unsigned char *out = arena_alloc(a, size + 1);
    for (size_t i = 0; i < len; i += 4) {
        size_t real = i + 4 == len ? 4 - pad : 4;
        uint32_t v = 0;
        for (size_t k = 0; k < 4; k++) {
            int d = k < real ? b64_value(s[i + k]) : 0;
            if (d < 0)
                return NULL;
            v = v << 6 | (uint32_t)d;
        }
        /* Bits that no byte takes must be zero, or two texts would mean the same bytes. */
        if ((real == 2 && (v & 0xffff)) || (real == 3 && (v & 0xff)))
            return NULL;
        for (size_t k = 0; k + 1 < real; k++)
            out[o++] = (unsigned char)(v >> (16 - 8 * k));
    }
    *n = size;
    return out;
}

char *base64_hex(struct arena *a, const char *s, size_t bytes) {
    size_t n = 0;
    unsigned char *raw = s ? base64_decode(a, s, &n) : NULL;
    if (!raw || n != bytes)
        return NULL;
    char *hex = arena_alloc(a, bytes * 2 + 1);
    hex_encode(raw, bytes, hex);
    return hex;
}

char *url_decode(struct arena *a, const char *s, size_t n, bool plus_is_space) {
    if (n == SIZE_MAX)
        mem_die();
    char *out = arena_alloc(a, n + 1);
    size_t o = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '%') {
            if (n - i < 3)
                return NULL;
            int hi = hex_value(s[i + 1]), lo = hex_value(s[i + 2]);
            if (hi < 0 || lo < 0 || (hi == 0 && lo == 0))
                return NULL;
            out[o++] = (char)(hi << 4 | lo);
            i += 2;
        } else if (s[i] == '\0') {
            return NULL;
        } else {
            out[o++] = s[i] == '+' && plus_is_space ? ' ' : s[i];
        }
    }
    return out;
}

char *url_encode(struct arena *a, const char *s, bool keep_slash) {
    static const char digits[] = "0123456789ABCDEF";
    size_t n = strlen(s);
    char *out = arena_alloc_n(a, n + 1, 3), *o = out;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     c == '-' || c == '.' || c == '_' || c == '~' || (c == '/' && keep_slash);
        if (plain) {
            *o++ = (char)c;
        } else {
            *o++ = '%';
            *o++ = digits[c >> 4];
            *o++ = digits[c & 15];
        }
    }
    return out;
}
