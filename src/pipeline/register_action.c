/* SPDX-License-Identifier: Apache-2.0 */
/* The action "register": a version of a registered model from what a step of the run left. */
#include <jansson.h>
#include <string.h>

#include "executor.h"
#include "json_value.h"
#include "quern/access/access.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/db/db.h"
#include "quern/lane/lane.h"
#include "quern/lineage/lineage.h"
#include "quern/registry/registry.h"
#include "quern/tracking/tracking.h"
#include "step_lineage.h"

struct register_with {
    const char *model, *from, *alias, *description, *output;
};

SHAPE(shape_register, "PipelineRegister", struct register_with,
      FIELD(struct register_with, model, T_STR, F_REQUIRED, "Name of the registered model."),
      FIELD(struct register_with, from, T_STR, F_REQUIRED,
            "Step that made the model, or the select step that chose it."),
      FIELD(struct register_with, alias, T_STR, 0, "Alias set on the new version."),
      FIELD(struct register_with, description, T_STR, 0, "Description of the version."),
      FIELD(struct register_with, output, T_STR, 0,
            "Name of the output or logged model; default: the step's only one."));

struct registration {
    const struct register_with *with;
    const char *pipeline_run, *step; /* instance that registers */
    const char *source, *run_id, *model_id;
    int64_t evaluation;
    const char *metrics;
    struct model_version_info version; /* out */
    bool kept;                         /* out: the version was there already */
};

/* runs:/<run>/<output> for outputs of kind model, models:/<id> for models logged by the client,
 * else the folder with an MLmodel among the run's artifacts. */
static int find_source(struct ctx *c, const struct step *s, const struct step_row *row,
                       const struct register_with *with, struct registration *r) {
    const struct step_output *model = NULL;
    for (size_t i = 0; i < s->noutputs; i++) {
        if (s->outputs[i].kind == OUTPUT_MODEL &&
            (!with->output || str_eq(with->output, s->outputs[i].name))) {
            model = model ? model : &s->outputs[i];
        }
    }
    r->run_id = row->tracking_run_id;
    if (!r->run_id) {
        return fail(c, ERR_CONFLICT, "step %s has no tracking run, so it can have logged no model",
                    row->name);
    }
    if (model) {
        r->source = arena_printf(c->arena, "runs:/%s/%s", r->run_id, model->name);
        return 0;
    }
    struct logged_model_info info;
    if (logged_model_of_run(c, r->run_id, with->output, &info) == 0) {
        r->model_id = info.id;
        r->source = arena_printf(c->arena, "models:/%s", info.id);
        return 0;
    }
    err_clear(c);
    char *root;
    struct artifact_entries tree = {0};
    int rc = run_artifact_root(c, r->run_id, &root);
    rc = rc ? rc : artifact_list_tree(c, root, &tree);
    for (size_t i = 0; rc == 0 && i < tree.n; i++) {
        const char *path = tree.items[i].path;
        size_t skip = strlen(root);
        if (str_starts(path, root) && path[skip] == '/' && str_ends(path, "/MLmodel")) {
            size_t n = strlen(path) - skip - 1 - strlen("/MLmodel");
            const char *folder = arena_strndup(c->arena, path + skip + 1, n);
            if (!with->output || str_eq(with->output, folder)) {
                r->source = arena_printf(c->arena, "runs:/%s/%s", r->run_id, folder);
                return 0;
            }
        }
    }
    return rc ? rc
              : fail(c, ERR_CONFLICT,
                     "step %s logged no model%s%s: its tracking run holds neither a logged model "
                     "nor a "
                     "folder with an MLmodel file, and the step declares no output of kind model",
                     row->name, with->output ? " named " : "", with->output ? with->output : "");
}

/* The gate that stands before a step, near or far; of several the one that compares with a version
 * of a model, else the last. */
static const struct step *gate_before(const struct definition *d, const struct step *own) {
    bool before[STEP_CAP] = {false};
    const struct step *found = NULL;
    bool compares = false;
    before[own - d->steps] = true;
    for (size_t i = (size_t)(own - d->steps) + 1;
         i-- > 0;) { /* needs stand before who needs them */
        const struct step *s = &d->steps[i];
        for (size_t k = 0; before[i] && k < s->nneeds; k++) {
            before[s->needs[k]] = true;
        }
        bool better = false;
        for (size_t k = 0; k < s->nrules; k++) {
            better = better || s->rules[k].model;
        }
        if (before[i] && s->kind == STEP_GATE && (!found || (better && !compares))) {
            found = s;
            compares = better;
        }
    }
    return found;
}

/* Numbers of the evaluation that a gate before this step judged; without a gate, of the step the
 * model is from. */
static int find_evaluation(struct ctx *c, const struct run_view *v, const struct step *own,
                           const struct step_row *model, struct registration *r) {
    const struct step *gate = gate_before(v->d, own);
    const struct step_row *from = gate ? view_effective(c, v, gate->from) : NULL;
    const struct step_row *judged = from ? from : model;
    struct fpairs metrics;
    int rc = view_metrics(c, judged, &metrics);
    json_t *map = json_on_arena(c, json_object());
    for (size_t i = 0; rc == 0 && i < metrics.n; i++) {
        json_object_set_new(map, metrics.items[i].key, json_real(metrics.items[i].value));
    }
    r->evaluation = judged->origin_attempt;
    r->metrics = json_canonical(c, map);
    return rc;
}

