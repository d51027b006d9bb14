/* SPDX-License-Identifier: Apache-2.0 */
#include "lineage_store.h"

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

void node_push(struct ctx *c, struct node_rows *list, struct node_row row) {
    list->items = arena_room(c->arena, list->items, list->n, &list->cap, sizeof(row));
    list->items[list->n++] = row;
}

void edge_push(struct ctx *c, struct edge_rows *list, struct edge_row row) {
    list->items = arena_room(c->arena, list->items, list->n, &list->cap, sizeof(row));
    list->items[list->n++] = row;
}

int lineage_store_node(struct ctx *c, const char *ref, const char *kind, const char *label,
                       const char *attrs) {
    return db_exec(c,
                   "INSERT INTO lineage_node (project_id, ref, kind, label, attrs, created_ms)"
                   " VALUES (?, ?, ?, ?, ?, ?)"
                   " ON CONFLICT (project_id, ref) DO UPDATE SET label = excluded.label,"
                   " attrs = COALESCE(excluded.attrs, lineage_node.attrs)",
                   "issssi", c->project, ref, kind, label, attrs, c->now_ms);
}

int lineage_store_node_if_absent(struct ctx *c, const char *ref, const char *kind,
                                 const char *label) {
    return db_exec(c,
                   "INSERT INTO lineage_node (project_id, ref, kind, label, created_ms)"
                   " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                   "isssi", c->project, ref, kind, label, c->now_ms);
}

int lineage_store_relabel(struct ctx *c, const char *ref, const char *label) {
    return db_exec(c, "UPDATE lineage_node SET label = ? WHERE project_id = ? AND ref = ?", "sis",
                   label, c->project, ref);
}

int lineage_store_edge(struct ctx *c, const char *from, const char *to, const char *verb) {
    return db_exec(c,
                   "INSERT INTO lineage_edge (project_id, source, target, verb, created_ms)"
                   " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                   "isssi", c->project, from, to, verb, c->now_ms);
}

int lineage_store_edge_drop(struct ctx *c, const char *from, const char *to, const char *verb) {
    return db_exec(c,
                   "DELETE FROM lineage_edge"
                   " WHERE project_id = ? AND source = ? AND target = ? AND verb = ?",
                   "isss", c->project, from, to, verb);
}

/* The new name may have a history of its own (an earlier thing of that name): both are kept. */
int lineage_store_rename(struct ctx *c, const char *from, const char *to, const char *kind,
                         const char *label) {
    int rc = db_exec(c,
                     "INSERT INTO lineage_node (project_id, ref, kind, label, attrs, created_ms)"
                     " SELECT project_id, ?, ?, ?, attrs, created_ms FROM lineage_node"
                     " WHERE project_id = ? AND ref = ? ON CONFLICT DO NOTHING",
                     "sssis", to, kind, label, c->project, from);
    if (rc == 0)
        rc = db_exec(c,
                     "INSERT INTO lineage_edge (project_id, source, target, verb, created_ms)"
                     " SELECT project_id, ?, target, verb, created_ms FROM lineage_edge"
                     " WHERE project_id = ? AND source = ? ON CONFLICT DO NOTHING",
                     "sis", to, c->project, from);
    if (rc == 0)
        rc = db_exec(c,
                     "INSERT INTO lineage_edge (project_id, source, target, verb, created_ms)"
                     " SELECT project_id, source, ?, verb, created_ms FROM lineage_edge"
                     " WHERE project_id = ? AND target = ? ON CONFLICT DO NOTHING",
                     "sis", to, c->project, from);
    if (rc == 0)
        rc = db_exec(c,
                     "DELETE FROM lineage_edge WHERE project_id = ? AND (source = ? OR target = ?)",
                     "iss", c->project, from, from);
    if (rc == 0)
        rc = db_exec(c, "DELETE FROM lineage_node WHERE project_id = ? AND ref = ?", "is",
                     c->project, from);
    return rc;
}

static struct node_row read_node(struct ctx *c, struct stmt *st) {
    return (struct node_row){stmt_text(c, st, 0), stmt_text(c, st, 1), stmt_text(c, st, 2),
                             stmt_text(c, st, 3)};
}

int lineage_store_get(struct ctx *c, const char *ref, struct node_row *out, bool *found) {
    struct stmt *st = db_query(c,
                               "SELECT ref, kind, label, attrs FROM lineage_node"
                               " WHERE project_id = ? AND ref = ?",
                               "is", c->project, ref);
    int rc = stmt_next(st);
    *found = rc > 0;
    if (rc > 0)
        *out = read_node(c, st);
    stmt_end(st);
    return rc < 0 ? rc : 0;
}

int lineage_store_edges(struct ctx *c, const char *ref, bool downstream, size_t most,
                        struct edge_rows *out) {
    const char *sql = downstream ? "SELECT source, target, verb FROM lineage_edge"
                                   " WHERE project_id = ? AND source = ?"
                                   " ORDER BY target, verb LIMIT ?"
                                 : "SELECT source, target, verb FROM lineage_edge"
                                   " WHERE project_id = ? AND target = ?"
                                   " ORDER BY source, verb LIMIT ?";
    struct stmt *st = db_query(c, sql, "isi", c->project, ref, (int64_t)most);
    int rc;
    while ((rc = stmt_next(st)) > 0)
        edge_push(c, out,
                  (struct edge_row){stmt_text(c, st, 0), stmt_text(c, st, 1), stmt_text(c, st, 2)});
    return rc;
}

int lineage_store_search(struct ctx *c, const char *kind, const char *q, int64_t limit,
                         int64_t offset, struct node_rows *out) {
    struct stmt *st = db_query(c,
                               "SELECT ref, kind, label, attrs FROM lineage_node"
                               " WHERE project_id = ? AND (? IS NULL OR kind = ?)"
                               " AND (? IS NULL OR instr(lower(ref), lower(?)) > 0"
                               "      OR instr(lower(label), lower(?)) > 0)"
                               " ORDER BY created_ms DESC, ref LIMIT ? OFFSET ?",
                               "isssssii", c->project, kind, kind, q, q, q, limit, offset);
    int rc;
    while ((rc = stmt_next(st)) > 0)
        node_push(c, out, read_node(c, st));
    return rc;
}
