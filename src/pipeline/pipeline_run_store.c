/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <string.h>

#include "json_value.h"
#include "pipeline_run.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/json/json_in.h"

#define RUN_COLUMNS                                                                                \
    "id, project_id, pipeline, version, definition, params, state, reason, use_cache, cancel, "    \
    "git_commit, git_branch, git_remote, git_dirty, experiment_id, tracking_run_id, created_by, "  \
    "created_ms, started_ms, ended_ms"

static void run_read(struct ctx *c, struct stmt *st, struct run_row *r) {
    *r = (struct run_row){
        .id = stmt_text(c, st, 0),
        .project = stmt_i64(st, 1),
        .pipeline = stmt_text(c, st, 2),
        .version = stmt_i64(st, 3),
        .definition = stmt_text(c, st, 4),
        .params = stmt_text(c, st, 5),
        .reason = stmt_text(c, st, 7),
        .use_cache = stmt_i64(st, 8) != 0,
        .cancel = stmt_i64(st, 9) != 0,
        .git = {.commit = stmt_text(c, st, 10),
                .branch = stmt_text(c, st, 11),
                .remote = stmt_text(c, st, 12)},
        .experiment_id = stmt_i64(st, 14),
        .tracking_run_id = stmt_text(c, st, 15),
        .created_by = stmt_text(c, st, 16),
        .created_ms = stmt_i64(st, 17),
        .started_ms = stmt_i64(st, 18),
        .ended_ms = stmt_i64(st, 19),
    };
    r->state = run_state_of(stmt_text(c, st, 6));
    if (!stmt_null(st, 13)) {
        r->git.dirty = SET_BOOL(stmt_i64(st, 13) != 0);
    }
}

int run_insert(struct ctx *c, const struct run_row *r) {
    int rc = db_exec(
        c,
        "INSERT INTO pipeline_run (id, project_id, pipeline, definition, params, state, use_cache, "
        "git_commit, git_branch, git_remote, created_by, created_ms, tracking_run_id) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "sissssisss"
        "sis",
        r->id, c->project, r->pipeline, r->definition, r->params, run_state_name(r->state),
        (int64_t)r->use_cache, r->git.commit, r->git.branch, r->git.remote, r->created_by,
        r->created_ms, r->tracking_run_id);
    if (rc == 0 && r->version) {
        rc =
            db_exec(c, "UPDATE pipeline_run SET version = ? WHERE id = ?", "is", r->version, r->id);
    }
    if (rc == 0 && r->experiment_id) {
        rc = db_exec(c, "UPDATE pipeline_run SET experiment_id = ? WHERE id = ?", "is",
                     r->experiment_id, r->id);
    }
    if (rc == 0 && r->git.dirty.set) {
        rc = db_exec(c, "UPDATE pipeline_run SET git_dirty = ? WHERE id = ?", "is",
                     (int64_t)r->git.dirty.v, r->id);
    }
    return rc;
}

int run_load(struct ctx *c, const char *id, struct run_row *out) {
    struct stmt *st =
        db_query(c, "SELECT " RUN_COLUMNS " FROM pipeline_run WHERE id = ? AND project_id = ?",
                 "si", id, c->project);
    int rc = stmt_next(st);
    if (rc > 0) {
        run_read(c, st, out);
    }
    stmt_end(st);
    return rc > 0    ? 0
           : rc == 0 ? fail_field(c, ERR_NOT_FOUND, "id", "there is no pipeline run %s", id)
                     : rc;
}

void *rows_grown(struct ctx *c, void *items, size_t n, size_t size) {
    if (n && (n < 8 || (n & (n - 1)))) {
        return items;
    }
    void *wider = arena_alloc_n(c->arena, n ? n * 2 : 8, size);
    if (n) {
        memcpy(wider, items, n * size);
    }
    return wider;
}

int run_list(struct ctx *c, const struct run_list_filter *f, struct run_row **out, size_t *n) {
    struct sql q;
    sql_begin(c, &q);
    sql_add(c, &q, "SELECT " RUN_COLUMNS " FROM pipeline_run WHERE project_id = ?", "i",
            c->project);
    if (f->pipeline) {
        sql_add(c, &q, " AND pipeline = ?", "s", f->pipeline);
    }
    if (f->state) {
        sql_add(c, &q, " AND state = ?", "s", f->state);
    }
    sql_add(c, &q, " ORDER BY created_ms DESC, id DESC LIMIT ? OFFSET ?", "ii", f->limit,
            f->offset);
    struct stmt *st = sql_query(c, &q);
    int rc;
    *out = NULL;
    *n = 0;
    while ((rc = stmt_next(st)) > 0) {
        *out = rows_grown(c, *out, *n, sizeof **out);
        run_read(c, st, &(*out)[(*n)++]);
    }
    stmt_end(st);
    return rc;
}

