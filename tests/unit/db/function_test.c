/* SPDX-License-Identifier: Apache-2.0 */
/* SQL functions for filters, and statements put together at run time. */
#include "fixture.h"

static struct fixture f;

/* 1, 0, or a negative code; -99 for NULL. */
static int ask(const char *function, const char *text, const char *pattern) {
    struct ctx c;
    struct sql q;
    int out = -99;
    ctx_begin(&c);
    CHECK_INT(db_read_begin(f.db, &c), 0);
    sql_begin(&c, &q);
    sql_add(&c, &q, "SELECT ", "");
    sql_add(&c, &q, function, "");
    sql_add(&c, &q, "(?, ?)", "ss", text, pattern);
    struct stmt *st = sql_query(&c, &q);
    int rc = stmt_next(st);
    if (rc < 0)
        out = rc;
    else if (!stmt_null(st, 0))
        out = (int)stmt_i64(st, 0);
    stmt_end(st);
    db_read_end(&c);
    ctx_end(&c);
    return out;
}

static void like(void) {
    CHECK_INT(ask("mlflow_like", "resnet-50", "res%"), 1);
    CHECK_INT(ask("mlflow_like", "resnet-50", "Res%"), 0);
    CHECK_INT(ask("mlflow_ilike", "resnet-50", "RES%50"), 1);
    CHECK_INT(ask("mlflow_like", "resnet-50", "%net%"), 1);
    CHECK_INT(ask("mlflow_like", "resnet-50", "resnet-5_"), 1);
    CHECK_INT(ask("mlflow_like", "resnet-50", "resnet-5"), 0);
    CHECK_INT(ask("mlflow_like", "caf\xc3\xa9", "caf_"), 1);
    CHECK_INT(ask("mlflow_like", "caf\xc3\xa9", "caf__"), 0);
    CHECK_INT(ask("mlflow_like", "", "%"), 1);
    CHECK_INT(ask("mlflow_like", "ab", "%abc%"), 0);
    CHECK_INT(ask("mlflow_like", "xaabc", "%abc%"), 1);
    CHECK_INT(ask("mlflow_like", "xaAbc", "%abc%"), 0);
    CHECK_INT(ask("mlflow_ilike", "xaAbC", "%aBc%"), 1);
    CHECK_INT(ask("mlflow_ilike", "xaAb", "%aBc%"), 0);
    CHECK_INT(ask("mlflow_like", "a", "%%"), 1);
    CHECK_INT(ask("mlflow_like", "", "%%"), 1);
    CHECK_INT(ask("mlflow_like", "", ""), 1);
    CHECK_INT(ask("mlflow_like", "x", ""), 0);
    CHECK_INT(ask("mlflow_like", "mississippi", "m%iss%pi"), 1);
    CHECK_INT(ask("mlflow_like", "aXbXc", "a%X%Xc"), 1);
    CHECK_INT(ask("mlflow_like", "abc*", "abc*"), 1);
    CHECK_INT(ask("mlflow_like", "abcd", "abc*"), 0);
    CHECK_INT(ask("mlflow_like", NULL, "%"), -99);
    static char longer[2000];
    memset(longer, '%', sizeof longer - 1);
    CHECK_INT(ask("mlflow_like", "x", longer), -ERR_INVALID);
}

