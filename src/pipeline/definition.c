/* SPDX-License-Identifier: Apache-2.0 */
#include "definition.h"

#include <jansson.h>
#include <string.h>

#include "json_value.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "substitution.h"
#include "yaml_tree.h"

static int param_type_of(const json_t *v, enum param_type *out) {
    *out = json_is_integer(v)   ? PARAM_INT
           : json_is_real(v)    ? PARAM_FLOAT
           : json_is_boolean(v) ? PARAM_BOOL
           : json_is_array(v)   ? PARAM_LIST
                                : PARAM_STRING;
    return json_is_object(v) || json_is_null(v) ? -1 : 0;
}

static int read_param(struct ctx *c, const struct node *n, struct param *p) {
    static const char *const types[] = {"string", "int", "float", "bool", "list"};
    if (n->kind != NODE_MAP) {
        p->def = node_json(c, n);
        return param_type_of(p->def, &p->type)
                   ? node_fail(c, n, "param %s needs a default or a type", p->name)
                   : 0;
    }
    const struct node *type = node_get(n, "type"), *def = node_get(n, "default"),
                      *doc = node_get(n, "doc");
    int rc = keys_check(c, n, &keys_param);
    rc = rc || !doc ? rc : read_text(c, doc, "doc", &p->doc);
    p->def = rc == 0 && def ? node_json(c, def) : NULL;
    if (rc || (!type && !def)) {
        return rc ? rc : node_fail(c, n, "param %s needs a type or a default", p->name);
    }
    if (!type) {
        return param_type_of(p->def, &p->type)
                   ? node_fail(c, def,
                               "the default of %s must be text, a number, a boolean or a list",
                               p->name)
                   : 0;
    }
    const char *text;
    rc = read_text(c, type, "type", &text);
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(types); i++) {
        if (str_eq(types[i], text)) {
            p->type = (enum param_type)i;
            struct definition one = {.name = "", .params = p, .nparams = 1};
            json_t *all;
            if (p->def && definition_params(c, &one, NULL, &all)) {
                const char *message = c->err.message;
                err_clear(c);
                return node_fail(c, def, "%s", message);
            }
            p->def = p->def ? json_object_get(all, p->name) : NULL;
            return 0;
        }
    }
    return rc ? rc
              : node_fail(c, type, "type is string, int, float, bool or list, not \"%s\"", text);
}

static int read_params(struct ctx *c, const struct node *n, struct definition *d) {
    if (n->kind != NODE_MAP) {
        return node_fail(c, n, "params must be a mapping (name: default)");
    }
    d->params = ARENA_ARRAY(c->arena, struct param, n->n + 1);
    for (size_t i = 0; i < n->n; i++) {
        struct param *p = &d->params[d->nparams];
        p->name = n->keys[i]->text;
        int rc = read_name(c, n->keys[i], p->name, "param");
        if (rc == 0 && strchr(p->name, '-')) {
            rc =
                node_fail(c, n->keys[i], "param %s becomes PARAM_...; use _ instead of -", p->name);
        }
        rc = rc ? rc : read_param(c, n->items[i], p);
        if (rc) {
            return rc;
        }
        d->nparams++;
    }
    return 0;
}

/* Names first, so that a step may name one that stands below it. */
static int name_steps(struct definition_reader *r, const struct node *n) {
    struct ctx *c = r->c;
    struct definition *d = r->d;
    if (n->kind == NODE_SCALAR || n->n == 0) {
        return node_fail(c, n, "steps must be a mapping or a list with at least one step");
    }
    if (n->n > STEP_CAP) {
        return node_fail(c, n, "more than %d steps", STEP_CAP);
    }
    d->steps = ARENA_ARRAY(c->arena, struct step, n->n);
    r->nodes = ARENA_ARRAY(c->arena, const struct node *, n->n);
    for (size_t i = 0; i < n->n; i++) {
        const struct node *at = n->kind == NODE_MAP ? n->keys[i] : node_get(n->items[i], "name");
        if (!at) {
            return node_fail(c, n->items[i], "a step in a list needs \"name\"");
        }
        const char *name;
        int rc = read_text(c, at, "name", &name);
        rc = rc ? rc : read_name(c, at, name, "step");
        if (rc == 0 && n->kind == NODE_MAP && node_get(n->items[i], "name")) {
            rc = node_fail(c, node_get(n->items[i], "name"), "the step's name is its key already");
        }
        if (rc == 0 && definition_step(d, name)) {
            rc = node_fail(c, at, "there are two steps \"%s\"", name);
        }
        if (rc) {
            return rc;
        }
        d->steps[i].name = name;
        r->nodes[i] = n->items[i];
        d->nsteps = i + 1;
    }
    return 0;
}

static int check_input(struct definition_reader *r, const struct step *s,
                       const struct step_input *in) {
    const struct step *from = &r->d->steps[in->step];
    const struct step *at = from->kind == STEP_SELECT ? &r->d->steps[from->from] : from;
    const struct node *node = r->nodes[s - r->d->steps];
    for (size_t i = 0; i < at->noutputs; i++) {
        if (str_eq(at->outputs[i].name, in->output)) {
            return in->pick.metric && !from->fan_out
                       ? node_fail(r->c, node,
                                   "input %s of step %s: select needs a fan-out, and %s "
                                   "is none",
                                   in->name, s->name, from->name)
                       : 0;
        }
    }
    return node_fail(r->c, node, "input %s of step %s: step %s has no output \"%s\"", in->name,
                     s->name, at->name, in->output);
}

