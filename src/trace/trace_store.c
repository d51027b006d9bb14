/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_store.h"

#include <inttypes.h>
#include <string.h>

#include "assessment.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/trace/trace.h"

#define COLUMNS                                                                                    \
    "t.id, t.trace_id, t.experiment_id, t.timestamp_ms, t.execution_ms, t.state,"                  \
    " t.client_request_id, t.request_preview, t.response_preview, t.spans"

static void read_row(struct ctx *c, struct stmt *st, int col, struct trace_info *t) {
    t->row = stmt_i64(st, col);
    t->trace_id = stmt_text(c, st, col + 1);
    t->experiment = stmt_i64(st, col + 2);
    t->timestamp_ms = stmt_i64(st, col + 3);
    if (!stmt_null(st, col + 4))
        t->execution_ms = SET_I64(stmt_i64(st, col + 4));
    t->state = stmt_text(c, st, col + 5);
    t->client_request_id = stmt_text(c, st, col + 6);
    t->request_preview = stmt_text(c, st, col + 7);
    t->response_preview = stmt_text(c, st, col + 8);
    t->spans = stmt_i64(st, col + 9);
}

int trace_find(struct ctx *c, const char *trace_id, struct trace_info *out) {
    *out = (struct trace_info){0};
    struct stmt *st = db_query(c,
                               "SELECT " COLUMNS " FROM trace t JOIN experiment e"
                               " ON e.id = t.experiment_id WHERE t.trace_id = ?"
                               " AND e.project_id = ?",
                               "si", trace_id, c->project);
    int rc = stmt_next(st);
    if (rc > 0)
        read_row(c, st, 0, out);
    stmt_end(st);
    return rc;
}

const char *trace_row_list(struct ctx *c, const int64_t *rows, size_t n) {
    struct buf b = {0};
    buf_putc(&b, '[');
    for (size_t i = 0; i < n; i++)
        buf_printf(&b, "%s%" PRId64, i ? "," : "", rows[i]);
    buf_putc(&b, ']');
    const char *out = arena_strdup(c->arena, b.data);
    buf_free(&b);
    return out;
}

/* Rows: index into the list, key, value; in the order of the list. */
static int load_pairs(struct ctx *c, struct stmt *st, struct trace_info *out, size_t n, bool tags) {
    size_t *caps = ARENA_ARRAY(c->arena, size_t, n ? n : 1);
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        size_t i = (size_t)stmt_i64(st, 0);
        if (i >= n)
            continue;
        struct pairs *p = tags ? &out[i].tags : &out[i].trace_metadata;
        p->items = arena_room(c->arena, p->items, p->n, &caps[i], sizeof *p->items);
        p->items[p->n].key = stmt_text(c, st, 1);
        p->items[p->n++].value = stmt_text(c, st, 2);
    }
    stmt_end(st);
    return rc;
}

int trace_load(struct ctx *c, const int64_t *rows, size_t n, struct trace_info *out) {
    const char *list = trace_row_list(c, rows, n);
    memset(out, 0, n * sizeof *out);
    struct stmt *st = db_query(
        c, "SELECT j.key, " COLUMNS " FROM json_each(?) j CROSS JOIN trace t ON t.id = j.value",
        "s", list);
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        size_t i = (size_t)stmt_i64(st, 0);
        if (i < n) {
            read_row(c, st, 1, &out[i]);
            trace_info_dress(c, &out[i]);
        }
    }
    stmt_end(st);
    if (rc >= 0)
        rc = load_pairs(c,
                        db_query(c,
                                 "SELECT j.key, m.key, m.value FROM json_each(?) j CROSS JOIN"
                                 " trace_metadata m ON m.trace = j.value",
                                 "s", list),
                        out, n, false);
    if (rc >= 0)
        rc = load_pairs(c,
                        db_query(c,
                                 "SELECT j.key, m.key, m.value FROM json_each(?) j CROSS JOIN"
                                 " trace_tag m ON m.trace = j.value",
                                 "s", list),
                        out, n, true);
    return rc < 0 ? rc : assessments_of(c, list, out, n);
}

int trace_insert(struct ctx *c, struct trace_info *t) {
    int rc = db_exec(c,
                     "INSERT INTO trace (trace_id, experiment_id, timestamp_ms, state)"
                     " VALUES (?, ?, ?, ?) ON CONFLICT (trace_id) DO NOTHING",
                     "siis", t->trace_id, t->experiment, t->timestamp_ms, t->state);
    if (rc >= 0 && !db_changes(c))
        return fail(c, ERR_CONFLICT, "Trace with ID '%s' belongs elsewhere.", t->trace_id);
    if (rc >= 0)
        t->row = db_last_id(c);
    return rc < 0 ? rc : 0;
}

