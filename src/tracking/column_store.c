/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "column.h"
#include "key.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

/* Entries read at the beginning of an index; they tell how often values repeat. */
#define SAMPLE 64
#define REPEATS 1024 /* most entries counted of one value */
#define SHOWN 100    /* characters of a text */

#define TEXT_SQL(table)                                                                            \
    {                                                                                              \
        "SELECT value FROM " table " INDEXED BY " table "_short"                                   \
        " WHERE key_id = ? AND length(value) <= 64 ORDER BY value LIMIT ?",                        \
            "SELECT value FROM " table " INDEXED BY " table "_short"                               \
            " WHERE key_id = ? AND length(value) <= 64 ORDER BY value DESC LIMIT 1",               \
            "WITH RECURSIVE d(v, n) AS (SELECT ?, 0 UNION ALL SELECT (SELECT value FROM " table    \
            " INDEXED BY " table "_short WHERE key_id = ? AND length(value) <= 64 AND value > d.v" \
            " ORDER BY value LIMIT 1), n + 1 FROM d WHERE v IS NOT NULL AND n < ?)"                \
            " SELECT v FROM d WHERE n > 0",                                                        \
            "SELECT count(*) FROM (SELECT 1 FROM " table " INDEXED BY " table "_short"             \
            " WHERE key_id = ? AND length(value) <= 64 AND value = ? LIMIT ?)",                    \
            "SELECT substr(value, 1, 64) FROM " table " INDEXED BY " table "_long"                 \
            " WHERE key_id = ? AND length(value) > 64 ORDER BY substr(value, 1, 64) LIMIT ?",      \
            "SELECT substr(value, 1, 64) FROM " table " INDEXED BY " table "_long"                 \
            " WHERE key_id = ? AND length(value) > 64"                                             \
            " ORDER BY substr(value, 1, 64) DESC LIMIT 1"                                          \
    }
struct text_sql {
    const char *first, *last, *next, *repeats, *long_first, *long_last;
};
static const struct text_sql param_sql = TEXT_SQL("run_param"), tag_sql = TEXT_SQL("run_tag");

static int one_text(struct ctx *c, const char *sql, int64_t key, char **out) {
    *out = NULL;
    return db_get_text(c, sql, out, "i", key);
}

enum looks { LOOKS_NOTHING, LOOKS_INTEGER, LOOKS_NUMBER, LOOKS_BOOLEAN, LOOKS_STRING };

static enum looks looks_of(const char *s) {
    int64_t integer;
    double number;
    if (str_to_i64(s, &integer))
        return LOOKS_INTEGER;
    if (str_to_f64(s, &number))
        return LOOKS_NUMBER;
    return str_ieq(s, "true") || str_ieq(s, "false") ? LOOKS_BOOLEAN : LOOKS_STRING;
}

static void look(enum looks *all, const char *s) {
    enum looks one = looks_of(s);
    if (*all == LOOKS_NOTHING || *all == one)
        *all = one;
    else if ((*all == LOOKS_INTEGER && one == LOOKS_NUMBER) ||
             (*all == LOOKS_NUMBER && one == LOOKS_INTEGER))
        *all = LOOKS_NUMBER;
    else
        *all = LOOKS_STRING;
}

struct sample {
    int64_t seen, distinct, asked, repeats;
    const char *last;
    double number;
    enum looks looks;
};

static void note_text(struct ctx *c, struct stmt *st, struct sample *s) {
    size_t n = 0;
    const void *value = stmt_blob(st, 0, &n);
    s->seen++;
    if (s->last && strlen(s->last) == n && (n == 0 || !memcmp(s->last, value, n)))
        return;
    s->distinct++;
    s->last = stmt_text(c, st, 0);
    look(&s->looks, s->last);
}

/* A value in the midst of those skipped over tells how often one is there. */
static bool asks_repeats(const struct sample *s) {
    return s->distinct % (COLUMN_DISTINCT / 2) == COLUMN_DISTINCT / 4;
}

