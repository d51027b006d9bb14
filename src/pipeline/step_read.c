/* SPDX-License-Identifier: Apache-2.0 */
/* One step of a definition. */
#include <jansson.h>
#include <string.h>

#include "definition.h"
#include "expression.h"
#include "json_value.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"
#include "quern/pipeline/pipeline.h"
#include "substitution.h"
#include "yaml_tree.h"

struct place {
    struct definition_reader *r;
    struct step *s;
    const struct node *at;
};

static const char *param_at(const void *list, size_t i) {
    return ((const struct definition *)list)->params[i].name;
}

static int use_param(struct place *p, const char *name) {
    const struct definition *d = p->r->d;
    bool known = false;
    for (size_t i = 0; i < d->nparams && !known; i++) {
        known = str_eq(d->params[i].name, name);
    }
    if (!known) {
        const char *near = nearest(name, param_at, d, d->nparams);
        return near ? node_fail(p->r->c, p->at, "there is no param \"%s\"; did you mean \"%s\"?",
                                name, near)
                    : node_fail(p->r->c, p->at, "there is no param \"%s\"", name);
    }
    for (size_t i = 0; i < p->s->params.n; i++) {
        if (str_eq(p->s->params.items[i], name)) {
            return 0;
        }
    }
    const char **wider = ARENA_ARRAY(p->r->c->arena, const char *, p->s->params.n + 1);
    for (size_t i = 0; i < p->s->params.n; i++) {
        wider[i] = p->s->params.items[i];
    }
    wider[p->s->params.n++] = name;
    p->s->params.items = wider;
    return 0;
}

/* The name after the first dot, up to the next dot or bracket. */
static const char *second(struct ctx *c, const char *path) {
    const char *name = strchr(path, '.');
    return name ? arena_strndup(c->arena, name + 1, strcspn(name + 1, ".[")) : "";
}

static int use_named(struct place *p, const char *path, bool inputs) {
    const char *name = second(p->r->c, path);
    for (size_t i = 0; i < (inputs ? p->s->ninputs : p->s->noutputs); i++) {
        if (str_eq(name, inputs ? p->s->inputs[i].name : p->s->outputs[i].name)) {
            return 0;
        }
    }
    return node_fail(p->r->c, p->at, "step %s has no %s \"%s\"", p->s->name,
                     inputs ? "input" : "output", name);
}

static int use_path(void *arg, const char *path) {
    struct place *p = arg;
    struct ctx *c = p->r->c;
    if (str_starts(path, "params.")) {
        return use_param(p, second(c, path));
    }
    if (str_starts(path, "steps.")) {
        size_t step = path_step(p->r->d, path);
        if (step == NO_STEP) {
            return node_fail(c, p->at, "there is no step \"%s\"", second(c, path));
        }
        return need(c, p->s, step);
    }
    if (str_starts(path, "inputs.") || str_starts(path, "outputs.")) {
        return use_named(p, path, path[0] == 'i');
    }
    bool item = str_eq(path, "item") || str_eq(path, "index") || str_starts(path, "item.") ||
                str_starts(path, "item[");
    if (item && !p->s->fan_out) {
        return node_fail(c, p->at, "${%s} is known only in a step with foreach", path);
    }
    static const char *const fixed[] = {"run.id",        "run.tracking_id",     "run.commit",
                                        "pipeline.name", "pipeline.experiment", "step.name",
                                        "step.run_id",   "step.attempt"};
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        item = item || str_eq(path, fixed[i]);
    }
    return item ? 0
                : node_fail(c, p->at,
                            "${%s} is unknown; known are params.x, steps.x, inputs.x, outputs.x, "
                            "item, index, run.id, run.tracking_id, run.commit, pipeline.name, "
                            "pipeline.experiment, step.name, step.run_id, step.attempt",
                            path);
}

