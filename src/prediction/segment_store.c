/* SPDX-License-Identifier: Apache-2.0 */
#include "segment_store.h"

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

const struct keep keep_default = {.ms = INT64_C(30) * 86400000, .bytes = INT64_C(1) << 30};

#define COLUMNS                                                                                    \
    "id, project_id, endpoint, from_ms, to_ms, records, bytes, raw_bytes, versions, digest, "      \
    "sealed, created_ms"

int segment_store_put(struct ctx *c, const struct segment *s) {
    return db_exec(
        c,
        "INSERT INTO prediction_segment (" COLUMNS
        ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
        "from_ms = excluded.from_ms, to_ms = excluded.to_ms, records = excluded.records, "
        "bytes = excluded.bytes, raw_bytes = excluded.raw_bytes, versions = "
        "excluded.versions, digest = excluded.digest, sealed = excluded.sealed",
        "iisiiiiissii", s->id, s->project, s->endpoint, s->from_ms, s->to_ms, s->records, s->bytes,
        s->raw_bytes, s->versions, s->digest, (int64_t)s->sealed, s->created_ms);
}

int segment_store_seal_all(struct ctx *c) {
    return db_exec(c, "UPDATE prediction_segment SET sealed = 1 WHERE sealed = 0", "");
}

int segment_store_delete(struct ctx *c, int64_t id) {
    int rc = db_exec(c, "DELETE FROM prediction_key WHERE segment_id = ?", "i", id);
    return rc == 0 ? db_exec(c, "DELETE FROM prediction_segment WHERE id = ?", "i", id) : rc;
}

int segment_store_last_id(struct ctx *c, int64_t *id) {
    *id = 0;
    return db_get_i64(c, "SELECT coalesce(max(id), 0) FROM prediction_segment", id, NULL, "");
}

int segment_store_list(struct ctx *c, const char *endpoint, int64_t from_ms, int64_t to_ms,
                       struct segment **out, size_t *n) {
    size_t cap = 0;
    struct segment s;
    int rc;
    struct stmt *st =
        endpoint
            ? db_query(c,
                       "SELECT " COLUMNS " FROM prediction_segment WHERE project_id = ? AND "
                       "endpoint = ? AND to_ms >= ? AND from_ms <= ? ORDER BY id",
                       "isii", c->project, endpoint, from_ms, to_ms)
            : db_query(c,
                       "SELECT " COLUMNS " FROM prediction_segment ORDER BY project_id, endpoint, "
                       "id",
                       "");
    *out = NULL;
    *n = 0;
    while ((rc = stmt_next(st)) > 0) {
        s = (struct segment){.id = stmt_i64(st, 0),
                             .project = stmt_i64(st, 1),
                             .endpoint = stmt_text(c, st, 2),
                             .from_ms = stmt_i64(st, 3),
                             .to_ms = stmt_i64(st, 4),
                             .records = stmt_i64(st, 5),
                             .bytes = stmt_i64(st, 6),
                             .raw_bytes = stmt_i64(st, 7),
                             .versions = stmt_text(c, st, 8),
                             .digest = stmt_text(c, st, 9),
                             .sealed = stmt_i64(st, 10) != 0,
                             .created_ms = stmt_i64(st, 11)};
        *out = arena_room(c->arena, *out, *n, &cap, sizeof **out);
        (*out)[(*n)++] = s;
    }
    return rc;
}

int segment_store_key(struct ctx *c, int64_t project, const char *endpoint,
                      const struct entity_key *k) {
    return db_exec(c,
                   "INSERT INTO prediction_key (project_id, endpoint, entity, ms, prediction_id, "
                   "segment_id) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                   "issisi", project, endpoint, k->entity, k->ms, k->id, k->segment);
}

int segment_store_newest(struct ctx *c, const char *endpoint, const char *entity, int64_t at_ms,
                         char **id) {
    return db_get_text(
        c,
        "SELECT prediction_id FROM prediction_key WHERE project_id = ? AND endpoint "
        "= ? AND entity = ? AND ms <= ? ORDER BY ms DESC, prediction_id DESC LIMIT 1",
        id, "issi", c->project, endpoint, entity, at_ms);
}

int keep_store_put(struct ctx *c, const char *endpoint, const struct keep *k) {
    return db_exec(c,
                   "INSERT INTO prediction_keep (project_id, endpoint, keep_ms, max_bytes) VALUES "
                   "(?, ?, ?, ?) ON CONFLICT (project_id, endpoint) DO UPDATE SET keep_ms = "
                   "excluded.keep_ms, max_bytes = excluded.max_bytes",
                   "isii", c->project, endpoint, k->ms, k->bytes);
}

int keep_store_get(struct ctx *c, int64_t project, const char *endpoint, struct keep *k) {
    *k = keep_default;
    struct stmt *st =
        db_query(c,
                 "SELECT keep_ms, max_bytes FROM prediction_keep WHERE project_id = ? "
                 "AND endpoint = ?",
                 "is", project, endpoint);
    int rc = stmt_next(st);
    if (rc > 0) {
        *k = (struct keep){stmt_i64(st, 0), stmt_i64(st, 1)};
        stmt_end(st);
        rc = 0;
    }
    return rc;
}

int keep_store_list(struct ctx *c, struct kept **out, size_t *n) {
    size_t cap = 0;
    int rc;
    struct stmt *st =
        db_query(c, "SELECT project_id, endpoint, keep_ms, max_bytes FROM prediction_keep", "");
    *out = NULL;
    *n = 0;
    while ((rc = stmt_next(st)) > 0) {
        *out = arena_room(c->arena, *out, *n, &cap, sizeof **out);
        (*out)[(*n)++] = (struct kept){.project = stmt_i64(st, 0),
                                       .endpoint = stmt_text(c, st, 1),
                                       .keep = {stmt_i64(st, 2), stmt_i64(st, 3)}};
    }
    return rc;
}
