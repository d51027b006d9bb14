/* SPDX-License-Identifier: Apache-2.0 */
/* DuckDB's library at work: files in and out, and nothing but the named ones. Without a library the
 * test is skipped (exit code 77). QUERN_DUCK_LIB names one; else QUERN_DUCK_PLACES holds globs. */
#include "quern/duck/duck.h"

#include <glob.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/path.h"
#include "quern/core/ctx.h"

static char folder[] = "/tmp/quern-duck-XXXXXX";
static struct dir *dir;
static char csv[80], parquet[80], other[80];

static int begin(struct ctx *c, struct duck **d) {
    static const char *files[3];
    files[0] = csv;
    files[1] = parquet;
    files[2] = NULL;
    struct duck_options o = {.files = files, .memory = 64 << 20};
    return duck_begin(c, &o, d);
}

static void test_csv_to_parquet_and_back(void) {
    struct ctx c;
    struct duck *d;
    struct duck_reader *r;
    struct duck_chunk k;
    struct buf text = {0};
    buf_puts(&text, "id,x,word,flag,big,day\n");
    for (int i = 0; i < 5000; i++)
        buf_printf(&text, "%d,%d.5,%s,%s,123456789012345678901234567890,2026-01-02\n", i, i,
                   i % 3 ? i % 3 == 1 ? "short" : "\"a longer, quoted \"\"text\"\" of words\"" : "",
                   i % 2 ? "true" : "false");
    CHECK_INT(dir_write_file(dir, "in.csv", text.data, text.len), 0);
    buf_free(&text);
    ctx_begin(&c);
    REQUIRE(begin(&c, &d) == 0);
    int rc =
        duck_run(d, &c,
                 arena_printf(c.arena, "COPY (SELECT * FROM read_csv(%s)) TO %s (FORMAT parquet)",
                              duck_quote(c.arena, csv, '\''), duck_quote(c.arena, parquet, '\'')));
    CHECK_INT(rc, 0);
    if (rc < 0)
        printf("%s\n", c.err.message);
    REQUIRE(duck_read_file(d, &c, DUCK_PARQUET, parquet, 1000, &r) == 0);
    int64_t want = 1000;
    while ((rc = duck_next(r, &c, &k)) > 0) {
        REQUIRE(k.ncolumns == 6);
        CHECK_STR(k.columns[0].name, "id");
        CHECK_INT(k.columns[0].kind, DUCK_I64);
        CHECK_INT(k.columns[1].kind, DUCK_F64);
        CHECK_INT(k.columns[2].kind, DUCK_TEXT);
        CHECK_INT(k.columns[3].kind, DUCK_BOOL);
        CHECK_INT(k.columns[5].kind, DUCK_TEXT);
        CHECK(k.rows <= 2048);
        for (size_t i = 0; i < k.rows; i++, want++) {
            const struct duck_text *w = &((const struct duck_text *)k.columns[2].data)[i];
            CHECK_INT(((const int64_t *)k.columns[0].data)[i], want);
            CHECK_NEAR(((const double *)k.columns[1].data)[i], (double)want + 0.5, 1e-9);
            CHECK_INT(((const uint8_t *)k.columns[3].data)[i], want % 2);
            if (want % 3 == 0)
                CHECK(k.columns[2].valid && !k.columns[2].valid[i]);
            else if (want % 3 == 1)
                CHECK(w->len == 5 && memcmp(w->data, "short", 5) == 0);
            else
                CHECK(w->len == 32 &&
                      memcmp(w->data, "a longer, quoted \"text\" of words", 32) == 0);
            const struct duck_text *day = &((const struct duck_text *)k.columns[5].data)[i];
            CHECK(day->len == 10 && memcmp(day->data, "2026-01-02", 10) == 0);
        }
    }
    CHECK_INT(rc, 0);
    CHECK_INT(want, 5000);
    duck_reader_end(r);
    duck_end(d);
    ctx_end(&c);
}