/* Runs a reader that knows no node, and puts the node's place before its message. */
static int placed(struct place *p, int rc) {
    if (rc && p->r->c->err.message && !str_starts(p->r->c->err.message, "line ")) {
        const char *message = p->r->c->err.message;
        err_clear(p->r->c);
        return node_fail(p->r->c, p->at, "%s", message);
    }
    return rc;
}

static int use_text(struct place *p, const struct node *at, const char *text) {
    p->at = at;
    return placed(p, substitution_paths(p->r->c, text, use_path, p));
}

static int use_node(struct place *p, const struct node *n) {
    int rc = n->kind == NODE_SCALAR ? use_text(p, n, n->text) : 0;
    for (size_t i = 0; rc == 0 && i < n->n; i++) {
        rc = use_node(p, n->items[i]);
    }
    return rc;
}

static int read_pick(struct ctx *c, const struct node *n, struct pick *out) {
    const struct node *mode = node_get(n, "mode");
    int rc = read_text(c, node_get(n, "metric"), "metric", &out->metric);
    const char *text = "max";
    rc = rc || !mode ? rc : read_text(c, mode, "mode", &text);
    out->min = str_eq(text, "min");
    return rc || out->min || str_eq(text, "max")
               ? rc
               : node_fail(c, mode, "mode is max or min, not \"%s\"", text);
}

static int read_from(struct place *p, const struct node *n, struct step_input *in) {
    struct ctx *c = p->r->c;
    const char *text;
    int rc = read_text(c, n, "from", &text);
    if (rc) {
        return rc;
    }
    const char *dot = strchr(text, '.');
    if (!dot || !dot[1]) {
        return node_fail(c, n, "from is step.output, not \"%s\"", text);
    }
    struct node name = *n;
    name.text = arena_strndup(c->arena, text, (size_t)(dot - text));
    rc = read_step_name(p->r, &name, "from", &in->step);
    in->output = dot + 1;
    return rc ? rc : need(c, p->s, in->step);
}

static int read_input(struct place *p, const struct node *n, struct step_input *in) {
    struct ctx *c = p->r->c;
    if (n->kind == NODE_SCALAR) {
        return read_from(p, n, in);
    }
    int rc = keys_check(c, n, &keys_input);
    const struct node *from = node_get(n, "from"), *artifact = node_get(n, "artifact"),
                      *select = node_get(n, "select");
    if (rc == 0 && !from == !artifact) {
        rc = node_fail(c, n, "input %s needs either from (step.output) or artifact (a path)",
                       in->name);
    }
    if (rc == 0 && from) {
        rc = read_from(p, from, in);
    } else if (rc == 0) {
        rc = read_text(c, artifact, "artifact", &in->artifact);
        rc = rc ? rc : use_text(p, artifact, in->artifact);
    }
    if (rc == 0 && select) {
        if (!from || select->kind != NODE_MAP || !node_get(select, "metric")) {
            return node_fail(c, select, "select is {metric, mode} beside a from");
        }
        rc = read_pick(c, select, &in->pick);
    }
    return rc;
}

static int read_inputs(struct place *p, const struct node *n) {
    if (n->kind != NODE_MAP) {
        return node_fail(p->r->c, n, "inputs must be a mapping (name: step.output)");
    }
    p->s->inputs = ARENA_ARRAY(p->r->c->arena, struct step_input, n->n + 1);
    for (size_t i = 0; i < n->n; i++) {
        struct step_input *in = &p->s->inputs[i];
        in->name = n->keys[i]->text;
        in->step = NO_STEP;
        int rc = read_name(p->r->c, n->keys[i], in->name, "input");
        rc = rc ? rc : read_input(p, n->items[i], in);
        if (rc) {
            return rc;
        }
        p->s->ninputs++;
    }
    return 0;
}

static bool path_beneath(const char *path) {
    if (!*path || *path == '/' || strchr(path, '\\') || strlen(path) > 512) {
        return false;
    }
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        size_t n = strcspn(part, "/");
        if (n == 0 || (n <= 2 && part[0] == '.' && (n == 1 || part[1] == '.'))) {
            return false;
        }
    }
    return true;
}

