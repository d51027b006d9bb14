/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline_run_api.h"

#include <jansson.h>
#include <string.h>

#include "executor.h"
#include "json_value.h"
#include "quern/access/access.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/page.h"
#include "quern/db/db.h"
#include "quern/json/json_in.h"

SHAPE_STRICT(shape_git, "GitSource", struct git_in,
             FIELD_MAX(struct git_in, commit, T_STR, 0, 0, 64,
                       "Commit of the definition and its files."),
             FIELD_MAX(struct git_in, branch, T_STR, 0, 0, 256, "Branch."),
             FIELD_MAX(struct git_in, remote, T_STR, 0, 0, 1024, "Address of the repository."),
             FIELD(struct git_in, dirty, T_BOOL, 0, "Whether files differed from the commit."));

#define CREATE_FIELDS                                                                              \
    FIELD(struct run_create_in, params, T_JSON, 0, "Object of parameter name to value."),          \
        FIELD_SUB(struct run_create_in, git, T_OBJ, 0, &shape_git, "Where the files are from."),   \
        FIELD(struct run_create_in, use_cache, T_BOOL, 0,                                          \
              "Whether results of earlier runs may stand in; default true.")

SHAPE_STRICT(
    shape_run_create, "PipelineRunCreate", struct run_create_in,
    FIELD(struct run_create_in, definition, T_STR, F_REQUIRED,
          "The definition, YAML or JSON text."),
    FIELD(struct run_create_in, files, T_JSON, 0,
          "Source files: {path: base64}, or a list of {path, content_base64} or {path, sha256}."),
    CREATE_FIELDS);
SHAPE_STRICT(shape_run_of_stored, "StoredPipelineRunCreate", struct run_create_in,
             FIELD(struct run_create_in, name, T_STR, F_PATH | F_REQUIRED, "Name of the pipeline."),
             FIELD_MAX(struct run_create_in, version, T_I64, 0, 1, INT64_MAX,
                       "Default: the newest."),
             CREATE_FIELDS);
SHAPE_STRICT(shape_run_id, "PipelineRunId", struct run_id_in,
             FIELD(struct run_id_in, id, T_STR, F_PATH | F_REQUIRED, "The run's id."));

struct step_out {
    const char *name, *step, *kind, *state, *reason, *cached_from, *tracking_run_id;
    struct json_t *item, *outputs, *gate, *result, *attempts_list;
    struct opt_i64 index, attempts, exit_code, started_ms, ended_ms, duration_ms, retry_at_ms;
    struct strs needs;
};
SHAPE(shape_step_out, "PipelineStep", struct step_out,
      FIELD(struct step_out, name, T_STR, F_ALWAYS, "Name of the instance: train[0]."),
      FIELD(struct step_out, step, T_STR, F_ALWAYS, "Name in the definition."),
      FIELD(struct step_out, kind, T_STR, F_ALWAYS, "run, select, gate, or the action's name."),
      FIELD(struct step_out, state, T_STR, F_ALWAYS, "State, see docs/pipelines.md."),
      FIELD(struct step_out, reason, T_STR, 0, "Why it is in this state."),
      FIELD(struct step_out, needs, T_STRS, F_ALWAYS, "Steps before it."),
      FIELD(struct step_out, index, T_I64, 0, "Of a fan-out's instance."),
      FIELD(struct step_out, item, T_JSON, 0,
            "Item of a fan-out's instance; of a select: the chosen."),
      FIELD(struct step_out, attempts, T_I64, F_ALWAYS, "Attempts begun."),
      FIELD_AS(struct step_out, attempts_list, "attempt_history", T_JSON, 0,
               "Each attempt with state, reason, exit code, CPU time and peak memory."),
      FIELD(struct step_out, cached_from, T_STR, 0, "Run and step whose result stands in."),
      FIELD(struct step_out, tracking_run_id, T_STR, 0, "Tracking run; of the origin when cached."),
      FIELD(struct step_out, exit_code, T_I64, 0, "Of the last attempt."),
      FIELD(struct step_out, started_ms, T_I64, 0, "First start, milliseconds since the epoch."),
      FIELD(struct step_out, ended_ms, T_I64, 0, "End."),
      FIELD(struct step_out, duration_ms, T_I64, 0, "From first start to end."),
      FIELD(struct step_out, retry_at_ms, T_I64, 0, "When the next attempt may begin."),
      FIELD(struct step_out, outputs, T_JSON, 0, "Outputs by name with path, sha256, size, data."),
      FIELD(struct step_out, gate, T_JSON, 0, "Rules of a gate with values and verdicts."),
      FIELD(struct step_out, result, T_JSON, 0, "What a select, gate or action came to."));