/* Found anywhere, as Python's re.search does; no pattern takes longer than its bound. */
static void rlike(void) {
    static char run[8001];
    CHECK_INT(ask("mlflow_rlike", "resnet-50", "net-\\d+$"), 1);
    CHECK_INT(ask("mlflow_rlike", "resnet-50", "^net"), 0);
    CHECK_INT(ask("mlflow_rlike", "caf\xc3\xa9", "^caf.$"), 1);
    CHECK_INT(ask("mlflow_rlike", "Abc", "(?i)aBC"), 1);
    CHECK_INT(ask("mlflow_rlike", "caf\xc3\xa9", "^\\w+$"), 1);
    CHECK_INT(ask("mlflow_rlike", "caf\xc3\xa9s", "f\\b"), 0);
    CHECK_INT(ask("mlflow_rlike", "", "^$"), 1);
    CHECK_INT(ask("mlflow_rlike", "a.b", "a[.]b|x"), 1);
    CHECK_INT(ask("mlflow_rlike", NULL, "a"), -99);
    CHECK_INT(ask("mlflow_rlike", "a", "("), -ERR_INVALID);
    CHECK_INT(ask("mlflow_rlike", "a", "\\C"), -ERR_INVALID);
    memset(run, 'a', sizeof run - 1);
    CHECK_INT(ask("mlflow_rlike", "x", run), -ERR_INVALID); /* 8,000 characters */
    int64_t t0 = clock_mono_ms();
    CHECK_INT(ask("mlflow_rlike", run, "(a|b)*a(a|b){20}c"), 0);
    run[sizeof run - 2] = 'b';
    CHECK_INT(ask("mlflow_rlike", run, "(a+)+$"), -ERR_INVALID);
    CHECK_INT(ask("mlflow_rlike", run, "^(a|aa)+$"), -ERR_INVALID);
    CHECK_INT(ask("mlflow_rlike", run, "a"), 1);
    CHECK(clock_mono_ms() - t0 < 2000);
}

static void statements(void) {
    struct ctx c;
    char *text;
    int64_t n;
    bool found;
    ctx_begin(&c);
    CHECK_INT(db_read_begin(f.db, &c), 0);
    CHECK_INT(db_get_text(&c, "SELECT ?", &text, "s", "hello"), 0);
    CHECK_STR(text, "hello");
    CHECK_INT(db_get_text(&c, "SELECT ?", &text, "s", (const char *)NULL), 0);
    CHECK(text == NULL);
    CHECK_INT(db_get_i64(&c, "SELECT 7 WHERE 1 = 0", &n, &found, ""), 0);
    CHECK(!found);
    struct stmt *st =
        db_query(&c, "SELECT ?, ?, ?, ?, ?", "sidbn", "x", INT64_C(-5), 1.5, "\0\1", (size_t)2);
    CHECK_INT(stmt_next(st), 1);
    CHECK_STR(stmt_text(&c, st, 0), "x");
    CHECK_INT(stmt_i64(st, 1), -5);
    CHECK_NEAR(stmt_f64(st, 2), 1.5, 0);
    size_t size;
    const unsigned char *blob = stmt_blob(st, 3, &size);
    CHECK_INT(size, 2);
    CHECK(blob && blob[1] == 1);
    CHECK(stmt_null(st, 4));
    CHECK_INT(stmt_next(st), 0);
    stmt_end(st); /* more than once is harmless, also after its cached twin is in use again */
    struct stmt *again = db_query(&c, "SELECT ?, ?, ?, ?, ?", "nnnnn");
    CHECK_INT(stmt_next(again), 1);
    stmt_end(st);
    CHECK(stmt_null(again, 0));
    CHECK_INT(stmt_next(again), 0);
    /* The same text inside its own loop. */
    int rows = 0;
    static const char three[] = "SELECT value FROM (SELECT 1 AS value UNION ALL SELECT 2 UNION ALL "
                                "SELECT 3)";
    struct stmt *outer = db_query(&c, three, "");
    while (stmt_next(outer) > 0) {
        struct stmt *inner = db_query(&c, three, "");
        while (stmt_next(inner) > 0)
            rows++;
    }
    CHECK_INT(rows, 9);
    CHECK(db_query(&c, "SELEKT", "") == NULL);
    CHECK_INT(stmt_next(NULL), -ERR_INTERNAL);
    CHECK_INT(c.err.code, ERR_INTERNAL);
    db_read_end(&c);
    ctx_end(&c);
}

int main(void) {
    log_init(LOG_ERROR + 1, LOG_PLAIN);
    fixture_start(&f, (struct db_options){0});
    RUN(like);
    RUN(rlike);
    RUN(statements);
    fixture_end(&f);
    return CHECK_END();
}