static int read_output(struct place *p, const struct node *n, struct step_output *o) {
    static const char *const kinds[] = {"artifact", "metrics", "values", "model"};
    struct ctx *c = p->r->c;
    const struct node *path = n, *kind = NULL, *optional = NULL;
    const char *text = "artifact";
    int rc = 0;
    if (n->kind != NODE_SCALAR) {
        rc = keys_check(c, n, &keys_output);
        path = node_get(n, "path");
        kind = node_get(n, "kind");
        optional = node_get(n, "optional");
    }
    rc = rc ? rc : read_text(c, path, "path", &o->path);
    rc = rc || !kind ? rc : read_text(c, kind, "kind", &text);
    rc = rc || !optional ? rc : read_bool(c, optional, "optional", &o->optional);
    if (rc) {
        return rc;
    }
    if (!path_beneath(o->path)) {
        return node_fail(c, path,
                         "\"%s\" is no path below the outputs folder: no leading /, no empty or .. "
                         "part",
                         o->path);
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (str_eq(kinds[i], text)) {
            o->kind = (enum output_kind)i;
            return 0;
        }
    }
    return node_fail(c, kind, "kind is artifact, metrics, values or model, not \"%s\"", text);
}

static int read_outputs(struct place *p, const struct node *n) {
    struct ctx *c = p->r->c;
    if (n->kind != NODE_MAP) {
        return node_fail(c, n, "outputs must be a mapping (name: path)");
    }
    p->s->outputs = ARENA_ARRAY(c->arena, struct step_output, n->n + 1);
    for (size_t i = 0; i < n->n; i++) {
        struct step_output *o = &p->s->outputs[i];
        o->name = n->keys[i]->text;
        int rc = read_name(c, n->keys[i], o->name, "output");
        rc = rc ? rc : read_output(p, n->items[i], o);
        for (size_t k = 0; rc == 0 && k < i; k++) {
            if (str_eq(p->s->outputs[k].path, o->path)) {
                rc = node_fail(c, n->items[i], "outputs %s and %s have the same path",
                               p->s->outputs[k].name, o->name);
            }
        }
        if (rc) {
            return rc;
        }
        p->s->noutputs++;
    }
    return 0;
}

static int read_retry(struct ctx *c, const struct node *n, struct retry *out) {
    const struct node *count = n, *backoff = NULL, *max = NULL, *jitter = NULL;
    int rc = 0;
    if (n->kind != NODE_SCALAR) {
        rc = keys_check(c, n, &keys_retry);
        count = node_get(n, "count");
        backoff = node_get(n, "backoff");
        max = node_get(n, "max");
        jitter = node_get(n, "jitter");
    }
    rc = rc ? rc : read_int(c, count, "retry count", 0, 20, &out->count);
    rc = rc || !backoff ? rc : read_ms(c, backoff, "backoff", &out->backoff_ms);
    rc = rc || !max ? rc : read_ms(c, max, "max", &out->max_ms);
    rc = rc || !jitter ? rc : read_number(c, jitter, "jitter", &out->jitter);
    return rc || (out->jitter >= 0 && out->jitter <= 1)
               ? rc
               : node_fail(c, jitter, "jitter is a share from 0 to 1");
}

static int read_resources(struct ctx *c, const struct node *n, struct step *s) {
    int rc = keys_check(c, n, &keys_resources);
    const struct node *cpu = node_get(n, "cpu"), *time = node_get(n, "cpu_time"),
                      *memory = node_get(n, "memory"), *slots = node_get(n, "slots");
    int64_t ms = 0;
    rc = rc || !cpu ? rc : read_int(c, cpu, "cpu", 1, 1024, &s->cpu);
    rc = rc || !time ? rc : read_ms(c, time, "cpu_time", &ms);
    rc = rc || !memory ? rc : read_bytes(c, memory, "memory", &s->memory_bytes);
    rc = rc || !slots ? rc : read_int(c, slots, "slots", 0, 1024, &s->slots);
    s->cpu_seconds = (ms + 999) / 1000;
    return rc;
}

