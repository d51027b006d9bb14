/* SPDX-License-Identifier: Apache-2.0 */
#include "quota.h"

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

int quota_project(struct ctx *c, const char *name, int64_t *id) {
    bool found = false;
    int rc = db_get_i64(c, "SELECT id FROM project WHERE name = ?", id, &found, "s", name);
    return rc || found
               ? rc
               : fail_field(c, ERR_NOT_FOUND, "name", "There is no project named '%s'.", name);
}

static int count(struct ctx *c, int64_t project, struct quota_amounts *held) {
    static const char *const counts[] = {
        "SELECT count(*) FROM experiment e JOIN run r ON r.experiment_id = e.id"
        " WHERE e.project_id = ?",
        "SELECT coalesce(sum(size), 0) FROM artifact WHERE project_id = ?",
        "SELECT count(*) FROM registered_model WHERE project_id = ?",
        "SELECT count(*) FROM experiment e JOIN trace t ON t.experiment_id = e.id"
        " WHERE e.project_id = ?",
    };
    struct opt_i64 *out[] = {&held->runs, &held->artifact_bytes, &held->registered_models,
                             &held->traces};
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(counts) && rc == 0; i++) {
        out[i]->set = true;
        rc = db_get_i64(c, counts[i], &out[i]->v, NULL, "i", project);
    }
    return rc;
}

int quota_set(struct ctx *c, int64_t project, const struct quota_amounts *most) {
    const struct opt_i64 given[] = {most->runs, most->artifact_bytes, most->registered_models,
                                    most->traces};
    static const char *const bounds[] = {
        "UPDATE quota SET most_runs = ? WHERE project_id = ?",
        "UPDATE quota SET most_artifact_bytes = ? WHERE project_id = ?",
        "UPDATE quota SET most_registered_models = ? WHERE project_id = ?",
        "UPDATE quota SET most_traces = ? WHERE project_id = ?",
    };
    struct quota_amounts held = {0};
    bool any = false;
    for (size_t i = 0; i < ARRAY_LEN(given); i++)
        any = any || given[i].set;
    int rc = db_exec(c, "DELETE FROM quota WHERE project_id = ?", "i", project);
    if (rc < 0 || !any)
        return rc;
    rc = count(c, project, &held);
    if (rc == 0)
        rc = db_exec(c,
                     "INSERT INTO quota (project_id, runs, artifact_bytes, registered_models,"
                     " traces) VALUES (?, ?, ?, ?, ?)",
                     "iiiii", project, held.runs.v, held.artifact_bytes.v, held.registered_models.v,
                     held.traces.v);
    for (size_t i = 0; i < ARRAY_LEN(given) && rc >= 0; i++)
        if (given[i].set)
            rc = db_exec(c, bounds[i], "ii", given[i].v, project);
    return rc < 0 ? rc : 0;
}

int quota_get(struct ctx *c, int64_t project, struct quota_amounts *most,
              struct quota_amounts *held) {
    struct opt_i64 *bounds[] = {&most->runs, &most->artifact_bytes, &most->registered_models,
                                &most->traces};
    struct opt_i64 *counts[] = {&held->runs, &held->artifact_bytes, &held->registered_models,
                                &held->traces};
    struct stmt *st = db_query(c,
                               "SELECT most_runs, most_artifact_bytes, most_registered_models,"
                               " most_traces, runs, artifact_bytes, registered_models, traces"
                               " FROM quota WHERE project_id = ?",
                               "i", project);
    int rc = stmt_next(st);
    for (int i = 0; rc > 0 && i < 4; i++) {
        *bounds[i] = (struct opt_i64){.v = stmt_i64(st, i), .set = !stmt_null(st, i)};
        *counts[i] = SET_I64(stmt_i64(st, 4 + i));
    }
    stmt_end(st);
    return rc ? (rc < 0 ? rc : 0) : count(c, project, held);
}

int quota_room(struct ctx *c, int64_t *left) {
    bool bounded = false;
    int rc = db_get_i64(c,
                        "SELECT most_artifact_bytes - artifact_bytes FROM quota"
                        " WHERE project_id = ? AND most_artifact_bytes IS NOT NULL",
                        left, &bounded, "i", c->project);
    return rc < 0 ? rc : bounded;
}