int trace_update(struct ctx *c, const struct trace_info *t, bool told) {
    int rc = db_exec(c,
                     "UPDATE trace SET timestamp_ms = ?, state = ?, client_request_id = ?,"
                     " request_preview = ?, response_preview = ?, told = max(told, ?) WHERE id = ?",
                     "issssii", t->timestamp_ms, t->state, t->client_request_id, t->request_preview,
                     t->response_preview, (int64_t)told, t->row);
    if (rc >= 0 && t->execution_ms.set)
        rc = db_exec(c, "UPDATE trace SET execution_ms = ? WHERE id = ?", "ii", t->execution_ms.v,
                     t->row);
    return rc < 0 ? rc : 0;
}

int trace_put_tag(struct ctx *c, int64_t row, const char *key, const char *value) {
    int rc = db_exec(c,
                     "INSERT INTO trace_tag (trace, key, value) VALUES (?, ?, ?)"
                     " ON CONFLICT (trace, key) DO UPDATE SET value = excluded.value",
                     "iss", row, key, value);
    if (rc >= 0 && str_eq(key, "mlflow.traceName"))
        rc = db_exec(c, "UPDATE trace SET name = ? WHERE id = ?", "si", value, row);
    return rc < 0 ? rc : 0;
}

int trace_drop_tag(struct ctx *c, int64_t row, const char *key, bool *was) {
    int rc = db_exec(c, "DELETE FROM trace_tag WHERE trace = ? AND key = ?", "is", row, key);
    *was = rc >= 0 && db_changes(c) > 0;
    if (rc >= 0 && str_eq(key, "mlflow.traceName"))
        rc = db_exec(c, "UPDATE trace SET name = NULL WHERE id = ?", "i", row);
    return rc < 0 ? rc : 0;
}

int trace_put_metadata(struct ctx *c, int64_t row, const char *key, const char *value) {
    int rc = db_exec(c,
                     "INSERT INTO trace_metadata (trace, key, value) VALUES (?, ?, ?)"
                     " ON CONFLICT (trace, key) DO UPDATE SET value = excluded.value",
                     "iss", row, key, value);
    return rc < 0 ? rc : 0;
}

int trace_has(struct ctx *c, int64_t row, bool tag, const char *key, bool *yes) {
    int64_t one = 0;
    *yes = false;
    return tag ? db_get_i64(c, "SELECT 1 FROM trace_tag WHERE trace = ? AND key = ?", &one, yes,
                            "is", row, key)
               : db_get_i64(c, "SELECT 1 FROM trace_metadata WHERE trace = ? AND key = ?", &one,
                            yes, "is", row, key);
}

/* Children go by ON DELETE CASCADE. */
int trace_delete_old(struct ctx *c, int64_t experiment, int64_t before_ms, int64_t most,
                     int64_t *gone) {
    int rc = db_exec(c,
                     "DELETE FROM trace WHERE id IN (SELECT id FROM trace WHERE experiment_id = ?"
                     " AND timestamp_ms <= ? ORDER BY timestamp_ms, trace_id DESC LIMIT ?)",
                     "iii", experiment, before_ms, most);
    *gone = rc < 0 ? 0 : db_changes(c);
    return rc < 0 ? rc : 0;
}

int traces_erase(struct ctx *c, int64_t experiment, int64_t most, int64_t *gone) {
    return trace_delete_old(c, experiment, INT64_MAX, most, gone);
}

int trace_unlink_run(struct ctx *c, const char *run_id) {
    return db_exec(c, "DELETE FROM trace_run WHERE run_uuid = ?", "s", run_id);
}

int trace_delete_one(struct ctx *c, int64_t experiment, const char *trace_id, int64_t *gone) {
    int rc = db_exec(c, "DELETE FROM trace WHERE trace_id = ? AND experiment_id = ?", "si",
                     trace_id, experiment);
    *gone += rc < 0 ? 0 : db_changes(c);
    return rc < 0 ? rc : 0;
}

int trace_link_run(struct ctx *c, int64_t row, const char *run_id) {
    int rc = db_exec(c,
                     "INSERT INTO trace_run (trace, run_uuid) VALUES (?, ?)"
                     " ON CONFLICT DO NOTHING",
                     "is", row, run_id);
    return rc < 0 ? rc : 0;
}