static int read_foreach(struct place *p, const struct node *n) {
    struct ctx *c = p->r->c;
    struct step *s = p->s;
    s->fan_out = true;
    if (n->kind == NODE_SEQ) {
        if (n->n == 0 || n->n > INSTANCE_CAP) {
            return node_fail(c, n, "foreach wants 1 to %d items", INSTANCE_CAP);
        }
        s->each = node_json(c, n);
        return 0;
    }
    const char *text = n->kind == NODE_SCALAR ? n->text : "";
    size_t length = strlen(text);
    if (str_starts(text, "${") && length > 3 && text[length - 1] == '}') {
        text = arena_strndup(c->arena, text + 2, length - 3);
    }
    if (!str_starts(text, "params.")) {
        return node_fail(c, n, "foreach is a list or ${params.name} of a list");
    }
    s->each_param = text + 7;
    for (size_t i = 0; i < p->r->d->nparams; i++) {
        if (str_eq(p->r->d->params[i].name, s->each_param)) {
            return p->r->d->params[i].type == PARAM_LIST
                       ? 0
                       : node_fail(c, n, "param %s is not a list", s->each_param);
        }
    }
    p->at = n;
    return use_param(p, s->each_param);
}

static int read_when(struct place *p, const struct node *n) {
    int rc = read_text(p->r->c, n, "when", &p->s->when_text);
    p->at = n;
    rc = rc ? rc : placed(p, expr_parse(p->r->c, p->s->when_text, &p->s->when));
    /* Parameters of a condition decide whether the step runs, not what it does: they do not become
     * part of what it sees. */
    struct strs keep = p->s->params;
    rc = rc ? rc : expr_paths(p->s->when, use_path, p);
    p->s->params = keep;
    return rc;
}

static int read_params_list(struct place *p, const struct node *n) {
    struct strs names;
    if (n->kind == NODE_SCALAR && str_eq(n->text, "all")) {
        int rc = 0;
        p->at = n;
        for (size_t i = 0; rc == 0 && i < p->r->d->nparams; i++) {
            rc = use_param(p, p->r->d->params[i].name);
        }
        return rc;
    }
    int rc = read_strings(p->r->c, n, "params", &names);
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        p->at = n->kind == NODE_SEQ ? n->items[i] : n;
        rc = use_param(p, names.items[i]);
    }
    return rc;
}

static int read_run(struct place *p, const struct node *n) {
    if (n->kind != NODE_SEQ || n->n == 0) {
        return node_fail(p->r->c, n,
                         "run must be a list of arguments, for instance [python3, train.py]; there "
                         "is no shell");
    }
    int rc = read_strings(p->r->c, n, "run", &p->s->argv);
    rc = rc ? rc : use_node(p, n);
    return rc || *p->s->argv.items[0] ? rc
                                      : node_fail(p->r->c, n->items[0], "the command is empty");
}

static int read_select(struct place *p, const struct node *n) {
    int rc = keys_check(p->r->c, n, &keys_select);
    rc = rc ? rc : read_step_name(p->r, node_get(n, "from"), "from", &p->s->from);
    rc = rc ? rc : read_pick(p->r->c, n, &p->s->pick);
    return rc ? rc : need(p->r->c, p->s, p->s->from);
}

static const char *field_at(const void *list, size_t i) {
    return ((const struct shape *)list)->fields[i].name;
}

