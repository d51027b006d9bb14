/* SPDX-License-Identifier: Apache-2.0 */
/* Migration: brings an older schema to this program's, one transaction per step, and refuses what
 * it does not know. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "database.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"

static int newest(const struct migration *list) {
    int version = 0;
    for (const struct migration *m = list; m->version > 0; m++)
        version = m->version;
    return version;
}

bool migration_older(const struct migration *list, int have) {
    return have < newest(list);
}

static const struct migration *find(const struct migration *list, int version) {
    for (const struct migration *m = list; m->version > 0; m++)
        if (m->version == version)
            return m;
    return NULL;
}

static bool gaps(const struct migration *list, struct buf *error) {
    int want = 1;
    for (const struct migration *m = list; m->version > 0; m++, want++)
        if (m->version != want) {
            buf_printf(error, "this program is put together wrongly: migration %d is missing",
                       want);
            return true;
        }
    return false;
}

int migration_check(const struct migration *list, sqlite3 *handle, int *have, struct buf *error) {
    sqlite3_stmt *st = NULL;
    int rc = -1;
    *have = 0;
    if (gaps(list, error))
        return -1;
    if (sqlite3_prepare_v2(handle, "PRAGMA user_version", -1, &st, NULL) != SQLITE_OK ||
        sqlite3_step(st) != SQLITE_ROW) {
        buf_printf(error, "the database cannot be read: %s", sqlite3_errmsg(handle));
        goto end;
    }
    *have = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    st = NULL;
    if (*have > newest(list)) {
        buf_printf(error,
                   "the data has schema %d and this program knows schemas up to %d; run the newer "
                   "program, or restore the backup made before it",
                   *have, newest(list));
        goto end;
    }
    if (*have == 0) {
        rc = 0;
        goto end;
    }
    if (sqlite3_prepare_v2(handle,
                           "SELECT version, name, sha256 FROM schema_migration ORDER BY version",
                           -1, &st, NULL) != SQLITE_OK) {
        buf_printf(error, "the database has schema %d but no list of its migrations", *have);
        goto end;
    }
    int seen = 0, r;
    while ((r = sqlite3_step(st)) == SQLITE_ROW) {
        int version = sqlite3_column_int(st, 0);
        const char *name = (const char *)sqlite3_column_text(st, 1);
        const char *sum = (const char *)sqlite3_column_text(st, 2);
        const struct migration *m = find(list, version);
        seen++;
        if (version != seen || !m || !sum || strcmp(sum, m->sha256) != 0) {
            buf_printf(error,
                       "migration %s was applied to this data with another text than this program "
                       "has (SHA-256 %s); it was written by another build, which has to be used",
                       name ? name : "?", sum ? sum : "?");
            goto end;
        }
    }
    if (r != SQLITE_DONE)
        buf_printf(error, "the database cannot be read: %s", sqlite3_errmsg(handle));
    else if (seen != *have)
        buf_printf(error, "the database has schema %d but %d migrations in its list", *have, seen);
    else
        rc = 0;
end:
    sqlite3_finalize(st);
    return rc;
}

static int record(sqlite3 *handle, const struct migration *m) {
    sqlite3_stmt *st = NULL;
    int r = sqlite3_prepare_v2(handle, "INSERT INTO schema_migration VALUES (?, ?, ?, ?)", -1, &st,
                               NULL);
    if (r == SQLITE_OK) {
        sqlite3_bind_int(st, 1, m->version);
        sqlite3_bind_text(st, 2, m->name, -1, SQLITE_STATIC);
        sqlite3_bind_text(st, 3, m->sha256, -1, SQLITE_STATIC);
        sqlite3_bind_int64(st, 4, clock_wall_ms());
        r = sqlite3_step(st) == SQLITE_DONE ? SQLITE_OK : sqlite3_errcode(handle);
    }
    sqlite3_finalize(st);
    if (r != SQLITE_OK)
        return r;
    char text[64];
    snprintf(text, sizeof text, "PRAGMA user_version = %d", m->version);
    return sqlite3_exec(handle, text, NULL, NULL, NULL);
}

static int references_hold(sqlite3 *handle) {
    sqlite3_stmt *st = NULL;
    int r = sqlite3_prepare_v2(handle, "PRAGMA foreign_key_check", -1, &st, NULL);
    if (r == SQLITE_OK) {
        r = sqlite3_step(st);
        r = r == SQLITE_DONE ? SQLITE_OK : r == SQLITE_ROW ? SQLITE_CONSTRAINT : r;
    }
    sqlite3_finalize(st);
    return r;
}

static int failed(sqlite3 *handle, const struct migration *m, int r, struct buf *error) {
    buf_printf(error, "migration %s failed and was undone: %s", m->name,
               r == SQLITE_CONSTRAINT ? "a reference points nowhere" : sqlite3_errmsg(handle));
    return -1;
}

/* Within a transaction, which the caller ends. */
static int apply(sqlite3 *handle, const struct migration *m, struct buf *error) {
    static const char table[] = "CREATE TABLE IF NOT EXISTS schema_migration ("
                                "version INTEGER PRIMARY KEY, name TEXT NOT NULL, "
                                "sha256 TEXT NOT NULL, applied_ms INTEGER NOT NULL) STRICT";
    int r = sqlite3_exec(handle, table, NULL, NULL, NULL);
    if (r == SQLITE_OK)
        r = sqlite3_exec(handle, m->sql, NULL, NULL, NULL);
    if (r == SQLITE_OK && sqlite3_get_autocommit(handle)) {
        buf_printf(error, "migration %s ended its own transaction; it must not COMMIT", m->name);
        return -1;
    }
    if (r == SQLITE_OK)
        r = record(handle, m);
    if (r == SQLITE_OK)
        r = references_hold(handle);
    return r == SQLITE_OK ? 0 : failed(handle, m, r, error);
}