static int check_step(struct definition_reader *r, const struct step *s) {
    const struct node *node = r->nodes[s - r->d->steps];
    for (size_t i = 0; i < s->ninputs; i++) {
        int rc = s->inputs[i].step == NO_STEP ? 0 : check_input(r, s, &s->inputs[i]);
        if (rc) {
            return rc;
        }
    }
    if (s->from == NO_STEP) {
        return 0;
    }
    const struct step *from = &r->d->steps[s->from];
    if (s->kind == STEP_SELECT && !from->fan_out) {
        return node_fail(r->c, node, "step %s selects from %s, which has no foreach", s->name,
                         from->name);
    }
    if (s->kind != STEP_SELECT && from->fan_out) {
        return node_fail(r->c, node,
                         "step %s takes from %s, a fan-out; select one of its instances "
                         "in a step with select and name that",
                         s->name, from->name);
    }
    if (from->kind != STEP_RUN && from->kind != STEP_SELECT) {
        return node_fail(r->c, node, "step %s takes from %s, which has neither run nor select",
                         s->name, from->name);
    }
    return 0;
}

static void renumber(struct step *s, const size_t *place) {
    for (size_t i = 0; i < s->nneeds; i++) {
        s->needs[i] = place[s->needs[i]];
    }
    for (size_t i = 1; i < s->nneeds; i++) { /* insertion sort keeps them ascending */
        for (size_t k = i; k > 0 && s->needs[k - 1] > s->needs[k]; k--) {
            size_t t = s->needs[k];
            s->needs[k] = s->needs[k - 1];
            s->needs[k - 1] = t;
        }
    }
    for (size_t i = 0; i < s->ninputs; i++) {
        s->inputs[i].step = s->inputs[i].step == NO_STEP ? NO_STEP : place[s->inputs[i].step];
    }
    s->from = s->from == NO_STEP ? NO_STEP : place[s->from];
}

/* Puts the steps in an order in which all needs come first; the file's order where free. */
static int order_steps(struct definition_reader *r) {
    struct ctx *c = r->c;
    struct definition *d = r->d;
    struct step *sorted = ARENA_ARRAY(c->arena, struct step, d->nsteps);
    size_t *place = ARENA_ARRAY(c->arena, size_t, d->nsteps);
    bool *done = ARENA_ARRAY(c->arena, bool, d->nsteps);
    for (size_t n = 0; n < d->nsteps; n++) {
        size_t next = NO_STEP, stuck = 0;
        for (size_t i = 0; i < d->nsteps && next == NO_STEP; i++) {
            bool ready = !done[i];
            for (size_t k = 0; ready && k < d->steps[i].nneeds; k++) {
                ready = done[d->steps[i].needs[k]];
            }
            next = ready ? i : NO_STEP;
            stuck = done[i] ? stuck : i;
        }
        if (next == NO_STEP) {
            const struct step *s = &d->steps[stuck];
            size_t on = s->needs[0];
            for (size_t k = 0; k < s->nneeds; k++) {
                on = done[s->needs[k]] ? on : s->needs[k];
            }
            return node_fail(c, r->nodes[stuck], "steps need each other in a circle: %s needs %s",
                             s->name, d->steps[on].name);
        }
        done[next] = true;
        place[next] = n;
        sorted[n] = d->steps[next];
    }
    for (size_t i = 0; i < d->nsteps; i++) {
        renumber(&sorted[i], place);
    }
    d->steps = sorted;
    return 0;
}

static int no_path(void *arg, const char *path) {
    (void)path;
    *(bool *)arg = true;
    return 0;
}

static int check_env(struct ctx *c, const struct node *n) {
    for (size_t i = 0; n && i < n->n; i++) {
        bool found = false;
        err_clear(c);
        if (substitution_paths(c, n->items[i]->text, no_path, &found) || found) {
            err_clear(c);
            return node_fail(c, n->items[i],
                             "env of the pipeline is fixed text; placeholders stand "
                             "in the env of a step");
        }
    }
    return 0;
}

int definition_parse(struct ctx *c, const char *text, size_t n, struct definition **out) {
    struct node *root = NULL;
    struct definition *d = ARENA_NEW(c->arena, struct definition);
    struct definition_reader r = {.c = c, .d = d};
    const struct node *v;
    *out = NULL;
    int rc = yaml_parse(c, text, n, &root);
    rc = rc ? rc : keys_check(c, root, &keys_pipeline);
#define READ(key, call) rc = rc || !(v = node_get(root, key)) ? rc : (call)
    READ("name", read_text(c, v, "name", &d->name));
    READ("name", read_name(c, v, d->name, "pipeline"));
    d->experiment = d->name;
    d->track = true;
    READ("description", read_text(c, v, "description", &d->description));
    READ("experiment", read_text(c, v, "experiment", &d->experiment));
    READ("params", read_params(c, v, d));
    READ("env", read_env(c, v, &d->env));
    READ("env", check_env(c, v));
    READ("files", read_strings(c, v, "files", &d->files));
    READ("max_parallel", read_int(c, v, "max_parallel", 0, 1024, &d->max_parallel));
    READ("track", read_bool(c, v, "track", &d->track));
    READ("steps", name_steps(&r, v));
#undef READ
    for (size_t i = 0; rc == 0 && i < d->nsteps; i++) {
        rc = step_read(&r, d->steps[i].name, r.nodes[i], &d->steps[i]);
    }
    for (size_t i = 0; rc == 0 && i < d->nsteps; i++) {
        rc = check_step(&r, &d->steps[i]);
    }
    rc = rc ? rc : order_steps(&r);
    *out = rc ? NULL : d;
    return rc;
}
