/* SPDX-License-Identifier: Apache-2.0 */
#include "input.h"

#include <jansson.h>
#include <stdlib.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

static void drop(void *tree) {
    json_decref(tree);
}

static const struct gql_variable *declared(const struct gql_input *in, const char *name) {
    for (const struct gql_variable *v = in->op->variables; v; v = v->next)
        if (str_eq(v->name, name))
            return v;
    return NULL;
}

const struct gql_value *gql_argument(const struct gql_value *first, const char *name) {
    for (const struct gql_value *v = first; v; v = v->next)
        if (str_eq(v->name, name))
            return v;
    return NULL;
}

int gql_input_check(const struct gql_input *in) {
    for (const struct gql_variable *v = in->op->variables; v; v = v->next) {
        json_t *given = json_object_get(in->variables, v->name);
        if (v->required && !v->fallback && (!given || json_is_null(given)))
            return fail_field(in->c, ERR_INVALID, "variables",
                              "Variable '$%s' of required type '%s' was not provided.", v->name,
                              v->type);
    }
    return 0;
}

/* Owned by the caller; NULL for an absent variable, with rc 0. */
static int build(const struct gql_input *in, const struct gql_value *v, json_t **out);

static int build_items(const struct gql_input *in, const struct gql_value *v, json_t *into) {
    int rc = 0;
    for (const struct gql_value *item = v->first; item && rc == 0; item = item->next) {
        json_t *tree = NULL;
        rc = build(in, item, &tree);
        if (rc == 0 && json_is_object(into) && tree)
            json_object_set_new(into, item->name, tree);
        else if (rc == 0 && json_is_array(into))
            json_array_append_new(into, tree ? tree : json_null());
    }
    return rc;
}

static int build_variable(const struct gql_input *in, const char *name, json_t **out) {
    const struct gql_variable *v = declared(in, name);
    if (!v)
        return fail_field(in->c, ERR_INVALID, "query", "Variable '$%s' is not defined.", name);
    json_t *given = json_object_get(in->variables, name);
    if (given) {
        *out = json_incref(given);
        return 0;
    }
    /* A default cannot hold variables: they are not declared yet where it stands. */
    struct gql_definition bare = {0};
    struct gql_input alone = {.c = in->c, .op = &bare};
    return v->fallback ? build(&alone, v->fallback, out) : 0;
}

static int build(const struct gql_input *in, const struct gql_value *v, json_t **out) {
    int64_t whole = 0;
    double real = 0;
    int rc = 0;
    *out = NULL;
    switch (v->kind) {
    case GQL_NULL:
        *out = json_null();
        break;
    case GQL_BOOL:
        *out = json_boolean(str_eq(v->text, "true"));
        break;
    case GQL_INT:
        if (!str_to_i64(v->text, &whole))
            return fail_field(in->c, ERR_INVALID, "query", "The number %s is too large.", v->text);
        *out = json_integer(whole);
        break;
    case GQL_FLOAT:
        *out = str_to_f64(v->text, &real) ? json_real(real) : NULL;
        if (!*out)
            return fail_field(in->c, ERR_INVALID, "query", "The number %s is too large.", v->text);
        break;
    case GQL_STRING:
    case GQL_ENUM:
        *out = json_string(v->text);
        if (!*out)
            return fail_field(in->c, ERR_INVALID, "query", "A text is not valid UTF-8.");
        break;
    case GQL_VARIABLE:
        rc = build_variable(in, v->text, out);
        break;
    case GQL_LIST:
    case GQL_OBJECT:
        *out = v->kind == GQL_LIST ? json_array() : json_object();
        rc = build_items(in, v, *out);
        break;
    }
    if (rc != 0) {
        json_decref(*out);
        *out = NULL;
    }
    return rc;
}

int gql_input_tree(const struct gql_input *in, const struct gql_value *v, struct json_t **out) {
    int rc = build(in, v, out);
    if (rc == 0 && *out)
        arena_defer(in->c->arena, drop, *out);
    return rc;
}

int gql_input_wanted(const struct gql_input *in, const struct gql_directive *d, bool *wanted) {
    int rc = 0;
    for (*wanted = true; d && rc == 0; d = d->next) {
        bool skip = str_eq(d->name, "skip");
        json_t *tree = NULL;
        if (!skip && !str_eq(d->name, "include"))
            continue;
        const struct gql_value *v = gql_argument(d->arguments, "if");
        rc = v ? gql_input_tree(in, v, &tree) : 0;
        if (rc == 0 && !json_is_boolean(tree))
            rc = fail_field(in->c, ERR_INVALID, "query",
                            "Directive '@%s' needs the argument 'if' with true or false.", d->name);
        if (rc == 0 && json_is_true(tree) == skip)
            *wanted = false;
    }
    return rc;
}