int run_list_active(struct ctx *c, struct active_run **out, size_t *n) {
    struct stmt *st = db_query(c,
                               "SELECT id, project_id FROM pipeline_run WHERE state IN ('queued', "
                               "'running') ORDER BY created_ms",
                               "");
    int rc;
    *out = NULL;
    *n = 0;
    while ((rc = stmt_next(st)) > 0) {
        *out = rows_grown(c, *out, *n, sizeof **out);
        (*out)[(*n)++] = (struct active_run){.id = stmt_text(c, st, 0), .project = stmt_i64(st, 1)};
    }
    stmt_end(st);
    return rc;
}

static int event_add(struct ctx *c, const char *run_id, const char *step, int64_t attempt,
                     const char *from, const char *to, const char *reason) {
    return db_exec(
        c,
        "INSERT INTO pipeline_event (run_id, time_ms, step, attempt, from_state, to_state, "
        "reason) VALUES (?, ?, ?, NULLIF(?, 0), ?, ?, ?)",
        "sisisss", run_id, c->now_ms, step, attempt, from, to, reason);
}

int run_move(struct ctx *c, const char *id, enum run_state from, enum run_state to,
             const char *reason) {
    const char *f = run_state_name(from), *t = run_state_name(to);
    int rc = lifecycle_check(c, &run_lifecycle, f, t);
    rc = rc ? rc
            : db_exec(c,
                      "UPDATE pipeline_run SET state = ?, reason = ?, "
                      "started_ms = CASE WHEN ? = 'running' THEN COALESCE(started_ms, ?) ELSE "
                      "started_ms END, "
                      "ended_ms = CASE WHEN ? IN ('succeeded', 'failed', 'cancelled') THEN ? END "
                      "WHERE id = ? AND project_id = ? AND state = ?",
                      "sssisi"
                      "sis",
                      t, reason, t, c->now_ms, t, c->now_ms, id, c->project, f);
    return rc || db_changes(c) == 0 ? rc : event_add(c, id, NULL, 0, f, t, reason);
}

int run_want_cancel(struct ctx *c, const char *id) {
    return db_exec(c, "UPDATE pipeline_run SET cancel = 1 WHERE id = ? AND project_id = ?", "si",
                   id, c->project);
}

int run_reopen(struct ctx *c, const struct run_row *run, int64_t *steps) {
    int rc =
        db_exec(c,
                "INSERT INTO pipeline_event (run_id, time_ms, step, from_state, to_state, reason) "
                "SELECT run_id, ?, name, state, 'pending', 'retry of the run' FROM pipeline_step "
                "WHERE run_id = ? AND state IN ('failed', 'upstream_failed', 'cancelled', 'lost') "
                "ORDER BY position",
                "is", c->now_ms, run->id);
    rc =
        rc ? rc
           : db_exec(c,
                     "UPDATE pipeline_step SET state = 'pending', reason = NULL, failures = 0, "
                     "losses = 0, not_before_ms = 0, cache_key = NULL, result = NULL, started_ms = "
                     "NULL, ended_ms = NULL WHERE run_id = ? AND state IN ('failed', "
                     "'upstream_failed', 'cancelled', 'lost')",
                     "s", run->id);
    *steps = rc ? 0 : db_changes(c);
    rc = rc ? rc
            : db_exec(c, "UPDATE pipeline_run SET cancel = 0 WHERE id = ? AND project_id = ?", "si",
                      run->id, c->project);
    return rc ? rc : run_move(c, run->id, run->state, RUN_QUEUED, NULL);
}

const char *run_owner(struct ctx *c, const char *run_id) {
    return arena_printf(c->arena, "run:%s", run_id);
}

int files_insert(struct ctx *c, const char *owner, const struct source_files *files) {
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < files->n; i++) {
        rc = db_exec(
            c,
            "INSERT INTO pipeline_file (owner, project_id, path, sha256, size) VALUES (?, ?, "
            "?, ?, ?)",
            "sissi", owner, c->project, files->items[i].path, files->items[i].sha256,
            files->items[i].size);
    }
    return rc;
}

int files_load(struct ctx *c, const char *owner, struct source_files *out) {
    struct stmt *st = db_query(c,
                               "SELECT path, sha256, size FROM pipeline_file WHERE owner = ? AND "
                               "project_id = ? ORDER BY path",
                               "si", owner, c->project);
    int rc;
    *out = (struct source_files){0};
    while ((rc = stmt_next(st)) > 0) {
        out->items = rows_grown(c, out->items, out->n, sizeof *out->items);
        out->items[out->n++] = (struct source_file){
            .path = stmt_text(c, st, 0), .sha256 = stmt_text(c, st, 1), .size = stmt_i64(st, 2)};
    }
    stmt_end(st);
    return rc;
}

