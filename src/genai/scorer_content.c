/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"
#include "scorer.h"

#define FIELD_NAME "serialized_scorer"
#define CONTENT_MAX ((size_t)1 << 20)
#define DEPTH_MAX 64

/* In the order in which messages list them. */
static const char *const destinations[] = {"api_base", "base_url", "custom_llm_provider",
                                           "fallbacks", "model_list"};

static void release(void *tree) {
    json_decref(tree);
}

static bool too_deep(const json_t *v, int left) {
    const char *key;
    json_t *inner;
    size_t i;
    if (!json_is_object(v) && !json_is_array(v))
        return false;
    if (left == 0)
        return true;
    json_object_foreach((json_t *)v, key, inner) {
        if (too_deep(inner, left - 1))
            return true;
    }
    json_array_foreach(v, i, inner) {
        if (too_deep(inner, left - 1))
            return true;
    }
    return false;
}

/* Names among `destinations` that occur as a key, or as the first of a pair, since options are also
 * written as lists of pairs. A bit each. */
static unsigned destinations_in(const json_t *v) {
    const char *key;
    json_t *inner;
    size_t i;
    unsigned found = 0;
    json_object_foreach((json_t *)v, key, inner) {
        for (size_t k = 0; k < ARRAY_LEN(destinations); k++)
            found |= str_eq(key, destinations[k]) ? 1u << k : 0;
        found |= destinations_in(inner);
    }
    json_array_foreach(v, i, inner) {
        const char *first = json_string_value(json_array_get(inner, 0));
        for (size_t k = 0; k < ARRAY_LEN(destinations) && json_array_size(inner) == 2; k++)
            found |= str_eq(first, destinations[k]) ? 1u << k : 0;
        found |= destinations_in(inner);
    }
    return found;
}

static int check_kwargs(struct ctx *c, const json_t *kwargs) {
    if (!kwargs || json_is_null(kwargs))
        return 0;
    if (!json_is_object(kwargs))
        return fail_field(c, ERR_INVALID, FIELD_NAME,
                          "third_party_scorer_data.kwargs must be a JSON object, got %s.",
                          json_python_type(kwargs));
    unsigned found = destinations_in(kwargs);
    const char *names = "";
    for (size_t k = 0; k < ARRAY_LEN(destinations); k++)
        if (found & 1u << k)
            names = arena_printf(c->arena, "%s%s'%s'", names, *names ? ", " : "", destinations[k]);
    if (!found)
        return 0;
    return fail_field(c, ERR_INVALID, FIELD_NAME,
                      "third_party_scorer_data.kwargs must not contain %s: they decide to which "
                      "host the judge's calls go.",
                      names);
}

/* Scorers are nested in others in several ways, so every object is looked at. */
static int check_parts(struct ctx *c, const json_t *v) {
    const json_t *code = json_object_get(v, "call_source");
    const char *key;
    json_t *inner;
    size_t i;
    int rc = 0;
    if (code && !json_is_null(code))
        return fail_field(
            c, ERR_INVALID, FIELD_NAME,
            "Custom scorer registration (using @scorer decorator) is disabled: such a "
            "scorer carries code that would run wherever it is loaded. Keep it with "
            "your own sources, or register a built-in scorer or one made by "
            "make_judge().");
    const json_t *other = json_object_get(v, "third_party_scorer_data");
    if (json_is_object(other))
        rc = check_kwargs(c, json_object_get(other, "kwargs"));
    json_object_foreach((json_t *)v, key, inner) {
        rc = rc ? rc : check_parts(c, inner);
    }
    json_array_foreach(v, i, inner) {
        rc = rc ? rc : check_parts(c, inner);
    }
    return rc;
}

static int check_model(struct ctx *c, const json_t *model) {
    const char *text = json_string_value(model);
    if (!model || json_is_null(model))
        return 0;
    if (!text)
        return fail_field(c, ERR_INVALID, FIELD_NAME, "Scorer model must be a string, got %s.",
                          json_python_type(model));
    if (!text[strspn(text, " \t\r\n\v\f")])
        return fail_field(c, ERR_INVALID, FIELD_NAME,
                          "Scorer model cannot be empty or contain only whitespace.");
    if (str_starts(text, "gateway:/") && text[9 + strspn(text + 9, "/")])
        return fail_field(c, ERR_NOT_FOUND, FIELD_NAME,
                          "GatewayEndpoint not found (name='%s'): this server has no gateway.",
                          text + 9 + strspn(text + 9, "/"));
    return 0;
}

/* The first of these that says something holds the model. */
static int check_scorer(struct ctx *c, const json_t *scorer) {
    static const char *const parts[] = {"instructions_judge_pydantic_data",
                                        "builtin_scorer_pydantic_data",
                                        "memory_augmented_judge_data", "third_party_scorer_data"};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        const json_t *part = json_object_get(scorer, parts[i]);
        if (!part || json_is_null(part) || (json_is_object(part) && !json_object_size(part)))
            continue;
        if (!json_is_object(part))
            return fail_field(c, ERR_INVALID, FIELD_NAME, "%s must be a JSON object, got %s.",
                              parts[i], json_python_type(part));
        return i == 2 ? check_scorer(c, json_object_get(part, "base_judge"))
                      : check_model(c, json_object_get(part, "model"));
    }
    return 0;
}

int scorer_content_check(struct ctx *c, const char *content) {
    json_error_t error;
    if (strlen(content) > CONTENT_MAX)
        return fail_field(c, ERR_TOO_LARGE, FIELD_NAME, "A scorer may have 1 MiB at most.");
    json_t *tree = json_loads(content, JSON_DECODE_ANY, &error);
    if (!tree)
        return fail_field(c, ERR_INVALID, FIELD_NAME, FIELD_NAME " must be valid JSON: %s",
                          error.text);
    arena_defer(c->arena, release, tree);
    if (!json_is_object(tree))
        return fail_field(c, ERR_INVALID, FIELD_NAME, FIELD_NAME " must be a JSON object, got %s.",
                          json_python_type(tree));
    if (too_deep(tree, DEPTH_MAX))
        return fail_field(c, ERR_INVALID, FIELD_NAME, FIELD_NAME " is nested more than %d deep.",
                          DEPTH_MAX);
    int rc = check_parts(c, tree);
    return rc ? rc : check_scorer(c, tree);
}