/* Another file, the network, settings, extensions: all shut. */
static void test_confined(void) {
    struct ctx c;
    struct duck *d;
    CHECK_INT(dir_write_file(dir, "other.csv", "a\n1\n", 4), 0);
    ctx_begin(&c);
    REQUIRE(begin(&c, &d) == 0);
    const char *tries[] = {
        arena_printf(c.arena, "SELECT * FROM read_csv('%s')", other),
        arena_printf(c.arena, "COPY (SELECT 1) TO '%s.out'", other),
        arena_printf(c.arena, "ATTACH '%s.db'", other),
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_csv('http://127.0.0.1:1/x.csv')",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SET memory_limit = '8GB'",
        "COPY (SELECT 1) TO '/tmp/quern-duck-escaped.csv'",
    };
    for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
        int rc = duck_run(d, &c, tries[i]);
        if (rc == 0)
            printf("let through: %s\n", tries[i]);
        CHECK(rc < 0);
        err_clear(&c);
    }
    duck_end(d);
    ctx_end(&c);
}

static void test_faults(void) {
    struct ctx c;
    struct duck *d;
    struct duck_reader *r;
    struct duck_chunk k;
    CHECK_INT(dir_write_file(dir, "out.parquet", "PAR1 is not all there is PAR1", 29), 0);
    ctx_begin(&c);
    REQUIRE(begin(&c, &d) == 0);
    CHECK_INT(duck_read_file(d, &c, DUCK_PARQUET, parquet, 0, &r), -ERR_UNPROCESSABLE);
    CHECK(c.err.message && !strstr(c.err.message, folder)); /* no path */
    err_clear(&c);
    CHECK_INT(dir_write_file(dir, "in.csv", "a,b\n1,2\n3\n", 10), 0);
    CHECK_INT(duck_run(d, &c, "SELECT"), -ERR_UNPROCESSABLE);
    err_clear(&c);
    /* A fault met on the way is one, not an end. */
    REQUIRE(duck_query(d, &c,
                       "SELECT CAST(CASE WHEN i = 9000000 THEN 'x' || i ELSE i::VARCHAR END AS "
                       "INTEGER) FROM range(10000000) t(i)",
                       &r) == 0);
    int rc;
    while ((rc = duck_next(r, &c, &k)) > 0)
        ;
    CHECK_INT(rc, -ERR_UNPROCESSABLE);
    duck_reader_end(r);
    err_clear(&c);
    /* More than its memory, and nowhere to spill. */
    CHECK_INT(
        duck_run(
            d, &c,
            "CREATE TABLE t AS SELECT i, random() x, md5(i::VARCHAR) m FROM range(20000000) r(i)"),
        -ERR_UNPROCESSABLE);
    duck_end(d);
    ctx_end(&c);
}

static bool find_library(struct buf *error) {
    const char *one = getenv("QUERN_DUCK_LIB"), *places = getenv("QUERN_DUCK_PLACES");
    if (one && *one)
        return duck_open(one, NULL, error) == 0;
    glob_t g = {0};
    bool found = places && *places && glob(places, 0, NULL, &g) == 0 &&
                 duck_open(NULL, (const char *const *)g.gl_pathv, error) == 0;
    globfree(&g);
    return found;
}

int main(void) {
    struct buf error = {0};
    struct ctx c;
    struct duck *d;
    struct duck_options none = {0};
    ctx_begin(&c);
    CHECK_INT(duck_begin(&c, &none, &d), -ERR_NOT_IMPLEMENTED);
    CHECK_HAS(c.err.message, "duck.library");
    CHECK_INT(duck_open("/nonexistent/libduckdb.so", NULL, &error), -1);
    CHECK_STR(duck_quote(c.arena, "it's", '\''), "'it''s'");
    CHECK_STR(duck_quote(c.arena, "a \"b\"", '"'), "\"a \"\"b\"\"\"");
    ctx_end(&c);
    buf_clear(&error);
    if (!find_library(&error)) {
        printf("skipped: no DuckDB (%s)\n", error.data ? error.data : "");
        buf_free(&error);
        return 77;
    }
    buf_free(&error);
    if (!mkdtemp(folder) || dir_open(folder, false, &dir) != 0)
        return 1;
    snprintf(csv, sizeof csv, "%s/in.csv", folder);
    snprintf(parquet, sizeof parquet, "%s/out.parquet", folder);
    snprintf(other, sizeof other, "%s/other.csv", folder);
    printf("DuckDB %s\n", duck_version());
    RUN(test_csv_to_parquet_and_back);
    RUN(test_confined);
    RUN(test_faults);
    static const char *const files[] = {"in.csv", "out.parquet", "other.csv"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        dir_unlink(dir, files[i]);
    dir_close(dir);
    rmdir(folder);
    return CHECK_END();
}