/* Settings of an action against its shape, placeholders not yet filled. */
static int check_with(struct ctx *c, const struct node *n, const struct shape *shape,
                      const char *name) {
    for (size_t i = 0; i < n->n; i++) {
        bool known = false;
        for (size_t k = 0; k < shape->n && !known; k++) {
            known = str_eq(shape->fields[k].name, n->keys[i]->text);
        }
        if (!known) {
            const char *near = nearest(n->keys[i]->text, field_at, shape, shape->n);
            return near ? node_fail(c, n->keys[i],
                                    "\"%s\" is no setting of %s; did you mean \"%s\"?",
                                    n->keys[i]->text, name, near)
                        : node_fail(c, n->keys[i], "\"%s\" is no setting of %s", n->keys[i]->text,
                                    name);
        }
    }
    for (size_t k = 0; k < shape->n; k++) {
        if ((shape->fields[k].flags & F_REQUIRED) && !node_get(n, shape->fields[k].name)) {
            return node_fail(c, n, "%s needs \"%s\"", name, shape->fields[k].name);
        }
    }
    return 0;
}

static int read_action(struct place *p, const struct node *n, const char *name) {
    struct ctx *c = p->r->c;
    p->s->action = action_find(name);
    if (!p->s->action) {
        return node_fail(c, n, "this daemon has no action \"%s\"", name);
    }
    if (n->kind != NODE_MAP) {
        return node_fail(c, n, "%s must be a mapping of its settings", name);
    }
    int rc = p->s->action->with ? check_with(c, n, p->s->action->with, name) : 0;
    rc = rc ? rc : use_node(p, n);
    const struct node *from = node_get(n, "from");
    if (rc == 0 && from) {
        rc = read_step_name(p->r, from, "from", &p->s->from);
        rc = rc ? rc : need(c, p->s, p->s->from);
    }
    p->s->with = rc ? NULL : node_json(c, n);
    if (rc == 0 && p->s->action->with) {
        char *text = json_canonical(c, p->s->with);
        void *in = arena_alloc(c->arena, p->s->action->with->size);
        if (!strstr(text, "${")) {
            p->at = n;
            rc = placed(
                p, json_decode(c, DIALECT_PROBLEM, p->s->action->with, p->s->with, NULL, NULL, in));
        }
    }
    return rc;
}

static int read_kind(struct place *p, const struct node *n) {
    static const char *const kinds[] = {"run", "select", "gate", "register", "deploy"};
    const char *found = NULL;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (node_get(n, kinds[i])) {
            if (found) {
                return node_fail(p->r->c, node_get(n, kinds[i]),
                                 "step %s has both %s and %s; a step does one thing", p->s->name,
                                 found, kinds[i]);
            }
            found = kinds[i];
        }
    }
    if (!found) {
        return node_fail(p->r->c, n, "step %s needs one of run, select, gate, register, deploy",
                         p->s->name);
    }
    const struct node *value = node_get(n, found);
    if (str_eq(found, "run")) {
        return read_run(p, value);
    }
    if (str_eq(found, "select")) {
        p->s->kind = STEP_SELECT;
        return read_select(p, value);
    }
    if (str_eq(found, "gate")) {
        p->s->kind = STEP_GATE;
        return gate_read(p->r, value, p->s);
    }
    p->s->kind = STEP_ACTION;
    return read_action(p, value, found);
}

static int read_gate_from(struct place *p, const struct node *n) {
    const struct node *from = node_get(n, "from");
    if (from && p->s->kind != STEP_GATE) {
        return node_fail(p->r->c, from, "from stands beside gate; inputs have their own from");
    }
    int rc = 0;
    if (from) {
        rc = read_step_name(p->r, from, "from", &p->s->from);
        rc = rc ? rc : need(p->r->c, p->s, p->s->from);
    } else if (p->s->kind == STEP_GATE) {
        if (p->s->nneeds != 1) {
            return node_fail(p->r->c, n,
                             "gate %s needs \"from\": the step whose metrics are judged",
                             p->s->name);
        }
        p->s->from = p->s->needs[0];
    }
    for (size_t i = 0; rc == 0 && i < p->s->nrules; i++) {
        p->at = node_get(n, "gate");
        rc = p->s->rules[i].path ? use_path(p, p->s->rules[i].path) : 0;
        rc = rc || !p->s->rules[i].model ? rc : use_text(p, p->at, p->s->rules[i].model);
    }
    return rc;
}

