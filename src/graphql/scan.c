/* SPDX-License-Identifier: Apache-2.0 */
#include "scan.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

int gql_scan_fail(struct gql_scan *s, const char *what) {
    int line = 1, column = 1;
    for (size_t i = 0; i < s->now.at && i < s->n; i++) {
        column = s->text[i] == '\n' ? 1 : column + 1;
        line += s->text[i] == '\n';
    }
    return fail_field(s->c, ERR_INVALID, "query", "Syntax Error: %s at line %d, column %d.", what,
                      line, column);
}

static bool is_name(char ch, bool first) {
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_' ||
           (!first && ch >= '0' && ch <= '9');
}

static bool is_digit(char ch) {
    return ch >= '0' && ch <= '9';
}

static void skip(struct gql_scan *s) {
    while (s->at < s->n) {
        char ch = s->text[s->at];
        if (ch == '#') {
            while (s->at < s->n && s->text[s->at] != '\n')
                s->at++;
        } else if (ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n' || ch == ',') {
            s->at++;
        } else if (s->n - s->at >= 3 && memcmp(s->text + s->at, "\xEF\xBB\xBF", 3) == 0) {
            s->at += 3;
        } else {
            return;
        }
    }
}

static int scan_number(struct gql_scan *s) {
    size_t from = s->at;
    s->at += s->text[s->at] == '-';
    size_t digits = s->at;
    while (s->at < s->n && is_digit(s->text[s->at]))
        s->at++;
    bool good = s->at > digits && (s->text[digits] != '0' || s->at == digits + 1);
    if (good && s->at < s->n && s->text[s->at] == '.') {
        digits = ++s->at;
        while (s->at < s->n && is_digit(s->text[s->at]))
            s->at++;
        good = s->at > digits;
        s->now.fraction = 1;
    }
    if (good && s->at < s->n && (s->text[s->at] == 'e' || s->text[s->at] == 'E')) {
        s->at++;
        s->at += s->at < s->n && (s->text[s->at] == '+' || s->text[s->at] == '-');
        digits = s->at;
        while (s->at < s->n && is_digit(s->text[s->at]))
            s->at++;
        good = s->at > digits;
        s->now.fraction = 1;
    }
    if (!good || (s->at < s->n && (is_name(s->text[s->at], false) || s->text[s->at] == '.')))
        return gql_scan_fail(s, "Invalid number");
    s->now.kind = GQL_NUMBER;
    s->now.text = arena_strndup(s->c->arena, s->text + from, s->at - from);
    return 0;
}

static size_t put_utf8(char *out, uint32_t u) {
    if (u < 0x80) {
        out[0] = (char)u;
        return 1;
    }
    if (u < 0x800) {
        out[0] = (char)(0xC0 | (u >> 6));
        out[1] = (char)(0x80 | (u & 0x3F));
        return 2;
    }
    if (u < 0x10000) {
        out[0] = (char)(0xE0 | (u >> 12));
        out[1] = (char)(0x80 | ((u >> 6) & 0x3F));
        out[2] = (char)(0x80 | (u & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | (u >> 18));
    out[1] = (char)(0x80 | ((u >> 12) & 0x3F));
    out[2] = (char)(0x80 | ((u >> 6) & 0x3F));
    out[3] = (char)(0x80 | (u & 0x3F));
    return 4;
}

static bool read_hex4(struct gql_scan *s, uint32_t *u) {
    unsigned char two[2];
    if (s->n - s->at < 4 || !hex_decode(s->text + s->at, 4, two))
        return false;
    s->at += 4;
    *u = (uint32_t)two[0] << 8 | two[1];
    return true;
}

/* \uXXXX, surrogates in pairs; NUL is refused as everywhere. */
static bool scan_unicode(struct gql_scan *s, char *out, size_t *len) {
    uint32_t u = 0, low = 0;
    if (!read_hex4(s, &u) || u == 0)
        return false;
    if (u >= 0xD800 && u < 0xDC00) {
        if (s->n - s->at < 6 || s->text[s->at] != '\\' || s->text[s->at + 1] != 'u')
            return false;
        s->at += 2;
        if (!read_hex4(s, &low) || low < 0xDC00 || low > 0xDFFF)
            return false;
        u = 0x10000 + ((u - 0xD800) << 10) + (low - 0xDC00);
    } else if (u >= 0xDC00 && u <= 0xDFFF) {
        return false;
    }
    *len += put_utf8(out + *len, u);
    return true;
}

static int scan_text(struct gql_scan *s) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (s->n - s->at >= 3 && memcmp(s->text + s->at, "\"\"\"", 3) == 0)
        return gql_scan_fail(s, "Block strings are not supported");
    char *out = arena_alloc(s->c->arena, s->n - s->at + 1); /* no escape grows */
    size_t len = 0;
    for (s->at++; s->at < s->n && s->text[s->at] != '"';) {
        char ch = s->text[s->at++];
        if ((unsigned char)ch < 0x20 && ch != '\t')
            return gql_scan_fail(s, "Unterminated string");
        if (ch != '\\') {
            out[len++] = ch;
            continue;
        }
        char escape = s->at < s->n ? s->text[s->at++] : '\0';
        const char *known = escape ? strchr(from, escape) : NULL;
        if (known)
            out[len++] = to[known - from];
        else if (escape != 'u' || !scan_unicode(s, out, &len))
            return gql_scan_fail(s, "Invalid escape in a string");
    }
    if (s->at >= s->n)
        return gql_scan_fail(s, "Unterminated string");
    s->at++;
    s->now.kind = GQL_TEXT;
    s->now.text = out;
    return 0;
}

int gql_scan_next(struct gql_scan *s) {
    skip(s);
    s->now = (struct gql_token){.kind = GQL_END, .at = s->at};
    if (s->at >= s->n)
        return 0;
    char ch = s->text[s->at];
    if (is_name(ch, true)) {
        size_t from = s->at;
        while (s->at < s->n && is_name(s->text[s->at], false))
            s->at++;
        s->now.kind = GQL_NAME;
        s->now.text = arena_strndup(s->c->arena, s->text + from, s->at - from);
        return 0;
    }
    if (is_digit(ch) || ch == '-')
        return scan_number(s);
    if (ch == '"')
        return scan_text(s);
    if (s->n - s->at >= 3 && memcmp(s->text + s->at, "...", 3) == 0) {
        s->at += 3;
        ch = '.';
    } else if (ch && strchr("!$&():=@[]{|}", ch)) {
        s->at++;
    } else {
        return gql_scan_fail(s, "Unexpected character");
    }
    s->now.kind = GQL_PUNCT;
    s->now.mark = ch;
    return 0;
}