static int prepare(struct ctx *c, const struct run_view *v, const struct step *own,
                   struct registration *r) {
    const struct step *from = definition_step(v->d, r->with->from);
    const struct step_row *row = from ? view_effective(c, v, (size_t)(from - v->d->steps)) : NULL;
    if (!row || !step_state_good(row->state)) {
        return fail(c, ERR_CONFLICT, "step %s has left nothing to register", r->with->from);
    }
    int rc = find_source(c, &v->d->steps[row->index_in_definition], row, r->with, r);
    return rc ? rc : find_evaluation(c, v, own, row, r);
}

/* A version that was made from the same source is not made again: neither after a crash between
 * this write and the step's end, nor by a run whose steps came from the cache. */
static int find_version(struct ctx *c, struct registration *r, bool *found) {
    int64_t version = 0;
    int rc =
        db_get_i64(c,
                   "SELECT MAX(version) FROM pipeline_registration WHERE project_id = ? AND model "
                   "= ? AND source = ? HAVING MAX(version) IS NOT NULL",
                   &version, found, "iss", c->project, r->with->model, r->source);
    if (rc || !*found) {
        return rc;
    }
    rc = model_version_get(c, r->with->model, version, &r->version);
    if (rc == -ERR_NOT_FOUND) { /* deleted since */
        err_clear(c);
        *found = false;
        rc = 0;
    }
    return rc;
}

/* Whether this run made the version: before a crash came in between. */
static int made_here(struct ctx *c, const struct registration *r, bool *yes) {
    char *first = NULL;
    int rc =
        db_get_text(c,
                    "SELECT run_id FROM pipeline_registration WHERE project_id = ? AND model = "
                    "? AND version = ? ORDER BY created_ms LIMIT 1",
                    &first, "isi", c->project, r->with->model, r->version.version);
    *yes = rc == 0 && first && str_eq(first, r->pipeline_run);
    return rc;
}

static int write_version(struct ctx *c, void *arg) {
    struct registration *r = arg;
    const struct register_with *w = r->with;
    r->version = (struct model_version_info){0};
    r->kept = false;
    bool found = false, own = false;
    int rc = find_version(c, r, &found);
    if (rc == 0 && found) {
        rc = made_here(c, r, &own);
    } else if (rc == 0) {
        rc = model_version_create(c, w->model, r->source, r->run_id, r->model_id, w->description,
                                  &r->version);
    }
    r->kept = found && !own;
    rc = rc || !w->alias ? rc : model_alias_set(c, w->model, w->alias, r->version.version);
    rc = rc ? rc
            : db_exec(
                  c,
                  "INSERT INTO pipeline_registration (project_id, model, version, run_id, source, "
                  "evaluation, metrics, created_ms) VALUES (?, ?, ?, ?, ?, NULLIF(?, 0), ?, ?) ON "
                  "CONFLICT (project_id, model, version, run_id) DO UPDATE SET metrics = "
                  "excluded.metrics, evaluation = excluded.evaluation",
                  "isissisi", c->project, w->model, r->version.version, r->pipeline_run, r->source,
                  r->evaluation, r->metrics, c->now_ms);
    const char *ref =
        arena_printf(c->arena, "model_version:%s/%lld", w->model, (long long)r->version.version);
    if (rc == 0) {
        /* A version that was there already comes from the run that made it, not from this one. */
        const char *step = step_ref(c, r->pipeline_run, r->step);
        rc = r->kept ? lineage_edge(c, ref, step, "kept_by")
                     : lineage_edge(c, step, ref, "registered");
    }
    return rc ? rc
              : audit_append(c, "pipeline.register", ref,
                             arena_printf(c->arena, "{\"pipeline_run\":\"%s\"}", r->pipeline_run));
}

int register_run(struct ctx *c, const void *with, const struct run_view *v, const struct step *own,
                 const struct step_row *row, struct json_t **outputs) {
    struct registration r = {.with = with, .pipeline_run = v->run.id, .step = row->name};
    int rc = db_read_begin(executor.db, c);
    rc = rc ? rc : prepare(c, v, own, &r);
    if (c->db) {
        db_read_end(c);
    }
    rc = rc ? rc : db_write(executor.db, c, write_version, &r);
    if (rc == 0) {
        *outputs = json_on_arena(c, json_pack("{s:s,s:I,s:s,s:s,s:s*,s:b}", "model", r.with->model,
                                              "version", (json_int_t)r.version.version, "source",
                                              r.source, "run_id", r.run_id, "alias", r.with->alias,
                                              "kept", (int)r.kept));
    }
    return rc;
}

const struct step_action register_action = {
    .name = "register", .with = &shape_register}; /* builtin_action calls register_run */