static int64_t repeats_bound(const struct column *col) {
    return col->count.v / COLUMN_DISTINCT < REPEATS ? col->count.v / COLUMN_DISTINCT + 1 : REPEATS;
}

static int note_repeats(struct stmt *st, struct sample *s) {
    int rc = stmt_next(st);
    if (rc > 0) {
        s->repeats += stmt_i64(st, 0);
        s->asked++;
    }
    stmt_end(st);
    return rc < 0 ? rc : 0;
}

static int64_t scaled(const struct sample *s, int64_t count) {
    double found = s->asked ? (double)count * (double)s->asked / (double)s->repeats
                            : (double)s->distinct / (double)s->seen * (double)count;
    return found > (double)s->distinct ? (int64_t)found : s->distinct;
}

/* From the last value of the sample on, one seek per different value. */
static int skip_texts(struct ctx *c, const struct text_sql *sql, int64_t key,
                      const struct column *col, struct sample *s, bool *all) {
    struct stmt *st =
        db_query(c, sql->next, "sii", s->last, key, COLUMN_DISTINCT + 1 - s->distinct);
    int rc;
    *all = false;
    while ((rc = stmt_next(st)) > 0) {
        if (stmt_null(st, 0)) {
            *all = true;
            break;
        }
        note_text(c, st, s);
        if (asks_repeats(s) &&
            (rc = note_repeats(db_query(c, sql->repeats, "isi", key, s->last, repeats_bound(col)),
                               s)) < 0)
            break;
    }
    stmt_end(st);
    return rc < 0 ? rc : 0;
}

static int distinct_texts(struct ctx *c, const struct text_sql *sql, int64_t key,
                          struct column *col) {
    struct sample s = {0};
    bool all = true, ended;
    struct stmt *st = db_query(c, sql->first, "ii", key, (int64_t)SAMPLE);
    int rc;
    while ((rc = stmt_next(st)) > 0)
        note_text(c, st, &s);
    stmt_end(st);
    if (rc < 0)
        return rc;
    ended = s.seen < SAMPLE;
    if (!ended && s.distinct <= COLUMN_DISTINCT)
        rc = skip_texts(c, sql, key, col, &s, &all);
    else
        all = ended;
    if (rc < 0)
        return rc;
    int64_t guess = all ? s.distinct : scaled(&s, col->count.v);
    /* Long texts are told apart by what the index holds of them. */
    struct sample far = {0};
    st = db_query(c, sql->long_first, "ii", key, (int64_t)SAMPLE);
    while ((rc = stmt_next(st)) > 0)
        note_text(c, st, &far);
    stmt_end(st);
    if (far.seen) {
        s.looks = LOOKS_STRING;
        s.distinct += far.distinct;
        all &= far.seen < SAMPLE && far.distinct == far.seen;
        guess = s.seen ? guess + far.distinct : scaled(&far, col->count.v);
    }
    static const char *const names[] = {"string", "integer", "number", "boolean", "string"};
    col->type = names[s.looks];
    col->distinct = SET_I64(all ? s.distinct : guess);
    col->estimated = SET_BOOL(!all);
    return rc < 0 ? rc : 0;
}

static int ends_of_texts(struct ctx *c, const struct text_sql *sql, int64_t key,
                         struct column *col) {
    char *low = NULL, *high = NULL, *far_low = NULL, *far_high = NULL;
    struct stmt *st = db_query(c, sql->first, "ii", key, INT64_C(1));
    int rc = stmt_next(st);
    if (rc > 0)
        low = stmt_text(c, st, 0);
    stmt_end(st);
    if (rc >= 0)
        rc = one_text(c, sql->last, key, &high);
    if (rc >= 0) {
        st = db_query(c, sql->long_first, "ii", key, INT64_C(1));
        rc = stmt_next(st);
        if (rc > 0)
            far_low = stmt_text(c, st, 0);
        stmt_end(st);
    }
    if (rc > 0)
        rc = one_text(c, sql->long_last, key, &far_high);
    if (rc < 0)
        return rc;
    if (!low || (far_low && strcmp(far_low, low) < 0))
        low = far_low;
    if (!high || (far_high && strcmp(far_high, high) > 0))
        high = far_high;
    col->least = text_cut(c, low, SHOWN);
    col->greatest = text_cut(c, high, SHOWN);
    return 0;
}

