/* SPDX-License-Identifier: Apache-2.0 */
#include "copy_rows.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/tracking/copy.h"

/* Who stands in the way of this id and this name. */
static int check_place(struct ctx *c, const struct copy_experiment *in, bool *there) {
    int64_t project = 0, other = -1, runs = 0;
    char *name = NULL;
    bool named = false;
    struct stmt *st =
        db_query(c, "SELECT project_id, name FROM experiment WHERE id = ?", "i", in->id);
    int rc = stmt_next(st);
    *there = rc > 0;
    if (rc > 0) {
        project = stmt_i64(st, 0);
        name = stmt_text(c, st, 1);
    }
    stmt_end(st);
    rc = rc < 0 ? rc
                : db_get_i64(c, "SELECT id FROM experiment WHERE project_id = ? AND name = ?",
                             &other, &named, "is", c->project, in->name);
    if (rc < 0)
        return rc;
    if (named && other != in->id)
        return fail(c, ERR_CONFLICT,
                    "Experiment %lld is called '%s', as experiment %lld here is already.",
                    (long long)in->id, in->name, (long long)other);
    if (!*there || (project == c->project && str_eq(name, in->name)))
        return 0;
    if (in->id == 0 && project == c->project)
        rc = db_get_i64(c,
                        "SELECT count(*) FROM (SELECT 1 FROM run WHERE experiment_id = 0 LIMIT 1)",
                        &runs, NULL, "");
    if (rc == 0 && in->id == 0 && project == c->project && !runs)
        return 0;
    return rc ? rc
              : fail(c, ERR_CONFLICT, "Experiment %lld ('%s') exists here with the name '%s'.",
                     (long long)in->id, in->name, name);
}

int experiment_copy_in(struct ctx *c, const struct copy_experiment *in) {
    bool there = false;
    int rc = check_place(c, in, &there);
    if (rc == 0 && there)
        rc = db_exec(c,
                     "UPDATE experiment SET name = ?, artifact_location = ?, deleted = ?,"
                     " created_ms = ?, updated_ms = ? WHERE id = ?",
                     "ssiiii", in->name, in->location, (int64_t)in->deleted, in->created_ms,
                     in->updated_ms, in->id);
    else if (rc == 0)
        rc = db_exec(c,
                     "INSERT INTO experiment (id, project_id, name, artifact_location, deleted,"
                     " created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
                     "iissiii", in->id, c->project, in->name, in->location, (int64_t)in->deleted,
                     in->created_ms, in->updated_ms);
    if (rc >= 0)
        rc = db_exec(c, "DELETE FROM experiment_tag WHERE experiment_id = ?", "i", in->id);
    for (size_t i = 0; i < in->tags.n && rc >= 0; i++)
        rc = db_exec(c, "INSERT INTO experiment_tag (experiment_id, name, value) VALUES (?, ?, ?)",
                     "iss", in->id, in->tags.items[i].key, in->tags.items[i].value);
    return rc < 0 ? rc : 0;
}

#define COLUMNS "id, name, artifact_location, deleted, created_ms, updated_ms"

static int read_one(struct ctx *c, struct stmt *st, struct copy_experiment *out) {
    int rc = stmt_next(st);
    *out = (struct copy_experiment){0};
    if (rc > 0) {
        out->id = stmt_i64(st, 0);
        out->name = stmt_text(c, st, 1);
        out->location = stmt_text(c, st, 2);
        out->deleted = stmt_i64(st, 3) != 0;
        out->created_ms = stmt_i64(st, 4);
        out->updated_ms = stmt_i64(st, 5);
    }
    stmt_end(st);
    if (rc <= 0)
        return rc;
    rc = copy_pairs(c,
                    db_query(c,
                             "SELECT name, value FROM experiment_tag WHERE experiment_id = ?"
                             " ORDER BY name",
                             "i", out->id),
                    &out->tags);
    return rc < 0 ? rc : 1;
}

int experiment_copy_out(struct ctx *c, int64_t after, struct copy_experiment *out) {
    return read_one(c,
                    db_query(c,
                             "SELECT " COLUMNS " FROM experiment WHERE id > ? AND project_id = ?"
                             " ORDER BY id LIMIT 1",
                             "ii", after, c->project),
                    out);
}

int experiment_copy_get(struct ctx *c, int64_t id, struct copy_experiment *out) {
    return read_one(c,
                    db_query(c,
                             "SELECT " COLUMNS " FROM experiment WHERE id = ? AND project_id = ?",
                             "ii", id, c->project),
                    out);
}

int tracking_copy_counts(struct ctx *c, struct copy_counts *out) {
    int rc = db_get_i64(c, "SELECT count(*) FROM experiment WHERE project_id = ?",
                        &out->experiments, NULL, "i", c->project);
    if (rc == 0)
        rc = db_get_i64(c,
                        "SELECT count(*) FROM run r JOIN experiment e ON e.id = r.experiment_id"
                        " WHERE e.project_id = ?",
                        &out->runs, NULL, "i", c->project);
    if (rc == 0)
        rc = db_get_i64(c,
                        "SELECT count(*) FROM logged_model m JOIN experiment e"
                        " ON e.id = m.experiment_id WHERE e.project_id = ?",
                        &out->models, NULL, "i", c->project);
    return rc;
}
