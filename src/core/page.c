/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/core/page.h"

#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

static const char *blanks(const char *p) {
    return p + strspn(p, " \t\r\n");
}

/* Exactly {"offset": N}, blanks anywhere between. */
static bool scan(const char *p, int64_t *offset) {
    p = blanks(p);
    if (*p++ != '{')
        return false;
    p = blanks(p);
    if (!str_starts(p, "\"offset\""))
        return false;
    p = blanks(p + 8);
    if (*p++ != ':')
        return false;
    p = blanks(p);
    size_t n = strspn(p, "0123456789");
    char digits[20];
    if (n == 0 || n >= sizeof digits)
        return false;
    memcpy(digits, p, n);
    digits[n] = '\0';
    p = blanks(p + n);
    if (*p++ != '}' || *blanks(p))
        return false;
    return str_to_i64(digits, offset);
}

int page_offset(struct ctx *c, const char *token, int64_t *offset) {
    *offset = 0;
    if (!token || !*token)
        return 0;
    size_t n = 0;
    unsigned char *text = base64_decode(c->arena, token, &n);
    if (!text || memchr(text, 0, n) || !utf8_valid((const char *)text, n))
        return fail_field(c, ERR_INVALID, "page_token",
                          "Invalid page token, could not base64-decode");
    int64_t v = 0;
    if (!scan((const char *)text, &v) || v <= 0) {
        for (size_t i = 0; i < n; i++)
            if (text[i] == '"')
                text[i] = '\'';
        return fail_field(c, ERR_INVALID, "page_token", "Invalid page token, parsed value=%.200s",
                          (const char *)text);
    }
    *offset = v;
    return 0;
}

char *page_token(struct ctx *c, int64_t offset) {
    char *text = arena_printf(c->arena, "{\"offset\": %lld}", (long long)offset);
    return base64_encode(c->arena, text, strlen(text));
}