/* One after the other, each durable by itself; those of a new database all at once, for which one
 * sync is enough. */
static int apply_all(struct db *db, sqlite3 *handle, int have, struct buf *error) {
    int rc = 0, last = newest(db->migrations);
    for (const struct migration *m = db->migrations; rc == 0 && m->version > 0; m++) {
        if (m->version <= have)
            continue;
        int r = sqlite3_get_autocommit(handle)
                    ? sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL)
                    : SQLITE_OK;
        rc = r == SQLITE_OK ? apply(handle, m, error) : failed(handle, m, r, error);
        if (rc == 0 && (have > 0 || m->version == last)) {
            r = sqlite3_exec(handle, "COMMIT", NULL, NULL, NULL);
            rc = r == SQLITE_OK ? 0 : failed(handle, m, r, error);
        }
        if (rc == 0 && have > 0)
            log_info("db.migrate", "schema %d (%s)", m->version, m->name);
    }
    if (rc == 0 && have == 0)
        log_info("db.migrate", "a new database of schema %d", last);
    if (!sqlite3_get_autocommit(handle))
        sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

int migration_run(struct db *db, sqlite3 *handle, int have, struct buf *error) {
    if (have >= newest(db->migrations))
        return 0;
    if (have > 0) { /* the way back, should the new version disappoint */
        char name[64];
        snprintf(name, sizeof name, "quern-before-schema-%d.db", newest(db->migrations));
        if (backup_copy(handle, db->dir, name, error) < 0)
            return -1;
        log_info("db.migrate", "the data before the migration is kept as %s", name);
    }
    /* Tables are rebuilt by copying and renaming, which references must not notice; they are
     * checked before the commit instead. */
    sqlite3_exec(handle, "PRAGMA foreign_keys = OFF", NULL, NULL, NULL);
    int rc = apply_all(db, handle, have, error);
    sqlite3_exec(handle, "PRAGMA foreign_keys = ON", NULL, NULL, NULL);
    return rc;
}
