/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <stdint.h>
#include <string.h>

/* Digits up to 18, so that the number fits; NULL when there are none or too many. */
static const char *number(const char *p, int64_t *out) {
    int64_t value = 0;
    const char *start = p;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (p - start >= 18)
            return NULL;
        value = value * 10 + (*p - '0');
    }
    *out = value;
    return p == start ? NULL : p;
}

/* One range; a list of ranges or a malformed one is answered whole, as RFC 9110 allows. */
int range_parse(const char *header, int64_t size, int64_t *from, int64_t *count) {
    if (strncmp(header, "bytes=", 6) != 0)
        return 0;
    const char *p = header + 6;
    int64_t first, last = size - 1;
    if (*p == '-') {
        p = number(p + 1, &last);
        if (!p || *p)
            return 0;
        if (last == 0 || size == 0)
            return -1;
        *from = last < size ? size - last : 0;
        *count = size - *from;
        return 1;
    }
    p = number(p, &first);
    if (!p || *p++ != '-')
        return 0;
    if (*p) {
        p = number(p, &last);
        if (!p || *p || last < first)
            return 0;
    }
    if (first >= size)
        return -1;
    if (last > size - 1)
        last = size - 1;
    *from = first;
    *count = last - first + 1;
    return 1;
}

/* Weak comparison, as If-None-Match has it. */
bool etag_matches(const char *if_none_match, const char *etag) {
    if (strncmp(etag, "W/", 2) == 0)
        etag += 2;
    size_t want = strlen(etag);
    const char *p = if_none_match + strspn(if_none_match, " \t");
    if (p[0] == '*')
        return p[1 + strspn(p + 1, " \t")] == '\0';
    while (*p) {
        p += strspn(p, " \t,");
        if (strncmp(p, "W/", 2) == 0)
            p += 2;
        /* A comma within the quotes belongs to the tag. */
        const char *close = *p == '"' ? strchr(p + 1, '"') : NULL;
        size_t n = close ? (size_t)(close - p) + 1 : strcspn(p, ", \t");
        if (n == want && memcmp(p, etag, n) == 0)
            return true;
        p += n;
        p += strcspn(p, ",");
    }
    return false;
}
