/* SPDX-License-Identifier: Apache-2.0 */
#include "attempt.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "json_value.h"
#include "plan.h"
#include "quern/access/access.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/id.h"
#include "quern/base/str.h"
#include "quern/db/db.h"
#include "quern/json/json_in.h"
#include "quern/lineage/lineage.h"
#include "quern/metric/metric.h"
#include "quern/tracking/tracking.h"
#include "step_lineage.h"

#define DAY_MS ((int64_t)86400000)
#define LOSS_WAIT_MS ((int64_t)250)

/* Whom the step's token may write for: its tracking run; without one nobody, under a name that
 * stays when a crash makes the attempt begin again. */
static const char *token_subject(struct ctx *c, int64_t step_id, int64_t number, const char *run) {
    return run && *run
               ? run
               : arena_printf(c->arena, "step-%lld-%lld", (long long)step_id, (long long)number);
}

static int take_cached(struct ctx *c, struct launch *l) {
    const struct run_view *v = &l->view->v;
    char *reason = arena_printf(c->arena, "same inputs as %s", l->hit.from);
    int rc = step_move(c, v->run.id, l->row, STEP_QUEUED, STEP_CACHED, reason, &l->applied);
    if (rc || !l->applied) {
        return rc;
    }
    l->cached = true;
    rc = db_exec(c,
                 "UPDATE pipeline_step SET cache_key = ?, origin_attempt = ?, cached_from = ?, "
                 "tracking_run_id = ?, started_ms = ? WHERE id = ?",
                 "sissii", l->cache_key, l->hit.attempt_id, l->hit.from, l->hit.tracking_run_id,
                 c->now_ms, l->row->id);
    struct output_rows outputs;
    rc = rc ? rc : outputs_load(c, l->hit.attempt_id, &outputs);
    rc =
        rc ? rc
           : lineage_step(c, v, l->step, l->row, l->inputs, &outputs, l->hit.tracking_run_id, true);
    return rc;
}

static int begin_tracking(struct ctx *c, struct launch *l) {
    const struct run_view *v = &l->view->v;
    struct pair tags[] = {
        {"mlflow.parentRunId", v->run.tracking_run_id},
        {"quern.pipeline", v->run.pipeline},
        {"quern.pipeline_run", v->run.id},
        {"quern.step", l->row->name},
        {"quern.attempt", arena_printf(c->arena, "%lld", (long long)l->number)},
        {"mlflow.source.git.commit", v->run.git.commit},
    };
    struct pairs some = {.items = tags,
                         .n = v->run.git.commit ? ARRAY_LEN(tags) : ARRAY_LEN(tags) - 1};
    struct run_new in = {.experiment_id = v->run.experiment_id,
                         .name = l->row->name,
                         .user = v->run.created_by,
                         .start_ms = c->now_ms,
                         .tags = some};
    return run_create(c, &in, l->tracking_run_id);
}

/* The attempt that a crash kept from starting goes on under its number. */
static int reuse_unstarted(struct ctx *c, struct launch *l, bool *reused) {
    struct stmt *st =
        db_query(c,
                 "SELECT id, number, tracking_run_id FROM pipeline_attempt WHERE step_id "
                 "= ? AND number = ? AND state = 'unstarted'",
                 "ii", l->row->id, l->row->attempt);
    int rc = stmt_next(st);
    *reused = rc > 0;
    if (rc > 0) {
        const char *tracking = stmt_text(c, st, 2);
        l->attempt_id = stmt_i64(st, 0);
        l->number = stmt_i64(st, 1);
        str_copy(l->tracking_run_id, sizeof l->tracking_run_id, tracking ? tracking : "");
    }
    stmt_end(st);
    return rc < 0 ? rc : 0;
}

static int record_attempt(struct ctx *c, struct launch *l, bool reused) {
    const char *tracking = *l->tracking_run_id ? l->tracking_run_id : NULL;
    if (reused) {
        return db_exec(c,
                       "UPDATE pipeline_attempt SET state = 'launching', token = ?, reason = NULL, "
                       "ended_ms = NULL WHERE id = ?",
                       "si", l->token, l->attempt_id);
    }
    int rc = db_exec(c,
                     "INSERT INTO pipeline_attempt (step_id, number, token, state, folder, "
                     "tracking_run_id, started_ms) VALUES (?, ?, ?, 'launching', ?, ?, ?)",
                     "iisssi", l->row->id, l->number, l->token, l->folder, tracking, c->now_ms);
    l->attempt_id = rc ? 0 : db_last_id(c);
    return rc;
}