static int read_needs(struct place *p, const struct node *n) {
    struct strs names;
    int rc = read_strings(p->r->c, n, "needs", &names);
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        size_t step = NO_STEP;
        rc = read_step_name(p->r, n->kind == NODE_SEQ ? n->items[i] : n, "needs", &step);
        rc = rc ? rc : need(p->r->c, p->s, step);
    }
    return rc;
}

static int read_cache(struct place *p, const struct node *n) {
    if (n->kind == NODE_SCALAR) {
        return read_bool(p->r->c, n, "cache", &p->s->cache);
    }
    int rc = keys_check(p->r->c, n, &keys_cache);
    rc = rc ? rc : read_strings(p->r->c, node_get(n, "key"), "key", &p->s->cache_key);
    return rc ? rc : use_node(p, node_get(n, "key"));
}

static int read_after_skipped(struct place *p, const struct node *n) {
    const char *text;
    int rc = read_text(p->r->c, n, "after_skipped", &text);
    p->s->after_skipped = rc == 0 && str_eq(text, "run");
    return rc || p->s->after_skipped || str_eq(text, "skip")
               ? rc
               : node_fail(p->r->c, n, "after_skipped is skip or run, not \"%s\"", text);
}

/* Settings that make sense only for a command. */
static int only_for_run(struct place *p, const struct node *n) {
    static const char *const names[] = {"inputs", "outputs",   "env",   "params", "timeout",
                                        "grace",  "resources", "files", "foreach"};
    for (size_t i = 0; p->s->kind != STEP_RUN && i < ARRAY_LEN(names); i++) {
        const struct node *v = node_get(n, names[i]);
        if (v) {
            return node_fail(p->r->c, v, "%s belongs to a step with run", names[i]);
        }
    }
    return 0;
}

int step_read(struct definition_reader *r, const char *name, const struct node *n, struct step *s) {
    struct ctx *c = r->c;
    struct place p = {.r = r, .s = s, .at = n};
    s->name = name;
    s->line = n->line;
    s->column = n->column;
    s->from = NO_STEP;
    s->cache = true;
    s->track = true;
    s->slots = 1;
    s->retry = (struct retry){.backoff_ms = 1000, .max_ms = 300000, .jitter = 0.2};
    int rc = keys_check(c, n, &keys_step);
    const struct node *v;
#define READ(key, call) rc = rc || !(v = node_get(n, key)) ? rc : (call)
    READ("doc", read_text(c, v, "doc", &s->doc));
    READ("foreach", read_foreach(&p, v));
    READ("inputs", read_inputs(&p, v));
    READ("outputs", read_outputs(&p, v));
    READ("needs", read_needs(&p, v));
    rc = rc ? rc : read_kind(&p, n);
    rc = rc ? rc : read_gate_from(&p, n);
    rc = rc ? rc : only_for_run(&p, n);
    READ("env", read_env(c, v, &s->env));
    READ("env", use_node(&p, v));
    READ("params", read_params_list(&p, v));
    READ("timeout", read_ms(c, v, "timeout", &s->timeout_ms));
    READ("grace", read_ms(c, v, "grace", &s->grace_ms));
    READ("retry", read_retry(c, v, &s->retry));
    READ("after_skipped", read_after_skipped(&p, v));
    READ("resources", read_resources(c, v, s));
    READ("cache", read_cache(&p, v));
    READ("track", read_bool(c, v, "track", &s->track));
    READ("files", read_strings(c, v, "files", &s->files));
    READ("when", read_when(&p, v));
#undef READ
    s->track = s->track && s->kind == STEP_RUN && r->d->track;
    return rc;
}