int file_known(struct ctx *c, const char *sha256, int64_t *size, bool *known) {
    return db_get_i64(c,
                      "SELECT size FROM pipeline_file WHERE project_id = ? AND sha256 = ? LIMIT 1",
                      size, known, "is", c->project, sha256);
}

int run_load_state(struct ctx *c, const char *id, enum run_state *state, bool *cancel) {
    struct stmt *st =
        db_query(c, "SELECT state, cancel FROM pipeline_run WHERE id = ? AND project_id = ?", "si",
                 id, c->project);
    int rc = stmt_next(st);
    if (rc > 0) {
        *state = run_state_of(stmt_text(c, st, 0));
        *cancel = stmt_i64(st, 1) != 0;
    }
    stmt_end(st);
    return rc > 0 ? 0 : rc == 0 ? fail(c, ERR_NOT_FOUND, "there is no pipeline run %s", id) : rc;
}

int run_view_base(struct ctx *c, const char *id, struct run_view *out) {
    *out = (struct run_view){0};
    int rc = run_load(c, id, &out->run);
    rc = rc ? rc : definition_parse(c, out->run.definition, strlen(out->run.definition), &out->d);
    rc =
        rc ? rc
           : json_parse(c, DIALECT_PROBLEM, out->run.params, strlen(out->run.params), &out->params);
    return rc ? rc : files_load(c, run_owner(c, id), &out->files);
}

static int place_steps(struct ctx *c, struct run_view *v) {
    for (size_t i = 0; i < v->n; i++) {
        const struct step *s = definition_step(v->d, v->steps[i].step);
        if (!s) {
            return fail(c, ERR_INTERNAL, "run %s has a step %s that its definition lacks",
                        v->run.id, v->steps[i].step);
        }
        v->steps[i].index_in_definition = (size_t)(s - v->d->steps);
    }
    return 0;
}

int run_view_steps(struct ctx *c, struct run_view *v) {
    int rc = steps_load(c, v->run.id, &v->steps, &v->n);
    return rc ? rc : place_steps(c, v);
}

int run_view_load(struct ctx *c, const char *id, struct run_view *out) {
    int rc = run_view_base(c, id, out);
    return rc ? rc : run_view_steps(c, out);
}

int run_view_load_one(struct ctx *c, const char *id, int64_t step_id, struct run_view *out,
                      struct step_row *row) {
    int rc = run_view_base(c, id, out);
    rc = rc ? rc : step_load_id(c, id, step_id, row);
    const struct step *own = rc ? NULL : definition_step(out->d, row->step);
    if (!own) {
        return rc ? rc : fail(c, ERR_INTERNAL, "step %s is not in its definition", row->step);
    }
    row->index_in_definition = (size_t)(own - out->d->steps);
    /* What it needs, and what the selects among these chose from. */
    bool *wanted = ARENA_ARRAY(c->arena, bool, out->d->nsteps);
    for (size_t i = 0; i < own->nneeds; i++) {
        const struct step *s = &out->d->steps[own->needs[i]];
        wanted[own->needs[i]] = true;
        if (s->kind == STEP_SELECT) {
            wanted[s->from] = true;
        }
    }
    for (size_t i = 0; rc == 0 && i < out->d->nsteps; i++) {
        rc = wanted[i] ? steps_load_named(c, id, out->d->steps[i].name, &out->steps, &out->n) : 0;
    }
    return rc ? rc : place_steps(c, out);
}

int run_events(struct ctx *c, const char *run_id, int64_t after, int64_t limit,
               struct run_event **out, size_t *n) {
    struct stmt *st =
        db_query(c,
                 "SELECT seq, time_ms, step, from_state, to_state, reason, attempt FROM "
                 "pipeline_event WHERE run_id = ? AND seq > ? ORDER BY seq LIMIT ?",
                 "sii", run_id, after, limit);
    int rc;
    *out = NULL;
    *n = 0;
    while ((rc = stmt_next(st)) > 0) {
        *out = rows_grown(c, *out, *n, sizeof **out);
        (*out)[(*n)++] = (struct run_event){.seq = stmt_i64(st, 0),
                                            .time_ms = stmt_i64(st, 1),
                                            .step = stmt_text(c, st, 2),
                                            .from = stmt_text(c, st, 3),
                                            .to = stmt_text(c, st, 4),
                                            .reason = stmt_text(c, st, 5),
                                            .attempt = stmt_i64(st, 6)};
    }
    stmt_end(st);
    return rc;
}