static int equal_under_way(struct ctx *c, const struct launch *l, bool *yes) {
    int64_t one;
    *yes = false;
    return !*l->cache_key || !l->view->v.run.use_cache
               ? 0
               : db_get_i64(c,
                            "SELECT 1 FROM pipeline_step s JOIN pipeline_run r ON r.id = s.run_id "
                            "WHERE s.cache_key = ? AND s.state IN ('launching', 'running') AND "
                            "r.project_id = ? LIMIT 1",
                            &one, yes, "si", l->cache_key, c->project);
}

int attempt_begin(struct ctx *c, struct launch *l) {
    const struct run_view *v = &l->view->v;
    bool reused = false;
    l->applied = l->cached = l->waits = false;
    l->attempt_id = 0;
    l->tracking_run_id[0] = l->access_token[0] = '\0';
    if (l->failure) {
        return step_move(c, v->run.id, l->row, STEP_QUEUED, STEP_FAILED, l->failure, &l->applied);
    }
    if (l->hit.attempt_id) {
        return take_cached(c, l);
    }
    int rc = equal_under_way(c, l, &l->waits);
    if (rc || l->waits) {
        return rc;
    }
    rc = reuse_unstarted(c, l, &reused);
    l->number = reused ? l->number : l->row->attempt + 1;
    rc =
        rc ? rc
           : db_exec(c,
                     "UPDATE pipeline_step SET attempt = ?, cache_key = ?, started_ms = "
                     "COALESCE(started_ms, ?) WHERE id = ? AND state = 'queued'",
                     "isii", l->number, *l->cache_key ? l->cache_key : NULL, c->now_ms, l->row->id);
    rc = rc ? rc : step_move(c, v->run.id, l->row, STEP_QUEUED, STEP_LAUNCHING, NULL, &l->applied);
    if (rc || !l->applied) {
        return rc;
    }
    id_base62(l->token, sizeof l->token - 1);
    if (l->step->kind == STEP_RUN) {
        char *path = attempt_place_path(c, v->run.id, l->row->name, l->number);
        free(l->folder);
        l->folder = mem_strdup(arena_printf(c->arena, "%s/keeper", path));
        if (!reused && l->step->track && v->run.experiment_id) {
            rc = begin_tracking(c, l);
        }
        const char *subject = token_subject(c, l->row->id, l->number, l->tracking_run_id);
        int64_t lives = l->step->timeout_ms ? l->step->timeout_ms + DAY_MS : 30 * DAY_MS;
        char *text = NULL;
        rc = rc ? rc : access_run_token(c, subject, c->now_ms + lives, &text);
        str_copy(l->access_token, sizeof l->access_token, text ? text : "");
    }
    rc = rc ? rc : record_attempt(c, l, reused);
    return rc ? rc
              : db_exec(c, "UPDATE pipeline_step SET tracking_run_id = ? WHERE id = ?", "si",
                        *l->tracking_run_id ? l->tracking_run_id : NULL, l->row->id);
}

int attempt_running(struct ctx *c, const char *run_id, const struct step_row *row,
                    int64_t attempt_id, const char *token) {
    bool moved;
    int rc = db_exec(c,
                     "UPDATE pipeline_attempt SET state = 'running' WHERE id = ? AND token = ? AND "
                     "state = 'launching'",
                     "is", attempt_id, token);
    return rc || db_changes(c) == 0
               ? rc
               : step_move(c, run_id, row, STEP_LAUNCHING, STEP_RUNNING, NULL, &moved);
}

static const char *outcome_name(enum outcome o) {
    static const char *const names[] = {"succeeded", "failed", "cancelled", "lost", "unstarted"};
    return names[o];
}

