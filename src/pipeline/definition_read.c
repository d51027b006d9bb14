/* SPDX-License-Identifier: Apache-2.0 */
/* Reading single values of a definition, with errors that say where and what would be right. */
#include <ctype.h>
#include <jansson.h>
#include <string.h>

#include "definition.h"
#include "json_value.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "yaml_tree.h"

#define LIST_TEXT_MAX ((size_t)1 << 20) /* of a parameter */

int read_text(struct ctx *c, const struct node *n, const char *what, const char **out) {
    if (n->kind != NODE_SCALAR || node_is_null(n)) {
        return node_fail(c, n, "%s must be text", what);
    }
    *out = n->text;
    return 0;
}

int read_strings(struct ctx *c, const struct node *n, const char *what, struct strs *out) {
    bool one = n->kind == NODE_SCALAR && !node_is_null(n);
    if (!one && n->kind != NODE_SEQ) {
        return node_fail(c, n, "%s must be a list of texts", what);
    }
    out->n = one ? 1 : n->n;
    out->items = ARENA_ARRAY(c->arena, const char *, out->n + 1);
    for (size_t i = 0; i < out->n; i++) {
        int rc = read_text(c, one ? n : n->items[i], what, &out->items[i]);
        if (rc) {
            return rc;
        }
    }
    return 0;
}

int read_bool(struct ctx *c, const struct node *n, const char *what, bool *out) {
    if (n->kind != NODE_SCALAR || !n->plain ||
        (!str_ieq(n->text, "true") && !str_ieq(n->text, "false"))) {
        return node_fail(c, n, "%s must be true or false", what);
    }
    *out = str_ieq(n->text, "true");
    return 0;
}

int read_int(struct ctx *c, const struct node *n, const char *what, int64_t lo, int64_t hi,
             int64_t *out) {
    if (n->kind != NODE_SCALAR || !str_to_i64(n->text, out) || *out < lo || *out > hi) {
        return node_fail(c, n, "%s must be a whole number from %lld to %lld", what, (long long)lo,
                         (long long)hi);
    }
    return 0;
}

int read_number(struct ctx *c, const struct node *n, const char *what, double *out) {
    return n->kind == NODE_SCALAR && str_to_f64(n->text, out)
               ? 0
               : node_fail(c, n, "%s must be a number", what);
}

int read_ms(struct ctx *c, const struct node *n, const char *what, int64_t *out) {
    return n->kind == NODE_SCALAR && str_to_ms(n->text, out) && *out > 0
               ? 0
               : node_fail(c, n, "%s must be a time with its unit: 250ms, 90s, 10m, 2h or 1d",
                           what);
}

int read_bytes(struct ctx *c, const struct node *n, const char *what, int64_t *out) {
    uint64_t bytes;
    if (n->kind != NODE_SCALAR || !str_to_bytes(n->text, &bytes) || bytes < 1 ||
        bytes > (uint64_t)1 << 50) {
        return node_fail(c, n, "%s must be a size: 512M or 4G", what);
    }
    *out = (int64_t)bytes;
    return 0;
}

int read_env(struct ctx *c, const struct node *n, struct pairs *out) {
    if (n->kind != NODE_MAP) {
        return node_fail(c, n, "env must be a mapping (NAME: value)");
    }
    out->items = ARENA_ARRAY(c->arena, struct pair, n->n + 1);
    for (size_t i = 0; i < n->n; i++) {
        const char *name = n->keys[i]->text;
        size_t good =
            strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");
        if (!*name || name[good] || isdigit((unsigned char)*name)) {
            return node_fail(c, n->keys[i], "\"%s\" is no name of an environment variable", name);
        }
        if (str_starts(name, "QUERN_") || str_starts(name, "LD_") ||
            str_eq(name, "MLFLOW_TRACKING_TOKEN") || str_eq(name, "MLFLOW_RUN_ID")) {
            return node_fail(c, n->keys[i], "%s is set by the daemon and cannot be given", name);
        }
        out->items[i].key = name;
        int rc = read_text(c, n->items[i], "a value of env", &out->items[i].value);
        if (rc) {
            return rc;
        }
    }
    out->n = n->n;
    return 0;
}

int read_name(struct ctx *c, const struct node *at, const char *name, const char *what) {
    size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");
    if (!isalpha((unsigned char)*name) || name[n] || n > 64) {
        return node_fail(c, at,
                         "\"%s\" is no name of a %s: a letter, then at most 63 letters, digits, _ "
                         "or -",
                         name, what);
    }
    return 0;
}

static const char *step_at(const void *list, size_t i) {
    return ((const struct definition *)list)->steps[i].name;
}

int read_step_name(struct definition_reader *r, const struct node *n, const char *what,
                   size_t *out) {
    const char *name;
    int rc = read_text(r->c, n, what, &name);
    if (rc) {
        return rc;
    }
    const struct step *s = definition_step(r->d, name);
    if (s) {
        *out = (size_t)(s - r->d->steps);
        return 0;
    }
    const char *near = nearest(name, step_at, r->d, r->d->nsteps);
    return near ? node_fail(r->c, n, "there is no step \"%s\"; did you mean \"%s\"?", name, near)
                : node_fail(r->c, n, "there is no step \"%s\"", name);
}