#define OF_KEY " FROM metric_latest INDEXED BY metric_latest_value WHERE key_id = ? AND is_nan = "

static int one_number(struct ctx *c, const char *sql, int64_t key, struct opt_f64 *out) {
    struct stmt *st = db_query(c, sql, "i", key);
    int rc = stmt_next(st);
    if (rc > 0)
        *out = SET_F64(stmt_f64(st, 0));
    stmt_end(st);
    return rc < 0 ? rc : 0;
}

static void note_number(struct sample *s, double v) {
    s->distinct += s->seen++ == 0 || v != s->number;
    s->number = v;
}

static int skip_numbers(struct ctx *c, int64_t key, const struct column *col, struct sample *s,
                        bool *all) {
    struct stmt *st =
        db_query(c,
                 "WITH RECURSIVE d(v, n) AS (SELECT ?, 0 UNION ALL SELECT (SELECT value" OF_KEY
                 "0 AND value > d.v ORDER BY value LIMIT 1), n + 1 FROM d"
                 " WHERE v IS NOT NULL AND n < ?) SELECT v FROM d WHERE n > 0",
                 "dii", s->number, key, COLUMN_DISTINCT + 1 - s->distinct);
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        if (stmt_null(st, 0)) {
            *all = true;
            break;
        }
        note_number(s, stmt_f64(st, 0));
        if (asks_repeats(s) &&
            (rc = note_repeats(
                 db_query(c, "SELECT count(*) FROM (SELECT 1" OF_KEY "0 AND value = ? LIMIT ?)",
                          "idi", key, s->number, repeats_bound(col)),
                 s)) < 0)
            break;
    }
    stmt_end(st);
    return rc < 0 ? rc : 0;
}

static int distinct_numbers(struct ctx *c, int64_t key, struct column *col) {
    struct sample s = {0};
    struct stmt *st =
        db_query(c, "SELECT value" OF_KEY "0 ORDER BY value LIMIT ?", "ii", key, (int64_t)SAMPLE);
    int rc;
    while ((rc = stmt_next(st)) > 0)
        note_number(&s, stmt_f64(st, 0));
    stmt_end(st);
    if (rc < 0)
        return rc;
    bool all = s.seen < SAMPLE;
    if (!all && s.distinct <= COLUMN_DISTINCT)
        rc = skip_numbers(c, key, col, &s, &all);
    if (rc < 0)
        return rc;
    int64_t guess = all ? s.distinct : scaled(&s, col->count.v);
    struct opt_f64 nan = {0};
    rc = one_number(c, "SELECT 1" OF_KEY "1 LIMIT 1", key, &nan);
    col->distinct = SET_I64((all ? s.distinct : guess) + nan.set);
    col->estimated = SET_BOOL(!all);
    return rc;
}

int column_describe(struct ctx *c, int64_t key, bool distinct, struct column *col) {
    int rc;
    if (strcmp(col->kind, "metric") != 0) {
        const struct text_sql *sql = strcmp(col->kind, "tag") ? &param_sql : &tag_sql;
        rc = ends_of_texts(c, sql, key, col);
        return rc || !distinct ? rc : distinct_texts(c, sql, key, col);
    }
    col->type = "number";
    rc = one_number(c, "SELECT value" OF_KEY "0 ORDER BY value LIMIT 1", key, &col->min);
    if (!rc)
        rc = one_number(c, "SELECT value" OF_KEY "0 ORDER BY value DESC LIMIT 1", key, &col->max);
    return rc || !distinct ? rc : distinct_numbers(c, key, col);
}
