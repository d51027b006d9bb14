/* SPDX-License-Identifier: Apache-2.0 */
#include "logged_model_token.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"

#define SHOWN 500 /* bytes of what differs, in an error */

static const struct {
    const char *member, *what, *wanted;
} parts[] = {
    {"experiment_ids", "Experiment IDs in the page token do", "experiment IDs"},
    {"filter_string", "Filter string in the page token does", "filter string"},
    {"order_by", "Order by in the page token does", "order by"},
};

static json_t *text_or_null(const char *s) {
    return s && *s ? json_string(s) : json_null();
}

/* A new tree: the search as the token says it. */
static json_t *query_of(const struct logged_model_search *in) {
    json_t *ids = json_array(), *orders = in->order_by.n ? json_array() : json_null();
    const struct model_order *o = in->order_by.items;
    for (size_t i = 0; i < in->experiment_ids.n; i++)
        json_array_append_new(ids, json_string(in->experiment_ids.items[i]));
    for (size_t i = 0; i < in->order_by.n; i++)
        json_array_append_new(orders,
                              json_pack("{s:s, s:b, s:o, s:o}", "field_name", o[i].field_name,
                                        "ascending", !o[i].ascending.set || o[i].ascending.v,
                                        "dataset_name", text_or_null(o[i].dataset_name),
                                        "dataset_digest", text_or_null(o[i].dataset_digest)));
    return json_pack("{s:o, s:o, s:o}", "experiment_ids", ids, "filter_string",
                     text_or_null(in->filter), "order_by", orders);
}

static const char *shown(struct ctx *c, const json_t *tree) {
    char *text = json_dumps(tree, JSON_ENCODE_ANY);
    if (!text)
        return "nothing";
    size_t n = strlen(text);
    const char *out = arena_strndup(c->arena, text, n > SHOWN ? utf8_prefix(text, SHOWN / 4) : n);
    free(text);
    return out;
}

static int compare(struct ctx *c, const json_t *token, const json_t *query) {
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        const json_t *found = json_object_get(token, parts[i].member);
        const json_t *wanted = json_object_get(query, parts[i].member);
        if (!json_equal(found, wanted))
            return fail_field(c, ERR_INVALID, "page_token",
                              "%s not match the requested %s. Expected: %s. Found: %s",
                              parts[i].what, parts[i].wanted, shown(c, wanted), shown(c, found));
    }
    return 0;
}

int logged_model_token_read(struct ctx *c, const struct logged_model_search *in, int64_t *offset) {
    json_t *token = NULL;
    size_t n = 0;
    *offset = 0;
    if (!in->page_token || !*in->page_token)
        return 0;
    const char *text = (const char *)base64_decode(c->arena, in->page_token, &n);
    if (!text || memchr(text, 0, n) || !utf8_valid(text, n))
        return fail_field(c, ERR_INVALID, "page_token",
                          "Invalid page token, could not base64-decode");
    int rc = json_parse(c, DIALECT_PROBLEM, text, n, &token);
    const json_t *at = json_object_get(token, "offset");
    if (rc || !json_is_integer(at) || json_integer_value(at) <= 0)
        return fail_field(c, ERR_INVALID, "page_token", "Invalid page token: %.200s", text);
    json_t *query = query_of(in);
    rc = compare(c, token, query);
    json_decref(query);
    *offset = json_integer_value(at);
    return rc;
}

char *logged_model_token(struct ctx *c, const struct logged_model_search *in, int64_t offset) {
    json_t *query = query_of(in);
    json_object_set_new(query, "offset", json_integer(offset));
    char *text = json_dumps(query, 0);
    char *token = base64_encode(c->arena, text ? text : "", text ? strlen(text) : 0);
    free(text);
    json_decref(query);
    return token;
}