static int keep_attempt(struct ctx *c, struct settlement *s) {
    const struct process_status *p = s->status;
    int rc =
        db_exec(c,
                "UPDATE pipeline_attempt SET state = ?, reason = ?, ended_ms = ? WHERE id = ? AND "
                "token = ? AND state IN ('launching', 'running')",
                "ssiis", outcome_name(s->outcome), s->reason,
                p && p->ended_ms ? p->ended_ms : c->now_ms, s->attempt->id, s->attempt->token);
    s->settled = rc == 0 && db_changes(c) > 0;
    if (!s->settled || !p) {
        return rc;
    }
    return db_exec(
        c,
        "UPDATE pipeline_attempt SET exit_code = ?, signal = NULLIF(?, 0), timed_out = ?, "
        "cpu_ms = ?, peak_rss_bytes = ?, log_bytes = ?, started_ms = ? WHERE id = ?",
        "iiiiiiii", (int64_t)p->exit_code, (int64_t)p->signal, (int64_t)p->timed_out, p->cpu_ms,
        p->peak_rss_bytes, p->log_bytes, p->started_ms ? p->started_ms : s->attempt->started_ms,
        s->attempt->id);
}

/* Outputs are shown among the artifacts of the tracking run, so that MLflow's own names, and the
 * doors to blobs, reach them. */
static int link_output(struct ctx *c, const struct settlement *s, const struct collected *o) {
    char *root;
    int rc = run_artifact_root(c, s->attempt->tracking_run_id, &root);
    if (rc == -ERR_INVALID) { /* an experiment whose artifacts are kept elsewhere */
        err_clear(c);
        return 0;
    }
    for (size_t i = 0; rc == 0 && i < o->n; i++) {
        /* Files of folders are "<output>/<path>", a single file "<output>/<its name>". */
        rc = artifact_link(c, arena_printf(c->arena, "%s/%s", root, o->files[i].path),
                           o->files[i].sha256, o->files[i].size);
    }
    return rc;
}

/* The step's metrics are its tracking run's, whoever reads them there. */
static int log_output(struct ctx *c, const struct settlement *s, const struct output_row *o) {
    json_t *document;
    struct fpairs numbers;
    int rc = json_parse(c, DIALECT_PROBLEM, o->data, strlen(o->data), &document);
    rc = rc ? rc : json_flatten(c, document, &numbers);
    return rc ? rc
              : run_log_metrics(c, s->attempt->tracking_run_id, &numbers,
                                s->status && s->status->ended_ms ? s->status->ended_ms : c->now_ms);
}

/* False too when it was deleted for good meanwhile. */
static bool tracked(struct ctx *c, const struct settlement *s) {
    int64_t experiment;
    bool active;
    bool yes = s->attempt->tracking_run_id &&
               run_exists(c, s->attempt->tracking_run_id, &experiment, &active) == 0;
    err_clear(c);
    return yes;
}

static int keep_outputs(struct ctx *c, const struct settlement *s) {
    char *owner = arena_printf(c->arena, "step:%s/%s", s->view->run.id, s->row->name);
    bool in_tracking = tracked(c, s);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->outputs.n; i++) {
        const struct collected *o = &s->outputs.items[i];
        rc = output_insert(c, s->attempt->id, &o->row);
        rc = rc ? rc : blob_ref_add(c, owner, o->row.sha256);
        for (size_t k = 0; rc == 0 && k < o->n; k++) {
            rc = blob_ref_add(c, owner, o->files[k].sha256);
        }
        if (rc == 0 && in_tracking) {
            rc = link_output(c, s, o);
        }
        if (rc == 0 && in_tracking && str_eq(o->row.kind, "metrics")) {
            rc = log_output(c, s, &o->row);
        }
    }
    return rc;
}

static int keep_cache(struct ctx *c, const struct settlement *s) {
    return s->row->cache_key
               ? db_exec(c,
                         "INSERT INTO pipeline_cache (project_id, key, attempt_id, "
                         "created_ms) VALUES (?, ?, ?, ?) ON CONFLICT (project_id, key) DO "
                         "UPDATE SET attempt_id = excluded.attempt_id, created_ms = "
                         "excluded.created_ms",
                         "isii", c->project, s->row->cache_key, s->attempt->id, c->now_ms)
               : 0;
}

