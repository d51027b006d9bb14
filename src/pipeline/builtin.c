/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that are no commands: select, gate, actions. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "executor.h"
#include "gate.h"
#include "json_value.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/db/db.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"
#include "quern/registry/registry.h"
#include "quern/tracking/tracking.h"
#include "substitution.h"

int builtin_select(struct ctx *c, const struct run_view *v, const struct step *s,
                   struct settlement *out) {
    const struct step_row *best;
    double value = 0;
    json_t *candidates, *item = NULL;
    int rc = pick_best(c, v, s->from, &s->pick, &best, &value, &candidates);
    rc = rc || !best->item ? rc
                           : json_parse(c, DIALECT_PROBLEM, best->item, strlen(best->item), &item);
    if (rc) {
        return rc;
    }
    json_t *result = json_on_arena(c, json_pack("{s:s,s:I,s:s,s:s,s:f,s:O}", "step", best->name,
                                                "index", (json_int_t)best->item_index, "metric",
                                                s->pick.metric, "mode", s->pick.min ? "min" : "max",
                                                "value", value, "candidates", candidates));
    if (item) {
        json_object_set(result, "item", item);
    }
    if (best->tracking_run_id) {
        json_object_set_new(result, "run_id", json_string(best->tracking_run_id));
    }
    out->outcome = OUTCOME_SUCCEEDED;
    out->result = json_canonical(c, result);
    out->reason = arena_printf(c->arena, "%s has the best %s: %s", best->name, s->pick.metric,
                               json_argument(c, json_object_get(result, "value")));
    out->tracking_run_id = best->tracking_run_id;
    return 0;
}

/* ---- what the champion measured */

static int champion_registered(struct ctx *c, const struct model_version_info *m,
                               const char *metric, int64_t evaluation, struct champion *out) {
    struct stmt *st =
        db_query(c,
                 "SELECT metrics, evaluation FROM pipeline_registration WHERE project_id "
                 "= ? AND model = ? AND version = ? ORDER BY created_ms",
                 "isi", c->project, m->name, m->version);
    int rc;
    while ((rc = stmt_next(st)) > 0) {
        const char *text = stmt_text(c, st, 0);
        int64_t of = stmt_i64(st, 1);
        json_t *metrics;
        rc = json_parse(c, DIALECT_PROBLEM, text, strlen(text), &metrics);
        if (rc) {
            break;
        }
        out->same_evaluation = out->same_evaluation || (of && of == evaluation);
        json_t *value = json_object_get(metrics, metric);
        if (value) {
            out->measured = json_number(value, &out->value) || out->measured;
        }
    }
    stmt_end(st);
    return rc;
}

static int champion_find(struct ctx *c, const struct gate_rule *rule, int64_t evaluation,
                         struct champion *out) {
    struct model_version_info m = {0};
    *out = (struct champion){0};
    int rc = model_resolve(c, rule->model, &m);
    if (rc == -ERR_NOT_FOUND) {
        err_clear(c); /* no such model or alias yet: the first one has nobody to beat */
        return 0;
    }
    if (rc) {
        return rc;
    }
    out->exists = true;
    out->name = arena_printf(c->arena, "%s/%lld", m.name, (long long)m.version);
    rc = champion_registered(c, &m, rule->metric, evaluation, out);
    if (rc == 0 && !out->measured && m.run_id && *m.run_id) {
        out->measured = run_metric(c, m.run_id, rule->metric, &out->value) == 0;
        err_clear(c);
    }
    return rc;
}

/* The rule with its placeholders replaced, as it is judged and shown. */
static int rule_resolve(struct ctx *c, const struct gate_rule *rule, json_t *root,
                        struct gate_rule *out) {
    char *uri;
    char number[32];
    *out = *rule;
    if (rule->model) {
        int rc = substitute_text(c, rule->model, root, &uri);
        out->model = uri;
        out->text =
            rc ? rule->text : arena_printf(c->arena, "%s better than %s", rule->metric, uri);
        return rc;
    }
    if (!rule->path) {
        return 0;
    }
    json_t *value = json_walk(root, rule->path);
    if (!value || !json_number(value, &out->number)) {
        return fail(c, ERR_CONFLICT, "rule \"%s\": %s is no number", rule->text, rule->path);
    }
    json_double(out->number, number);
    const char *quote = strpbrk(rule->metric, " \t<>=!") ? "`" : "";
    out->text =
        arena_printf(c->arena, "%s%s%s %s %s", quote, rule->metric, quote, rule->op, number);
    return 0;
}

