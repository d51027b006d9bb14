/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>

#include "issue.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/json/json_out.h"

/* NULL for an empty list. */
static const char *list_text(struct ctx *c, const struct strs *list) {
    return list->n ? json_strs(c->arena, list->items, list->n) : NULL;
}

static struct strs text_list(struct ctx *c, const char *text) {
    struct strs list = {0};
    json_t *tree = text ? json_loads(text, 0, NULL) : NULL, *item;
    size_t i;
    list.items = ARENA_ARRAY(c->arena, const char *, json_array_size(tree) + 1);
    json_array_foreach(tree, i, item) {
        if (json_is_string(item))
            list.items[list.n++] = arena_strdup(c->arena, json_string_value(item));
    }
    json_decref(tree);
    return list;
}

void issue_row(struct ctx *c, struct stmt *st, struct issue *out) {
    *out = (struct issue){
        .issue_id = stmt_text(c, st, 0),
        .experiment = stmt_i64(st, 1),
        .experiment_id = arena_printf(c->arena, "%lld", (long long)stmt_i64(st, 1)),
        .name = stmt_text(c, st, 2),
        .description = stmt_text(c, st, 3),
        .status = stmt_text(c, st, 4),
        .severity = stmt_text(c, st, 5),
        .root_causes = text_list(c, stmt_text(c, st, 6)),
        .categories = text_list(c, stmt_text(c, st, 7)),
        .source_run_id = stmt_text(c, st, 8),
        .created_by = stmt_text(c, st, 9),
        .created_timestamp = SET_I64(stmt_i64(st, 10)),
        .last_updated_timestamp = SET_I64(stmt_i64(st, 11)),
    };
}

int issue_find(struct ctx *c, const char *issue_id, struct issue *out) {
    struct stmt *st = db_query(c,
                               "SELECT " ISSUE_COLUMNS " FROM issue i JOIN experiment e"
                               " ON e.id = i.experiment_id WHERE i.issue_id = ?"
                               " AND e.project_id = ?",
                               "si", issue_id, c->project);
    int rc = stmt_next(st);
    if (rc > 0)
        issue_row(c, st, out);
    stmt_end(st);
    return rc;
}

int issue_insert(struct ctx *c, const struct issue *i) {
    int rc = db_exec(c,
                     "INSERT INTO issue (issue_id, experiment_id, name, description, status,"
                     " severity, root_causes, categories, source_run, created_by, created_ms,"
                     " updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                     "sissssssssii", i->issue_id, i->experiment, i->name, i->description, i->status,
                     i->severity, list_text(c, &i->root_causes), list_text(c, &i->categories),
                     i->source_run_id, i->created_by, i->created_timestamp.v,
                     i->last_updated_timestamp.v);
    return rc < 0 ? rc : 0;
}

int issue_write(struct ctx *c, const struct issue *i) {
    int rc = db_exec(c,
                     "UPDATE issue SET name = ?, description = ?, status = ?, severity = ?,"
                     " updated_ms = ? WHERE issue_id = ?",
                     "ssssis", i->name, i->description, i->status, i->severity,
                     i->last_updated_timestamp.v, i->issue_id);
    return rc < 0 ? rc : 0;
}