const struct step *definition_step(const struct definition *d, const char *name) {
    for (size_t i = 0; i < d->nsteps; i++) {
        if (str_eq(d->steps[i].name, name)) {
            return &d->steps[i];
        }
    }
    return NULL;
}

size_t path_step(const struct definition *d, const char *path) {
    if (!str_starts(path, "steps.")) {
        return NO_STEP;
    }
    const char *name = path + 6;
    size_t n = strcspn(name, ".[");
    for (size_t i = 0; i < d->nsteps; i++) {
        if (strlen(d->steps[i].name) == n && strncmp(d->steps[i].name, name, n) == 0) {
            return i;
        }
    }
    return NO_STEP;
}

int need(struct ctx *c, struct step *s, size_t step) {
    size_t at = 0;
    while (at < s->nneeds && s->needs[at] < step) {
        at++;
    }
    if (at < s->nneeds && s->needs[at] == step) {
        return 0;
    }
    size_t *wider = ARENA_ARRAY(c->arena, size_t, s->nneeds + 1);
    for (size_t i = 0; i < at; i++) {
        wider[i] = s->needs[i];
    }
    wider[at] = step;
    for (size_t i = at; i < s->nneeds; i++) {
        wider[i + 1] = s->needs[i];
    }
    s->needs = wider;
    s->nneeds++;
    return 0;
}

static const char *const type_names[] = {"string", "int", "float", "bool", "list"};

static int typed(struct ctx *c, const struct param *p, json_t *v, json_t **out) {
    const char *text = json_is_string(v) ? json_string_value(v) : NULL;
    int64_t whole;
    double number;
    json_error_t error;
    *out = v;
    switch (p->type) {
    case PARAM_STRING:
        if (text) {
            return 0;
        }
        if (json_is_number(v) || json_is_boolean(v)) {
            *out = json_on_arena(c, json_string(json_argument(c, v)));
            return 0;
        }
        break;
    case PARAM_INT:
        if (json_is_integer(v)) {
            return 0;
        }
        if (text && str_to_i64(text, &whole)) {
            *out = json_on_arena(c, json_integer(whole));
            return 0;
        }
        break;
    case PARAM_FLOAT:
        if (json_is_number(v) || (text && str_to_f64(text, &number))) {
            *out = json_on_arena(c, json_real(text ? number : json_number_value(v)));
            return 0;
        }
        break;
    case PARAM_BOOL:
        if (json_is_boolean(v)) {
            return 0;
        }
        if (text && (str_ieq(text, "true") || str_ieq(text, "false"))) {
            *out = json_boolean(str_ieq(text, "true"));
            return 0;
        }
        break;
    case PARAM_LIST:
        if (json_is_array(v)) {
            return 0;
        }
        if (text && strlen(text) <= LIST_TEXT_MAX &&
            (*out = json_loads(text, JSON_REJECT_DUPLICATES, &error)) != NULL) {
            json_on_arena(c, *out);
            if (json_is_array(*out)) {
                return 0;
            }
        }
        break;
    }
    return fail_field(c, ERR_INVALID, arena_printf(c->arena, "params.%s", p->name),
                      "parameter %s wants %s %s, not %s", p->name,
                      p->type == PARAM_INT ? "an" : "a", type_names[p->type], json_canonical(c, v));
}

int definition_params(struct ctx *c, const struct definition *d, struct json_t *given,
                      struct json_t **out) {
    json_t *all = json_on_arena(c, json_object()), *value;
    *out = all;
    if (given && !json_is_null(given) && !json_is_object(given)) {
        return fail_field(c, ERR_INVALID, "params", "params must be an object of name to value");
    }
    const char *key;
    json_object_foreach(given, key, value) {
        bool known = false;
        for (size_t i = 0; i < d->nparams && !known; i++) {
            known = str_eq(d->params[i].name, key);
        }
        if (!known) {
            return fail_field(c, ERR_INVALID, arena_printf(c->arena, "params.%s", key),
                              "pipeline %s has no parameter %s", d->name, key);
        }
    }
    for (size_t i = 0; i < d->nparams; i++) {
        const struct param *p = &d->params[i];
        json_t *v = json_object_get(given, p->name);
        v = v ? v : p->def;
        if (!v) {
            return fail_field(c, ERR_INVALID, arena_printf(c->arena, "params.%s", p->name),
                              "parameter %s has no default and must be given", p->name);
        }
        int rc = typed(c, p, v, &v);
        if (rc) {
            return rc;
        }
        json_object_set(all, p->name, v);
    }
    return 0;
}

int step_items(struct ctx *c, const struct step *s, struct json_t *params, struct json_t **out) {
    *out = s->each ? s->each : json_object_get(params, s->each_param);
    if (!json_is_array(*out)) {
        return fail_field(c, ERR_INVALID, "params", "foreach of step %s wants a list", s->name);
    }
    return 0;
}