static json_t *verdict_json(const struct gate_rule *rule, const struct verdict *v) {
    json_t *out = json_pack("{s:s,s:b,s:s}", "rule", rule->text, "passed", (int)v->passed, "reason",
                            v->reason);
    json_t *values = json_array();
    json_object_set_new(out, "values", values);
    for (size_t i = 0; i < v->n; i++) {
        json_array_append_new(
            values,
            json_pack("{s:s,s:o,s:b}", "metric", v->values[i].metric, "value",
                      isfinite(v->values[i].value) ? json_real(v->values[i].value) : json_null(),
                      "holds", (int)v->values[i].holds));
    }
    /* The number that decided: the first that does not hold, else the first. */
    size_t told = 0;
    while (told < v->n && v->values[told].holds) {
        told++;
    }
    told = told < v->n ? told : 0;
    if (v->n && isfinite(v->values[told].value)) {
        json_object_set_new(out, "value", json_real(v->values[told].value));
    }
    return out;
}

int builtin_gate(struct ctx *c, const struct run_view *v, const struct step *s,
                 const struct step_row *row, struct settlement *out) {
    const struct step_row *from = view_effective(c, v, s->from);
    if (!from) {
        return fail(c, ERR_CONFLICT, "gate %s has nothing to judge", s->name);
    }
    struct fpairs metrics;
    json_t *root, *rules = json_on_arena(c, json_array());
    size_t failed = 0;
    const char *why = NULL;
    int rc = view_metrics(c, from, &metrics);
    rc = rc ? rc : view_scope(c, v, s, row, &root);
    for (size_t i = 0; rc == 0 && i < s->nrules; i++) {
        struct gate_rule rule;
        struct champion champion = {0};
        struct verdict verdict;
        rc = rule_resolve(c, &s->rules[i], root, &rule);
        if (rc == 0 && rule.model) {
            rc = champion_find(c, &rule, from->origin_attempt, &champion);
        }
        rc = rc ? rc : gate_judge(c, &rule, &metrics, rule.number, &champion, &verdict);
        if (rc) {
            return rc;
        }
        json_array_append_new(rules, verdict_json(&rule, &verdict));
        if (!verdict.passed) {
            why = failed ? arena_printf(c->arena, "%s; %s", why, verdict.reason) : verdict.reason;
            failed++;
        }
    }
    if (rc) {
        return rc;
    }
    json_t *result = json_on_arena(c, json_pack("{s:b,s:s,s:O}", "passed", (int)(failed == 0),
                                                "judged", from->name, "rules", rules));
    out->result = json_canonical(c, result);
    out->outcome = failed ? OUTCOME_FAILED : OUTCOME_SUCCEEDED;
    out->final = true; /* the same numbers would be judged again */
    out->reason = failed ? arena_printf(c->arena, "gate: %s", why)
                         : arena_printf(c->arena, "all %zu rules hold", s->nrules);
    return 0;
}

/* Called without a snapshot: actions do their own reads and writes. */
int builtin_action(struct ctx *c, const struct run_view *v, const struct step *s,
                   const struct step_row *row, struct settlement *out) {
    json_t *root, *with, *outputs = NULL;
    int rc = db_read_begin(executor.db, c);
    rc = rc ? rc : view_scope(c, v, s, row, &root);
    rc = rc ? rc : substitute_tree(c, s->with, root, &with);
    if (c->db) {
        db_read_end(c);
    }
    void *in = s->action->with ? arena_alloc(c->arena, s->action->with->size) : NULL;
    if (rc == 0 && in) {
        rc = json_decode(c, DIALECT_PROBLEM, s->action->with, with, NULL, NULL, in);
    }
    if (rc == 0) { /* our own knows its place in the run */
        rc = s->action == &register_action ? register_run(c, in, v, s, row, &outputs)
                                           : s->action->run(c, in, v->run.id, &outputs);
    }
    if (rc) {
        return rc;
    }
    json_t *result = json_on_arena(c, json_pack("{s:s}", "action", s->action->name));
    json_object_set(result, "outputs", outputs ? outputs : json_on_arena(c, json_object()));
    out->result = json_canonical(c, result);
    out->outcome = OUTCOME_SUCCEEDED;
    return 0;
}