struct run_out {
    const char *id, *pipeline, *state, *reason, *experiment_id, *tracking_run_id, *created_by,
        *definition;
    struct opt_i64 version, created_ms, started_ms, ended_ms, duration_ms;
    struct opt_bool cancelling, use_cache;
    struct git_in *git;
    struct json_t *params, *files;
    struct list steps;
};
#define RUN_FIELDS                                                                                 \
    FIELD(struct run_out, id, T_STR, F_ALWAYS, "The run's id."),                                   \
        FIELD(struct run_out, pipeline, T_STR, F_ALWAYS, "Name of the pipeline."),                 \
        FIELD(struct run_out, version, T_I64, 0, "Version of the stored pipeline."),               \
        FIELD(struct run_out, state, T_STR, F_ALWAYS,                                              \
              "queued, running, succeeded, failed or cancelled."),                                 \
        FIELD(struct run_out, reason, T_STR, 0, "Why it failed."),                                 \
        FIELD(struct run_out, cancelling, T_BOOL, 0, "A cancel is under way."),                    \
        FIELD(struct run_out, experiment_id, T_STR, 0, "Experiment of its tracking runs."),        \
        FIELD(struct run_out, tracking_run_id, T_STR, 0, "Parent of the steps' tracking runs."),   \
        FIELD(struct run_out, created_by, T_STR, F_ALWAYS, "Who asked for it."),                   \
        FIELD(struct run_out, created_ms, T_I64, F_ALWAYS, "Milliseconds since the epoch."),       \
        FIELD(struct run_out, started_ms, T_I64, 0, "First step."),                                \
        FIELD(struct run_out, ended_ms, T_I64, 0, "Last step."),                                   \
        FIELD(struct run_out, duration_ms, T_I64, 0, "From start to end."),                        \
        FIELD_SUB(struct run_out, git, T_OBJ, 0, &shape_git, "Where the files are from."),         \
        FIELD(struct run_out, params, T_JSON, F_ALWAYS, "Every parameter.")
SHAPE(shape_run_summary, "PipelineRunSummary", struct run_out, RUN_FIELDS);
SHAPE(shape_run, "PipelineRun", struct run_out, RUN_FIELDS,
      FIELD(struct run_out, use_cache, T_BOOL, 0, "Whether earlier results may stand in."),
      FIELD(struct run_out, files, T_JSON, 0, "Source files with their digests."),
      FIELD_SUB(struct run_out, steps, T_LIST, F_ALWAYS, &shape_step_out, "Steps in order."),
      FIELD(struct run_out, definition, T_STR, 0, "The definition's text."));

struct run_list_in {
    const char *pipeline, *state, *page_token;
    struct opt_i64 max_results;
};
static const char *const run_states[] = {"queued", "running",   "succeeded",
                                         "failed", "cancelled", NULL};
SHAPE_STRICT(shape_run_list_in, "PipelineRunListQuery", struct run_list_in,
             FIELD(struct run_list_in, pipeline, T_STR, F_QUERY, "Only runs of this pipeline."),
             FIELD_ENUM(struct run_list_in, state, F_QUERY, run_states, "Only runs in this state."),
             FIELD_MAX(struct run_list_in, max_results, T_I64, F_QUERY, 1, 1000, "Default 50."),
             FIELD(struct run_list_in, page_token, T_STR, F_QUERY, "From the answer before."));