static int end_tracking(struct ctx *c, const struct settlement *s) {
    static const char *const status[] = {"FINISHED", "FAILED", "KILLED", "FAILED"};
    const char *run = s->attempt->tracking_run_id;
    const char *subject = token_subject(c, s->attempt->step_id, s->attempt->number, run);
    int rc = access_run_token_revoke(c, subject);
    return rc || !tracked(c, s) ? rc : run_finish(c, run, status[s->outcome], c->now_ms);
}

/* Where the step goes from here. */
static enum step_state next_state(const struct settlement *s, int64_t *failures, int64_t *losses) {
    switch (s->outcome) {
    case OUTCOME_SUCCEEDED:
        return STEP_SUCCEEDED;
    case OUTCOME_CANCELLED:
        return STEP_CANCELLED;
    case OUTCOME_UNSTARTED:
        return STEP_QUEUED;
    case OUTCOME_LOST:
        (*losses)++;
        return *losses <= LOSSES_FORGIVEN && !s->view->run.cancel ? STEP_QUEUED : STEP_LOST;
    case OUTCOME_FAILED:
        break;
    }
    (*failures)++;
    return *failures <= s->step->retry.count && !s->final && !s->view->run.cancel ? STEP_QUEUED
                                                                                  : STEP_FAILED;
}

static int move_step(struct ctx *c, struct settlement *s) {
    int64_t failures = s->row->failures, losses = s->row->losses, not_before = 0;
    enum step_state from = s->row->state, to = next_state(s, &failures, &losses);
    bool moved;
    if (to == STEP_QUEUED && s->outcome == OUTCOME_FAILED) {
        not_before = c->now_ms + retry_delay_ms(&s->step->retry, failures, s->random);
    } else if (to == STEP_QUEUED && s->outcome == OUTCOME_LOST) {
        not_before = c->now_ms + (LOSS_WAIT_MS << losses); /* what took it may take the next, too */
    }
    bool own = to == STEP_SUCCEEDED;
    s->again = to == STEP_QUEUED;
    int rc =
        db_exec(c,
                "UPDATE pipeline_step SET failures = ?, losses = ?, not_before_ms = ?, result = ?, "
                "origin_attempt = NULLIF(?, 0), cached_from = NULL WHERE id = ?",
                "iiisii", failures, losses, not_before, s->result,
                own ? s->attempt->id : (int64_t)0, s->row->id);
    if (rc == 0 && s->tracking_run_id) {
        rc = db_exec(c, "UPDATE pipeline_step SET tracking_run_id = ? WHERE id = ?", "si",
                     s->tracking_run_id, s->row->id);
    }
    rc = rc ? rc : step_move(c, s->view->run.id, s->row, from, to, s->reason, &moved);
    if (rc == 0 && !moved) { /* B came in between */
        from = from == STEP_LAUNCHING ? STEP_RUNNING : STEP_LAUNCHING;
        rc = step_move(c, s->view->run.id, s->row, from, to, s->reason, &moved);
    }
    return rc;
}

int attempt_settle(struct ctx *c, struct settlement *s) {
    int rc = keep_attempt(c, s);
    if (rc || !s->settled) {
        return rc;
    }
    if (s->outcome == OUTCOME_SUCCEEDED) {
        rc = keep_outputs(c, s);
        rc = rc ? rc : keep_cache(c, s);
        struct output_rows rows = {
            .items = ARENA_ARRAY(c->arena, struct output_row, s->outputs.n + 1), .n = s->outputs.n};
        for (size_t i = 0; i < rows.n; i++) {
            rows.items[i] = s->outputs.items[i].row;
        }
        rc = rc ? rc
                : lineage_step(c, s->view, s->step, s->row, s->inputs, &rows,
                               s->attempt->tracking_run_id, false);
    }
    if (rc == 0 && s->outcome != OUTCOME_UNSTARTED) {
        rc = end_tracking(c, s);
    }
    return rc ? rc : move_step(c, s);
}

void attempt_count(const struct settlement *s) {
    metric_add(METRIC_STEPS, 1, outcome_name(s->outcome), NULL, NULL);
    if (s->status && s->status->started_ms) {
        metric_observe(METRIC_STEP_SECONDS,
                       (double)(s->status->ended_ms - s->status->started_ms) / 1000,
                       outcome_name(s->outcome), NULL, NULL);
    }
}
