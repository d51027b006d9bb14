/* SPDX-License-Identifier: Apache-2.0 */
/* Pattern: mlflow_rlike(value, pattern), a search as of Python's re, with a bound on the work of
 * one value: no pattern can hold up its caller. \w, \d, \s and \b mean Unicode's classes, as in
 * Python. Of a value longer than 1 MiB only the first MiB is looked at. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "pattern.h"

#include <pcre2.h>
#include <stdio.h>

#include "quern/base/arena.h"

#define PATTERN_MAX 1000
#define MATCH_LIMIT 100000 /* steps per value; what people write needs a few hundred */
#define HEAP_LIMIT_KIB 4096
#define VALUE_MAX (1 << 20) /* bytes looked at */

struct pattern {
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *context;
};

static void pattern_free(void *arg) {
    struct pattern *p = arg;
    pcre2_match_data_free(p->data);
    pcre2_match_context_free(p->context);
    pcre2_code_free(p->code);
    sqlite3_free(p);
}

static struct pattern *pattern_new(sqlite3_context *context, const char *text, int n) {
    int code = 0;
    PCRE2_SIZE at = 0;
    char message[200], why[120] = "";
    struct pattern *p = sqlite3_malloc(sizeof *p);
    if (!p)
        mem_die();
    *p = (struct pattern){.code = pcre2_compile((PCRE2_SPTR)text, (PCRE2_SIZE)n,
                                                PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C,
                                                &code, &at, NULL)};
    if (!p->code) {
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
        snprintf(message, sizeof message, "mlflow_Invalid regular expression at position %zu: %s.",
                 (size_t)at, why);
        sqlite3_result_error(context, message, -1);
        sqlite3_free(p);
        return NULL;
    }
    p->data = pcre2_match_data_create(1, NULL);
    p->context = pcre2_match_context_create(NULL);
    if (!p->data || !p->context)
        mem_die();
    pcre2_set_match_limit(p->context, MATCH_LIMIT);
    pcre2_set_depth_limit(p->context, MATCH_LIMIT);
    pcre2_set_heap_limit(p->context, HEAP_LIMIT_KIB);
    return p;
}

/* Compiled once per statement: SQLite keeps it beside the constant argument. */
static struct pattern *pattern_of(sqlite3_context *context, sqlite3_value *arg) {
    struct pattern *p = sqlite3_get_auxdata(context, 1);
    int n = sqlite3_value_bytes(arg);
    if (p)
        return p;
    if (n > PATTERN_MAX) {
        sqlite3_result_error(context,
                             "mlflow_A regular expression may have at most 1000 characters.", -1);
        return NULL;
    }
    p = pattern_new(context, (const char *)sqlite3_value_text(arg), n);
    if (p)
        sqlite3_set_auxdata(context, 1, p, pattern_free);
    /* SQLite may have freed it at once when it was short of memory. */
    return p ? sqlite3_get_auxdata(context, 1) : NULL;
}

void pattern_function(sqlite3_context *context, int argc, sqlite3_value **args) {
    (void)argc;
    if (sqlite3_value_type(args[0]) == SQLITE_NULL || sqlite3_value_type(args[1]) == SQLITE_NULL)
        return;
    struct pattern *p = pattern_of(context, args[1]);
    const unsigned char *text = sqlite3_value_text(args[0]);
    int n = sqlite3_value_bytes(args[0]);
    if (!p || !text)
        return;
    if (n > VALUE_MAX) /* back to the beginning of a character */
        for (n = VALUE_MAX; n > 0 && (text[n] & 0xC0) == 0x80;)
            n--;
    int r = pcre2_match(p->code, (PCRE2_SPTR)text, (PCRE2_SIZE)n, 0, 0, p->data, p->context);
    if (r >= 0 || r == PCRE2_ERROR_NOMATCH)
        sqlite3_result_int(context, r >= 0);
    else if (r == PCRE2_ERROR_MATCHLIMIT || r == PCRE2_ERROR_DEPTHLIMIT ||
             r == PCRE2_ERROR_HEAPLIMIT)
        sqlite3_result_error(context,
                             "mlflow_The regular expression needs too much work on one of the "
                             "values; write it without nested repeats.",
                             -1);
    else
        sqlite3_result_int(context, 0); /* text that is not valid UTF-8 matches nothing */
}
