/* SPDX-License-Identifier: Apache-2.0 */
/* Check: asks SQLite whether the file is whole. */
#include "database.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"

static int list(struct ctx *c, const char *sql, bool references, const char *quiet,
                struct buf *report) {
    struct stmt *st = db_query(c, sql, "");
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        char *first = stmt_text(c, st, 0);
        if (quiet && first && sqlite3_stricmp(first, quiet) == 0)
            continue;
        if (!references)
            buf_printf(report, "%s\n", first ? first : "?");
        else {
            char *parent = stmt_text(c, st, 2);
            buf_printf(report, "row %lld of %s refers to a missing row of %s\n",
                       (long long)stmt_i64(st, 1), first ? first : "?", parent ? parent : "?");
        }
    }
    return rc;
}

int db_check(struct db *db, struct ctx *c, struct buf *report) {
    size_t before = report->len;
    int rc = db_read_begin(db, c);
    if (rc < 0)
        return rc;
    rc = list(c, "PRAGMA quick_check(100)", false, "ok", report);
    if (rc == 0)
        rc = list(c, "PRAGMA foreign_key_check", true, NULL, report);
    db_read_end(c);
    if (rc == 0 && report->len > before)
        return fail(c, ERR_INTERNAL, "the database is damaged; the report tells where");
    return rc;
}
