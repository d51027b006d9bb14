/* SPDX-License-Identifier: Apache-2.0 */
/* Function: LIKE, ILIKE and RLIKE as MLflow's filters mean them. Their work is bounded, since the
 * patterns come from clients and SQLite cannot interrupt a function. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "pattern.h"
#include "percentile.h"

enum { PATTERN_MAX = 1000 };
static const size_t LIKE_WORK_MAX = 16u << 20; /* pattern bytes times text bytes */

static unsigned char folded(unsigned char ch) {
    return ch >= 'A' && ch <= 'Z' ? (unsigned char)(ch - 'A' + 'a') : ch;
}

static size_t point(const unsigned char *s, const unsigned char *end) {
    size_t n = 1;
    while (s + n < end && (s[n] & 0xc0) == 0x80)
        n++;
    return n;
}

/* '%' any run, '_' one code point. Only the last '%' ever has to be tried again. */
static bool like(const unsigned char *s, size_t slen, const unsigned char *p, size_t plen,
                 bool fold) {
    const unsigned char *send = s + slen, *pend = p + plen, *star = NULL, *resume = NULL;
    while (s < send) {
        if (p < pend && *p == '%') {
            star = ++p;
            resume = s;
        } else if (p < pend && *p == '_') {
            s += point(s, send);
            p++;
        } else if (p < pend && (fold ? folded(*p) == folded(*s) : *p == *s)) {
            s++;
            p++;
        } else if (star) {
            resume += point(resume, send);
            s = resume;
            p = star;
        } else
            return false;
    }
    while (p < pend && *p == '%')
        p++;
    return p == pend;
}

/* The text between the first and the last of a pattern like %text%; NULL for other patterns. */
static const unsigned char *needle_of(const unsigned char *p, size_t n) {
    if (n < 3 || p[0] != '%' || p[n - 1] != '%' || memchr(p + 1, '%', n - 2) ||
        memchr(p + 1, '_', n - 2))
        return NULL;
    return p + 1;
}

static bool contains_folded(const unsigned char *s, size_t slen, const unsigned char *p,
                            size_t plen) {
    for (size_t i = 0; i + plen <= slen; i++) {
        size_t k = 0;
        while (k < plen && folded(s[i + k]) == folded(p[k]))
            k++;
        if (k == plen)
            return true;
    }
    return false;
}

static void like_function(sqlite3_context *f, int n, sqlite3_value **arg) {
    (void)n;
    const unsigned char *text = sqlite3_value_text(arg[0]), *pattern = sqlite3_value_text(arg[1]);
    if (!text || !pattern)
        return; /* NULL */
    size_t tlen = (size_t)sqlite3_value_bytes(arg[0]), plen = (size_t)sqlite3_value_bytes(arg[1]);
    if (plen > PATTERN_MAX || (plen && tlen > LIKE_WORK_MAX / plen)) {
        sqlite3_result_error(f, "mlflow_a LIKE pattern is too long for the text it is held against",
                             -1);
        return;
    }
    bool fold = sqlite3_user_data(f) != NULL, yes;
    const unsigned char *needle = needle_of(pattern, plen);
    if (!needle)
        yes = like(text, tlen, pattern, plen, fold);
    else if (fold)
        yes = contains_folded(text, tlen, needle, plen - 2);
    else
        yes = memmem(text, tlen, needle, plen - 2) != NULL;
    sqlite3_result_int(f, yes);
}

int function_register(sqlite3 *handle) {
    static int yes = 1;
    int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
    int r = bitmap_register(handle);
    r = r == SQLITE_OK ? percentile_register(handle) : r;
    if (r == SQLITE_OK)
        r = sqlite3_create_function_v2(handle, "mlflow_like", 2, flags, NULL, like_function, NULL,
                                       NULL, NULL);
    if (r == SQLITE_OK)
        r = sqlite3_create_function_v2(handle, "mlflow_ilike", 2, flags, &yes, like_function, NULL,
                                       NULL, NULL);
    if (r == SQLITE_OK)
        r = sqlite3_create_function_v2(handle, "mlflow_rlike", 2, flags, NULL, pattern_function,
                                       NULL, NULL, NULL);
    return r;
}
