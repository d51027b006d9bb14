/* SPDX-License-Identifier: Apache-2.0 */
#include "json_scan.h"

#include <math.h>
#include <string.h>

#include "base64_text.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

void scan_init(struct scan *s, struct ctx *c, const char *text, size_t n) {
    *s = (struct scan){.c = c, .start = text, .p = text, .end = text + n};
}

int scan_fail(struct scan *s, const char *what) {
    return fail(s->c, ERR_INVALID, "the body is not JSON at byte %zu: %s",
                (size_t)(s->p - s->start), what);
}

int scan_end(struct scan *s) {
    scan_peek(s);
    return s->p < s->end ? scan_fail(s, "something follows the value") : 0;
}

int scan_enter(struct scan *s, char open) {
    if (scan_peek(s) != open)
        return scan_fail(s, open == '{' ? "an object must begin here" : "an array must begin here");
    if (++s->depth > SCAN_DEPTH_MAX)
        return scan_fail(s, "it is nested deeper than 64 levels");
    s->p++;
    return 0;
}

int scan_more(struct scan *s, char close, bool *first) {
    char ch = scan_peek(s);
    if (ch == close && ch) {
        s->p++;
        s->depth--;
        return 0;
    }
    if (*first) {
        *first = false;
        return s->p < s->end ? 1 : scan_fail(s, "it ends inside a value");
    }
    if (ch != ',')
        return scan_fail(s, s->p < s->end ? (close == ']' ? "',' or ']' must follow an item"
                                                          : "',' or '}' must follow a member")
                                          : "it ends inside a value");
    s->p++;
    return 1;
}

int scan_key(struct scan *s, struct bytes *key) {
    if (scan_peek(s) != '"')
        return scan_fail(s, "a member's name in double quotes must stand here");
    int rc = scan_string(s, key);
    if (rc < 0)
        return rc;
    if (scan_peek(s) != ':')
        return scan_fail(s, "':' must follow a member's name");
    s->p++;
    return 0;
}

static int hex4(const char *p) {
    int v = 0;
    for (int i = 0; i < 4; i++) {
        char ch = p[i];
        int d = ch >= '0' && ch <= '9'   ? ch - '0'
                : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10
                : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10
                                         : -1;
        if (d < 0)
            return -1;
        v = v * 16 + d;
    }
    return v;
}

static size_t put_utf8(unsigned u, char *o) {
    if (u < 0x80) {
        o[0] = (char)u;
        return 1;
    }
    if (u < 0x800) {
        o[0] = (char)(0xC0 | u >> 6);
        o[1] = (char)(0x80 | (u & 0x3F));
        return 2;
    }
    if (u < 0x10000) {
        o[0] = (char)(0xE0 | u >> 12);
        o[1] = (char)(0x80 | (u >> 6 & 0x3F));
        o[2] = (char)(0x80 | (u & 0x3F));
        return 3;
    }
    o[0] = (char)(0xF0 | u >> 18);
    o[1] = (char)(0x80 | (u >> 12 & 0x3F));
    o[2] = (char)(0x80 | (u >> 6 & 0x3F));
    o[3] = (char)(0x80 | (u & 0x3F));
    return 4;
}

/* One escape at *p (behind the backslash); 0 bytes on a fault. */
static size_t unescape(const char **p, const char *end, char *o) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char ch = **p;
    const char *at = ch ? strchr(from, ch) : NULL;
    if (at) {
        *o = to[at - from];
        ++*p;
        return 1;
    }
    if (ch != 'u' || end - *p < 5)
        return 0;
    int u = hex4(*p + 1);
    *p += 5;
    if (u < 0 || (u >= 0xDC00 && u <= 0xDFFF))
        return 0;
    if (u >= 0xD800 && u <= 0xDBFF) {
        if (end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
            return 0;
        int low = hex4(*p + 2);
        if (low < 0xDC00 || low > 0xDFFF)
            return 0;
        *p += 6;
        u = 0x10000 + ((u - 0xD800) << 10) + (low - 0xDC00);
    }
    return put_utf8((unsigned)u, o);
}

static int scan_escaped(struct scan *s, const char *start, const char *close, struct bytes *out) {
    char *text = arena_alloc(s->c->arena, (size_t)(close - start) + 1); /* escapes only shrink */
    char *o = text;
    for (const char *p = start; p < close;) {
        if (*p != '\\') {
            *o++ = *p++;
            continue;
        }
        p++;
        size_t n = unescape(&p, close, o);
        if (n == 0) {
            s->p = p;
            return scan_fail(s, "a string holds an escape that JSON does not have");
        }
        o += n;
    }
    *out = (struct bytes){text, (size_t)(o - text)};
    return 0;
}

