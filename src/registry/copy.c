/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/registry/copy.h"

#include "model.h"
#include "model_store.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

/* ------------------------------------------------------------------ in */

static int put_row(struct ctx *c, const struct copy_registered *in, int64_t *id) {
    int rc = db_exec(c,
                     "INSERT INTO registered_model (project_id, name, description, created_ms,"
                     " updated_ms, last_version) VALUES (?, ?, ?, ?, ?, ?)"
                     " ON CONFLICT (project_id, name) DO UPDATE SET"
                     " description = excluded.description, created_ms = excluded.created_ms,"
                     " updated_ms = excluded.updated_ms,"
                     " last_version = max(last_version, excluded.last_version)",
                     "issiii", c->project, in->name, in->description, in->created_ms,
                     in->updated_ms, in->last_version);
    return rc < 0
               ? rc
               : db_get_i64(c, "SELECT id FROM registered_model WHERE project_id = ? AND name = ?",
                            id, NULL, "is", c->project, in->name);
}

static int put_version(struct ctx *c, int64_t id, const struct copy_version *v) {
    int rc =
        db_exec(c,
                "INSERT INTO model_version (model, version, source, storage, run_id, run_link,"
                " logged_model, description, stage, status, created_ms, updated_ms)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                "iissssssssii", id, v->version, v->source, v->storage, v->run_id, v->run_link,
                v->logged_model, v->description, v->stage, v->status, v->created_ms, v->updated_ms);
    for (size_t i = 0; i < v->tags.n && rc >= 0; i++)
        rc = db_exec(c,
                     "INSERT INTO model_version_tag (model, version, key, value)"
                     " VALUES (?, ?, ?, ?)",
                     "iiss", id, v->version, v->tags.items[i].key, v->tags.items[i].value);
    return rc;
}

int registered_copy_in(struct ctx *c, const struct copy_registered *in) {
    int64_t id = 0;
    int rc = put_row(c, in, &id);
    if (rc >= 0)
        rc = db_exec(c, "DELETE FROM registered_model_tag WHERE model = ?", "i", id);
    if (rc >= 0) /* tags and aliases of versions go with them */
        rc = db_exec(c, "DELETE FROM model_version WHERE model = ?", "i", id);
    for (size_t i = 0; i < in->tags.n && rc >= 0; i++)
        rc = db_exec(c, "INSERT INTO registered_model_tag (model, key, value) VALUES (?, ?, ?)",
                     "iss", id, in->tags.items[i].key, in->tags.items[i].value);
    for (size_t i = 0; i < in->nversions && rc >= 0; i++)
        rc = put_version(c, id, &in->versions[i]);
    for (size_t i = 0; i < in->naliases && rc >= 0; i++)
        rc = db_exec(c, "INSERT INTO model_alias (model, alias, version) VALUES (?, ?, ?)", "isi",
                     id, in->aliases[i].alias, in->aliases[i].version);
    return rc < 0 ? rc : 0;
}

/* ------------------------------------------------------------------ out */

static int count(struct ctx *c, const char *sql, int64_t id, size_t *n) {
    int64_t rows = 0;
    int rc = db_get_i64(c, sql, &rows, NULL, "i", id);
    *n = rc == 0 ? (size_t)rows : 0;
    return rc;
}

/* only 0: all of them. */
static int read_versions(struct ctx *c, int64_t id, int64_t only, struct copy_registered *out) {
    size_t n = 1;
    int rc = only ? 0 : count(c, "SELECT count(*) FROM model_version WHERE model = ?", id, &n);
    out->versions = ARENA_ARRAY(c->arena, struct copy_version, n ? n : 1);
    struct stmt *st =
        rc < 0 ? NULL
               : db_query(c,
                          "SELECT version, source, storage, run_id, run_link, logged_model,"
                          " description, stage, status, created_ms, updated_ms FROM model_version"
                          " WHERE model = ?1 AND version >= ?2 AND (?2 = 0 OR version <= ?2)"
                          " ORDER BY version",
                          "ii", id, only);
    while (rc >= 0 && (rc = stmt_next(st)) > 0 && out->nversions < n) {
        struct copy_version *v = &out->versions[out->nversions++];
        v->version = stmt_i64(st, 0);
        v->source = stmt_text(c, st, 1);
        v->storage = stmt_text(c, st, 2);
        v->run_id = stmt_text(c, st, 3);
        v->run_link = stmt_text(c, st, 4);
        v->logged_model = stmt_text(c, st, 5);
        v->description = stmt_text(c, st, 6);
        v->stage = stmt_text(c, st, 7);
        v->status = stmt_text(c, st, 8);
        v->created_ms = stmt_i64(st, 9);
        v->updated_ms = stmt_i64(st, 10);
    }
    stmt_end(st);
    for (size_t i = 0; i < out->nversions && rc >= 0; i++) {
        st = db_query(c,
                      "SELECT key, value FROM model_version_tag WHERE model = ? AND version = ?"
                      " ORDER BY key",
                      "ii", id, out->versions[i].version);
        rc = pairs_read(c, st, &out->versions[i].tags);
    }
    return rc;
}

