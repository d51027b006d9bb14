/* SPDX-License-Identifier: Apache-2.0 */
#include "artifact_store.h"

#include <string.h>

#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

/* The names below a folder are those from "dir/" up to, but without, "dir0": '0' follows '/'. */
struct range {
    const char *from, *to;
    size_t prefix;
};

static struct range range_of(struct ctx *c, const char *dir) {
    if (!*dir)
        return (struct range){"", "\xf4\x8f\xbf\xbf", 0}; /* the last code point */
    return (struct range){arena_printf(c->arena, "%s/", dir), arena_printf(c->arena, "%s0", dir),
                          strlen(dir) + 1};
}

/* The names of one answer; whoever has more asks folder by folder. */
#define LISTING_BYTES (256u << 20)

static int listing_check(struct ctx *c) {
    if (arena_bytes(c->arena) <= LISTING_BYTES)
        return 0;
    return fail(c, ERR_INVALID, "The listing would exceed %u MiB; ask for a folder below.",
                LISTING_BYTES >> 20);
}

static int push(struct ctx *c, struct artifact_entries *list, size_t *cap,
                struct artifact_entry entry) {
    list->items = arena_room(c->arena, list->items, list->n, cap, sizeof *list->items);
    list->items[list->n++] = entry;
    return 0;
}

static void read_entry(struct ctx *c, struct stmt *st, struct artifact_entry *out) {
    *out = (struct artifact_entry){
        .path = stmt_text(c, st, 0), .size = stmt_i64(st, 2), .updated_ms = stmt_i64(st, 3)};
    const char *sha = stmt_text(c, st, 1);
    if (sha && strlen(sha) == 64)
        memcpy(out->sha256, sha, 65);
}

int artifact_store_put(struct ctx *c, const char *path, const char *sha256, int64_t size) {
    return db_exec(c,
                   "INSERT INTO artifact (project_id, path, sha256, size, updated_ms)"
                   " VALUES (?, ?, ?, ?, ?)"
                   " ON CONFLICT (project_id, path) DO UPDATE SET sha256 = excluded.sha256,"
                   " size = excluded.size, updated_ms = excluded.updated_ms",
                   "issii", c->project, path, sha256, size, c->now_ms);
}

int artifact_store_get(struct ctx *c, const char *path, struct artifact_entry *out, bool *found) {
    struct stmt *st = db_query(c,
                               "SELECT path, sha256, size, updated_ms FROM artifact"
                               " WHERE project_id = ? AND path = ?",
                               "is", c->project, path);
    int rc = stmt_next(st);
    *found = rc > 0;
    if (rc > 0)
        read_entry(c, st, out);
    stmt_end(st);
    return rc < 0 ? rc : 0;
}

int artifact_store_has_below(struct ctx *c, const char *path, bool *found) {
    struct range r = range_of(c, path);
    int64_t one;
    return db_get_i64(c,
                      "SELECT 1 FROM artifact WHERE project_id = ? AND path >= ? AND path < ?"
                      " LIMIT 1",
                      &one, found, "iss", c->project, r.from, r.to);
}

int artifact_store_delete(struct ctx *c, const char *path) {
    struct range r = range_of(c, path);
    int rc = db_exec(c, "DELETE FROM artifact WHERE project_id = ? AND path = ?", "is", c->project,
                     path);
    if (rc == 0)
        rc = db_exec(c, "DELETE FROM artifact WHERE project_id = ? AND path >= ? AND path < ?",
                     "iss", c->project, r.from, r.to);
    return rc;
}

int artifact_store_erase(struct ctx *c, const char *path, int64_t most) {
    struct range r = range_of(c, path);
    int rc = db_exec(c, "DELETE FROM artifact WHERE project_id = ? AND path = ?", "is", c->project,
                     path);
    if (rc == 0)
        rc = db_exec(c,
                     "DELETE FROM artifact WHERE project_id = ?1 AND path IN (SELECT path FROM"
                     " artifact WHERE project_id = ?1 AND path >= ?2 AND path < ?3 LIMIT ?4)",
                     "issi", c->project, r.from, r.to, most);
    return rc ? rc : db_changes(c) >= most;
}

static struct stmt *scan(struct ctx *c, const char *from, const char *to) {
    return db_query(c,
                    "SELECT path, sha256, size, updated_ms FROM artifact"
                    " WHERE project_id = ? AND path >= ? AND path < ? ORDER BY path",
                    "iss", c->project, from, to);
}

int artifact_store_level(struct ctx *c, const char *dir, struct artifact_entries *out) {
    struct range r = range_of(c, dir);
    size_t cap = 0;
    *out = (struct artifact_entries){0};
    struct stmt *st = scan(c, r.from, r.to);
    int rc;
    while ((rc = stmt_next(st)) > 0 && (rc = listing_check(c)) == 0) {
        struct artifact_entry e;
        read_entry(c, st, &e);
        const char *name = e.path + r.prefix, *slash = strchr(name, '/');
        if (!slash) {
            e.path = name;
            push(c, out, &cap, e);
            continue;
        }
        /* A folder: jump over everything below it instead of reading it. */
        e = (struct artifact_entry){.path = arena_strndup(c->arena, name, (size_t)(slash - name)),
                                    .is_dir = true};
        push(c, out, &cap, e);
        stmt_end(st);
        st = scan(c, arena_printf(c->arena, "%s%s0", r.from, e.path), r.to);
    }
    stmt_end(st);
    return rc;
}

int artifact_store_tree(struct ctx *c, const char *dir, struct artifact_entries *out) {
    struct range r = range_of(c, dir);
    size_t cap = 0;
    *out = (struct artifact_entries){0};
    struct stmt *st = scan(c, r.from, r.to);
    int rc;
    while ((rc = stmt_next(st)) > 0 && (rc = listing_check(c)) == 0) {
        struct artifact_entry e;
        read_entry(c, st, &e);
        push(c, out, &cap, e);
    }
    stmt_end(st);
    return rc;
}

int blob_store_referenced(struct ctx *c, const char *sha256, bool *found) {
    int64_t one;
    int rc =
        db_get_i64(c, "SELECT 1 FROM artifact WHERE sha256 = ? LIMIT 1", &one, found, "s", sha256);
    if (rc == 0 && !*found)
        rc = db_get_i64(c, "SELECT 1 FROM blob_ref WHERE sha256 = ? LIMIT 1", &one, found, "s",
                        sha256);
    return rc;
}

int blob_store_ref_add(struct ctx *c, const char *owner, const char *sha256) {
    return db_exec(c, "INSERT INTO blob_ref (owner, sha256) VALUES (?, ?) ON CONFLICT DO NOTHING",
                   "ss", owner, sha256);
}

int blob_store_ref_drop(struct ctx *c, const char *owner) {
    return db_exec(c, "DELETE FROM blob_ref WHERE owner = ?", "s", owner);
}

int blob_store_each_reference(struct ctx *c,
                              int (*each)(struct ctx *c, const char *sha256, void *arg),
                              void *arg) {
    struct stmt *st =
        db_query(c, "SELECT sha256 FROM artifact UNION SELECT sha256 FROM blob_ref ORDER BY 1", "");
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        int told = each(c, stmt_text(c, st, 0), arg);
        if (told != 0) {
            stmt_end(st);
            return told;
        }
    }
    return rc;
}