int scan_string(struct scan *s, struct bytes *out) {
    if (scan_peek(s) != '"')
        return scan_fail(s, "a string must begin here");
    const char *start = ++s->p;
    const char *p = start;
    bool escaped = false;
    unsigned char high = 0;
    for (; p < s->end && *p != '"'; p++) {
        unsigned char ch = (unsigned char)*p;
        high |= ch;
        if (ch == '\\') {
            escaped = true;
            if (++p >= s->end)
                break;
            high |= (unsigned char)*p;
        } else if (ch < 0x20) {
            s->p = p;
            return scan_fail(s, "a string holds a control character that is not escaped");
        }
    }
    if (p >= s->end) {
        s->p = s->end;
        return scan_fail(s, "a string does not end");
    }
    if (high & 0x80 && !utf8_valid(start, (size_t)(p - start)))
        return scan_fail(s, "a string is not UTF-8");
    int rc = 0;
    if (escaped)
        rc = scan_escaped(s, start, p, out);
    else
        *out = (struct bytes){start, (size_t)(p - start)};
    if (rc == 0)
        s->p = p + 1;
    return rc;
}

int scan_number(struct scan *s, struct number *out) {
    scan_peek(s);
    const char *p = number_scan(s->p, s->end, out);
    if (!p)
        return scan_fail(s, "a number is not written as JSON wants it");
    s->p = p;
    return 0;
}

static bool take_word(struct scan *s, const char *word) {
    size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return false;
    s->p += n;
    return true;
}

int scan_bool(struct scan *s, bool *out) {
    scan_peek(s);
    *out = take_word(s, "true");
    return *out || take_word(s, "false") ? 0 : scan_fail(s, "true or false must stand here");
}

int scan_null(struct scan *s) {
    scan_peek(s);
    return take_word(s, "null") ? 0 : scan_fail(s, "null must stand here");
}

int scan_odd_number(struct scan *s, double *out) {
    if (!s->extended)
        return 0;
    scan_peek(s);
    *out = take_word(s, "NaN")         ? (double)NAN
           : take_word(s, "Infinity")  ? (double)INFINITY
           : take_word(s, "-Infinity") ? -(double)INFINITY
                                       : 0;
    return isfinite(*out) ? 0 : 1;
}

int scan_b64(struct scan *s, struct bytes *out) {
    struct scan ahead = *s;
    struct bytes key;
    bool first = true;
    if (!s->extended || scan_peek(&ahead) != '{' || scan_enter(&ahead, '{') < 0)
        return 0;
    if (scan_peek(&ahead) != '"' || scan_key(&ahead, &key) < 0 || !bytes_eq(key, "b64") ||
        scan_peek(&ahead) != '"' || scan_string(&ahead, &key) < 0 || scan_peek(&ahead) != '}') {
        err_clear(s->c);
        return 0;
    }
    if (base64_bytes(s->c->arena, key, out) < 0)
        return fail(s->c, ERR_BAD_REQUEST, "the text of a b64 object is no base64 (byte %zu)",
                    (size_t)(s->p - s->start));
    first = false;
    int rc = scan_more(&ahead, '}', &first); /* closes it */
    *s = ahead;
    return rc < 0 ? rc : 1;
}

int scan_skip(struct scan *s) {
    struct bytes text;
    struct number n;
    double odd;
    bool yes;
    int rc;
    char ch = scan_peek(s);
    if (s->extended && scan_odd_number(s, &odd))
        return 0;
    switch (ch) {
    case '"':
        return scan_string(s, &text);
    case 't':
    case 'f':
        return scan_bool(s, &yes);
    case 'n':
        return scan_null(s);
    case '{':
    case '[':
        rc = scan_enter(s, ch);
        for (bool first = true;
             rc == 0 && (rc = scan_more(s, ch == '{' ? '}' : ']', &first)) > 0;) {
            rc = ch == '{' ? scan_key(s, &text) : 0;
            if (rc == 0)
                rc = scan_skip(s);
        }
        return rc;
    case 'N':
    case 'I':
        return scan_fail(s, "NaN and Infinity are no JSON; null stands for a missing number");
    case 0:
        return scan_fail(s, s->p < s->end ? "a NUL byte" : "it ends where a value must stand");
    default:
        return scan_number(s, &n);
    }
}

const char *scan_kind(struct scan *s) {
    switch (scan_peek(s)) {
    case '"':
        return "a string";
    case '[':
        return "an array";
    case '{':
        return "an object";
    case 't':
    case 'f':
        return "a boolean";
    case 'n':
        return "null";
    case 0:
        return "nothing";
    default:
        return "a number";
    }
}

bool bytes_eq(struct bytes b, const char *text) {
    return strlen(text) == b.len && memcmp(b.data, text, b.len) == 0;
}

int scan_text(struct scan *s, struct bytes b, const char **out) {
    if (memchr(b.data, 0, b.len))
        return scan_fail(s, "a name holds a NUL");
    *out = arena_strndup(s->c->arena, b.data, b.len);
    return 0;
}