struct run_list_out {
    struct list runs;
    const char *next_page_token;
};
SHAPE(shape_run_list, "PipelineRunList", struct run_list_out,
      FIELD_SUB(struct run_list_out, runs, T_LIST, F_ALWAYS, &shape_run_summary, "Newest first."),
      FIELD(struct run_list_out, next_page_token, T_STR, 0, "When there are more."));

static struct opt_i64 when(int64_t ms) {
    return ms ? SET_I64(ms) : (struct opt_i64){0};
}

static int tree(struct ctx *c, const char *text, json_t **out) {
    *out = NULL;
    return text ? json_parse(c, DIALECT_PROBLEM, text, strlen(text), out) : 0;
}

static int summarise(struct ctx *c, const struct run_row *r, struct run_out *o) {
    *o = (struct run_out){.id = r->id,
                          .pipeline = r->pipeline,
                          .version = when(r->version),
                          .state = run_state_name(r->state),
                          .reason = r->reason,
                          .tracking_run_id = r->tracking_run_id,
                          .created_by = r->created_by,
                          .created_ms = SET_I64(r->created_ms),
                          .started_ms = when(r->started_ms),
                          .ended_ms = when(r->ended_ms)};
    bool active = r->state == RUN_QUEUED || r->state == RUN_RUNNING;
    if (r->cancel && active) {
        o->cancelling = SET_BOOL(true);
    }
    if (r->experiment_id) {
        o->experiment_id = arena_printf(c->arena, "%lld", (long long)r->experiment_id);
    }
    if (r->started_ms) {
        o->duration_ms = SET_I64((r->ended_ms ? r->ended_ms : c->now_ms) - r->started_ms);
    }
    if (r->git.commit) {
        o->git = ARENA_NEW(c->arena, struct git_in);
        *o->git = (struct git_in){.commit = r->git.commit,
                                  .branch = r->git.branch,
                                  .remote = r->git.remote,
                                  .dirty = r->git.dirty};
    }
    return tree(c, r->params, &o->params);
}

static int outputs_json(struct ctx *c, const struct step_row *s, json_t **out) {
    struct output_rows rows = {0};
    int rc = s->origin_attempt ? outputs_load(c, s->origin_attempt, &rows) : 0;
    *out = NULL;
    if (rc || rows.n == 0) {
        return rc;
    }
    *out = json_on_arena(c, json_object());
    for (size_t i = 0; rc == 0 && i < rows.n; i++) {
        const struct output_row *o = &rows.items[i];
        json_t *data = NULL,
               *one = json_pack("{s:s,s:s,s:s,s:I,s:b}", "kind", o->kind, "path", o->path, "sha256",
                                o->sha256, "size", (json_int_t)o->size, "folder", (int)o->folder);
        json_object_set_new(*out, o->name, one);
        rc = tree(c, o->data, &data);
        if (data) {
            json_object_set(one, "data", data);
        }
    }
    return rc;
}

static void set_number(json_t *o, const char *key, struct opt_i64 v) {
    if (v.set) {
        json_object_set_new(o, key, json_integer(v.v));
    }
}

static int attempts_json(struct ctx *c, const struct step_row *s, struct step_out *o) {
    struct attempt_row *rows;
    size_t n = 0;
    int rc = s->attempt ? attempts_load(c, s->id, &rows, &n) : 0;
    if (rc || n == 0) {
        return rc;
    }
    o->attempts_list = json_on_arena(c, json_array());
    for (size_t i = 0; i < n; i++) {
        const struct attempt_row *a = &rows[i];
        json_t *one = json_pack("{s:I,s:s,s:s*,s:s*,s:I}", "number", (json_int_t)a->number, "state",
                                a->state, "reason", a->reason, "tracking_run_id",
                                a->tracking_run_id, "started_ms", (json_int_t)a->started_ms);
        json_array_append_new(o->attempts_list, one);
        set_number(one, "ended_ms", when(a->ended_ms));
        set_number(one, "exit_code", a->exit_code);
        set_number(one, "signal", a->signal);
        set_number(one, "cpu_ms", a->cpu_ms);
        set_number(one, "peak_rss_bytes", a->peak_rss_bytes);
        set_number(one, "log_bytes", a->log_bytes);
        if (a->timed_out) {
            json_object_set_new(one, "timed_out", json_true());
        }
        o->exit_code = a->exit_code;
    }
    return 0;
}