static int read_aliases(struct ctx *c, int64_t id, int64_t only, struct copy_registered *out) {
    size_t n = 0;
    int rc = count(c, "SELECT count(*) FROM model_alias WHERE model = ?", id, &n);
    out->aliases = ARENA_ARRAY(c->arena, struct copy_alias, n ? n : 1);
    struct stmt *st = rc < 0 ? NULL
                             : db_query(c,
                                        "SELECT alias, version FROM model_alias WHERE model = ?1"
                                        " AND (?2 = 0 OR version = ?2) ORDER BY alias",
                                        "ii", id, only);
    while (rc >= 0 && (rc = stmt_next(st)) > 0 && out->naliases < n) {
        struct copy_alias *a = &out->aliases[out->naliases++];
        a->alias = stmt_text(c, st, 0);
        a->version = stmt_i64(st, 1);
    }
    stmt_end(st);
    return rc;
}

#define COLUMNS "id, name, description, created_ms, updated_ms, last_version"

static int read_one(struct ctx *c, struct stmt *st, int64_t only, struct copy_registered *out) {
    int64_t id = 0;
    int rc = stmt_next(st);
    *out = (struct copy_registered){0};
    if (rc > 0) {
        id = stmt_i64(st, 0);
        out->name = stmt_text(c, st, 1);
        out->description = stmt_text(c, st, 2);
        out->created_ms = stmt_i64(st, 3);
        out->updated_ms = stmt_i64(st, 4);
        out->last_version = stmt_i64(st, 5);
    }
    stmt_end(st);
    if (rc <= 0)
        return rc;
    st = db_query(c, "SELECT key, value FROM registered_model_tag WHERE model = ? ORDER BY key",
                  "i", id);
    rc = pairs_read(c, st, &out->tags);
    if (rc >= 0)
        rc = read_aliases(c, id, only, out);
    if (rc >= 0)
        rc = read_versions(c, id, only, out);
    return rc < 0 ? rc : 1;
}

int registered_copy_out(struct ctx *c, const char *after, struct copy_registered *out) {
    return read_one(c,
                    db_query(c,
                             "SELECT " COLUMNS " FROM registered_model WHERE project_id = ?"
                             " AND name > ? ORDER BY name LIMIT 1",
                             "is", c->project, after),
                    0, out);
}

int registered_copy_get(struct ctx *c, const char *name, struct copy_registered *out) {
    return read_one(c,
                    db_query(c,
                             "SELECT " COLUMNS " FROM registered_model WHERE project_id = ?"
                             " AND name = ?",
                             "is", c->project, name),
                    0, out);
}

int version_copy_get(struct ctx *c, const char *name, int64_t version,
                     struct copy_registered *out) {
    return read_one(c,
                    db_query(c,
                             "SELECT " COLUMNS " FROM registered_model WHERE project_id = ?"
                             " AND name = ?",
                             "is", c->project, name),
                    version, out);
}

/* ------------------------------------------------------------------ back again */

static int tell_aliases(struct ctx *c, const struct copy_registered *in) {
    int rc = 0;
    for (size_t i = 0; i < in->naliases && rc == 0; i++)
        rc = alias_moved(c, in->name, in->aliases[i].alias, 0, in->aliases[i].version);
    return rc;
}

int registered_restore(struct ctx *c, const struct copy_registered *in) {
    struct model_row m;
    bool found = false;
    int rc = model_store_get(c, in->name, &m, &found);
    if (rc == 0 && found)
        return fail(c, ERR_CONFLICT,
                    "A registered model named '%s' exists; rename or delete it first.", in->name);
    if (rc == 0)
        rc = registered_copy_in(c, in);
    if (rc == 0)
        rc = model_store_get(c, in->name, &m, &found);
    if (rc == 0)
        rc = access_object_created(c, OBJECT_MODEL, m.id);
    return rc < 0 ? rc : tell_aliases(c, in);
}

int version_restore(struct ctx *c, const struct copy_registered *in) {
    struct model_row m;
    bool found = false;
    int rc = model_find(c, in->name, OBJECT_DELETE, &m);
    int64_t there = 0;
    const struct copy_version *v = in->versions;
    if (rc == 0)
        rc = db_get_i64(c, "SELECT 1 FROM model_version WHERE model = ? AND version = ?", &there,
                        &found, "ii", m.id, v->version);
    if (rc == 0 && found)
        return fail(c, ERR_CONFLICT, "Version %lld of '%s' exists.", (long long)v->version,
                    in->name);
    if (rc == 0)
        rc = put_version(c, m.id, v);
    /* A model that was made anew under the name must not give this number out again. */
    if (rc >= 0)
        rc = db_exec(c,
                     "UPDATE registered_model SET last_version = max(last_version, ?),"
                     " updated_ms = ? WHERE id = ?",
                     "iii", v->version, c->now_ms, m.id);
    for (size_t i = 0; i < in->naliases && rc >= 0; i++) {
        const struct copy_alias *a = &in->aliases[i];
        int64_t other = 0;
        rc = alias_store_get(c, m.id, a->alias, &other, &found);
        if (rc < 0 || found)
            continue;
        rc = alias_store_set(c, m.id, a->alias, a->version);
        if (rc >= 0)
            rc = alias_moved(c, in->name, a->alias, 0, a->version);
    }
    return rc < 0 ? rc : 0;
}

static registry_keep *keeper;

void registry_keeper(registry_keep *fn) {
    keeper = fn;
}

int registry_tell_deleting(struct ctx *c, const char *name, int64_t version) {
    return keeper ? keeper(c, name, version) : 0;
}