static const char *kind_of(const struct step *s) {
    static const char *const names[] = {"run", "select", "gate"};
    return s->kind == STEP_ACTION ? s->action->name : names[s->kind];
}

static int step_json(struct ctx *c, const struct run_view *v, const struct step_row *s,
                     struct step_out *o) {
    const struct step *def = &v->d->steps[s->index_in_definition];
    *o = (struct step_out){.name = s->name,
                           .step = s->step,
                           .kind = kind_of(def),
                           .state = step_state_name(s->state),
                           .reason = s->reason,
                           .cached_from = s->state == STEP_CACHED ? s->cached_from : NULL,
                           .tracking_run_id = s->tracking_run_id,
                           .attempts = SET_I64(s->attempt),
                           .started_ms = when(s->started_ms),
                           .ended_ms = when(s->ended_ms)};
    if (s->item_index >= 0) {
        o->index = SET_I64(s->item_index);
    }
    if (s->started_ms) {
        o->duration_ms = SET_I64((s->ended_ms ? s->ended_ms : c->now_ms) - s->started_ms);
    }
    if (s->state == STEP_QUEUED && s->not_before_ms > c->now_ms) {
        o->retry_at_ms = SET_I64(s->not_before_ms);
    }
    o->needs = (struct strs){.items = ARENA_ARRAY(c->arena, const char *, def->nneeds + 1),
                             .n = def->nneeds};
    for (size_t i = 0; i < def->nneeds; i++) {
        o->needs.items[i] = v->d->steps[def->needs[i]].name;
    }
    int rc = tree(c, s->item, &o->item);
    rc = rc ? rc : tree(c, s->result, &o->result);
    rc = rc ? rc : outputs_json(c, s, &o->outputs);
    rc = rc ? rc : attempts_json(c, s, o);
    if (o->result) {
        o->gate = def->kind == STEP_GATE ? json_object_get(o->result, "rules") : NULL;
        o->item = o->item ? o->item : json_object_get(o->result, "item");
        json_t *outputs = def->kind == STEP_ACTION ? json_object_get(o->result, "outputs") : NULL;
        o->outputs = outputs ? outputs : o->outputs;
    }
    return rc;
}

static int run_json(struct ctx *c, const char *id, struct run_out *o) {
    struct run_view v;
    int rc = run_view_load(c, id, &v);
    rc = rc ? rc : summarise(c, &v.run, o);
    if (rc) {
        return rc;
    }
    o->use_cache = SET_BOOL(v.run.use_cache);
    o->definition = v.run.definition;
    o->files = json_on_arena(c, json_array());
    for (size_t i = 0; i < v.files.n; i++) {
        json_array_append_new(o->files, json_pack("{s:s,s:s,s:I}", "path", v.files.items[i].path,
                                                  "sha256", v.files.items[i].sha256, "size",
                                                  (json_int_t)v.files.items[i].size));
    }
    struct step_out *steps = ARENA_ARRAY(c->arena, struct step_out, v.n + 1);
    for (size_t i = 0; rc == 0 && i < v.n; i++) {
        rc = step_json(c, &v, &v.steps[i], &steps[i]);
    }
    o->steps = (struct list){.items = steps, .n = v.n};
    return rc;
}

int people_only(struct ctx *c) {
    if (c->who.run_id) {
        return fail(c, ERR_FORBIDDEN, "a step's token may write its own tracking run only");
    }
    return 0;
}

static bool git_ok(const char *commit) {
    size_t n = commit ? strlen(commit) : 0;
    return !commit || ((n == 40 || n == 64) && strspn(commit, "0123456789abcdef") == n);
}

int run_submit(struct ctx *c, struct run_request *r, const struct run_create_in *in, void *out) {
    r->use_cache = !in->use_cache.set || in->use_cache.v;
    if (in->git) {
        if (!git_ok(in->git->commit)) {
            return fail_field(c, ERR_INVALID, "git.commit",
                              "commit is 40 or 64 lower-case hexadecimal digits");
        }
        r->git = (struct git_source){.commit = in->git->commit,
                                     .branch = in->git->branch,
                                     .remote = in->git->remote,
                                     .dirty = in->git->dirty};
    }
    int rc = run_request_check(c, r, in->params);
    rc = rc ? rc : db_write(executor.db, c, run_create_op, r);
    rc = rc ? rc : db_read_begin(executor.db, c);
    if (rc) {
        return rc;
    }
    rc = run_json(c, r->id, out);
    db_read_end(c);
    reply_status(c, 201);
    reply_header(c, "Location", arena_printf(c->arena, "/api/v1/pipeline-runs/%s", r->id));
    return rc;
}

int runs_create(struct ctx *c, const void *in_, void *out) {
    const struct run_create_in *in = in_;
    struct run_request r = {.definition = in->definition};
    int rc = people_only(c);
    rc = rc ? rc : files_receive(c, in->files, &r.files);
    rc = rc ? rc : run_submit(c, &r, in, out);
    files_unpin(&r.files);
    return rc;
}

int runs_get(struct ctx *c, const void *in, void *out) {
    return run_json(c, ((const struct run_id_in *)in)->id, out);
}

int runs_list(struct ctx *c, const void *in_, void *out_) {
    const struct run_list_in *in = in_;
    struct run_list_out *out = out_;
    struct run_list_filter f = {.pipeline = in->pipeline, .state = in->state};
    int64_t limit = in->max_results.set ? in->max_results.v : 50;
    struct run_row *rows;
    size_t n = 0;
    int rc = page_offset(c, in->page_token, &f.offset);
    f.limit = limit + 1;
    rc = rc ? rc : run_list(c, &f, &rows, &n);
    bool more = (int64_t)n > limit;
    n = more ? (size_t)limit : n;
    struct run_out *items = ARENA_ARRAY(c->arena, struct run_out, n + 1);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = summarise(c, &rows[i], &items[i]);
    }
    out->runs = (struct list){.items = items, .n = rc ? 0 : n};
    out->next_page_token = more ? page_token(c, f.offset + limit) : NULL;
    return rc;
}

int runs_cancel(struct ctx *c, const void *in, void *out) {
    const char *id = ((const struct run_id_in *)in)->id;
    struct run_row run;
    int rc = people_only(c);
    rc = rc ? rc : run_load(c, id, &run);
    if (rc == 0 && run.state != RUN_QUEUED && run.state != RUN_RUNNING) {
        rc = fail(c, ERR_CONFLICT, "run %s has ended already: %s", id, run_state_name(run.state));
    }
    rc = rc ? rc : run_want_cancel(c, id);
    rc = rc ? rc
            : audit_append(c, "pipeline.cancel", arena_printf(c->arena, "pipeline_run:%s", id),
                           "{}");
    if (rc == 0) {
        db_after_commit(c, executor_wake_after_commit, NULL);
    }
    reply_status(c, 202);
    return rc ? rc : run_json(c, id, out);
}

int runs_retry(struct ctx *c, const void *in, void *out) {
    const char *id = ((const struct run_id_in *)in)->id;
    struct run_row run;
    int64_t steps;
    int rc = people_only(c);
    rc = rc ? rc : run_load(c, id, &run);
    if (rc == 0 && run.state != RUN_FAILED && run.state != RUN_CANCELLED) {
        rc = fail(c, ERR_CONFLICT, "run %s is %s; only a failed or cancelled run can be retried",
                  id, run_state_name(run.state));
    }
    rc = rc ? rc : run_reopen(c, &run, &steps);
    rc =
        rc ? rc
           : audit_append(c, "pipeline.retry", arena_printf(c->arena, "pipeline_run:%s", id), "{}");
    if (rc == 0) {
        db_after_commit(c, executor_wake_after_commit, NULL);
    }
    reply_status(c, 202);
    return rc ? rc : run_json(c, id, out);
}
