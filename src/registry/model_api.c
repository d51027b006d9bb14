/* SPDX-License-Identifier: Apache-2.0 */
/* Model doors: registered models. */
#include "model.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/core/page.h"
#include "registry_api.h"
#include "search.h"
#include "version.h"
#include "wire.h"

#define SEARCH_DEFAULT 100
#define SEARCH_MAX 1000

struct model_out {
    struct model_wire *registered_model;
};
SHAPE(shape_model_out, "RegisteredModelAnswer", struct model_out,
      FIELD_SUB(struct model_out, registered_model, T_OBJ, 0, &shape_registered_model,
                "The model"));

static int answer(struct ctx *c, int rc, const struct model_row *m, void *output) {
    struct model_out *out = output;
    if (rc != 0)
        return rc;
    out->registered_model = ARENA_NEW(c->arena, struct model_wire);
    return show_model(c, m, out->registered_model);
}

struct pairs tag_pairs(struct ctx *c, const struct list *tags) {
    const struct tag_wire *in = tags->items;
    struct pair *items = ARENA_ARRAY(c->arena, struct pair, tags->n + 1);
    for (size_t i = 0; i < tags->n; i++)
        items[i] = (struct pair){in[i].key, in[i].value};
    return (struct pairs){items, tags->n};
}

struct create_in {
    const char *name, *description;
    struct list tags;
};
SHAPE(shape_model_create, "CreateRegisteredModel", struct create_in,
      FIELD(struct create_in, name, T_STR, F_REQUIRED, "Unique name, without '/' and ':'"),
      FIELD_SUB(struct create_in, tags, T_LIST, 0, &shape_registry_tag, "Tags"),
      FIELD(struct create_in, description, T_STR, 0, "Text for people"));

int model_create_door(struct ctx *c, const void *input, void *out) {
    const struct create_in *in = input;
    struct pairs tags = tag_pairs(c, &in->tags);
    struct model_row m;
    return answer(c, model_create(c, in->name, in->description, &tags, &m), &m, out);
}

struct name_in {
    const char *name;
};
SHAPE(shape_model_name, "RegisteredModelName", struct name_in,
      FIELD(struct name_in, name, T_STR, F_REQUIRED, "Name of the model"));
SHAPE(shape_model_name_query, "RegisteredModelNameQuery", struct name_in,
      FIELD(struct name_in, name, T_STR, F_QUERY | F_REQUIRED, "Name of the model"));

int model_get_door(struct ctx *c, const void *input, void *out) {
    struct model_row m;
    return answer(c, model_find(c, ((const struct name_in *)input)->name, OBJECT_READ, &m), &m,
                  out);
}

struct describe_in {
    const char *name, *description;
};
SHAPE(shape_model_describe, "UpdateRegisteredModel", struct describe_in,
      FIELD(struct describe_in, name, T_STR, F_REQUIRED, "Name of the model"),
      FIELD(struct describe_in, description, T_STR, 0, "Text for people; absent clears it"));

int model_update_door(struct ctx *c, const void *input, void *out) {
    const struct describe_in *in = input;
    struct model_row m;
    int rc = registry_check_caller(c, NULL);
    return answer(c, rc ? rc : model_describe(c, in->name, in->description, &m), &m, out);
}

struct rename_in {
    const char *name, *new_name;
};
SHAPE(shape_model_rename, "RenameRegisteredModel", struct rename_in,
      FIELD(struct rename_in, name, T_STR, F_REQUIRED, "Present name"),
      FIELD(struct rename_in, new_name, T_STR, F_REQUIRED, "New name; must be free"));

int model_rename_door(struct ctx *c, const void *input, void *out) {
    const struct rename_in *in = input;
    struct model_row m;
    int rc = registry_check_caller(c, NULL);
    return answer(c, rc ? rc : model_rename(c, in->name, in->new_name, &m), &m, out);
}

int model_delete_door(struct ctx *c, const void *input, void *out) {
    int rc = registry_check_caller(c, NULL);
    (void)out;
    return rc ? rc : model_delete(c, ((const struct name_in *)input)->name);
}

struct search_in {
    const char *filter, *page_token;
    struct opt_i64 max_results;
    struct strs order_by;
};
SHAPE(shape_model_search, "SearchRegisteredModels", struct search_in,
      FIELD(struct search_in, filter, T_STR, F_QUERY, "Filter over name and tags"),
      FIELD(struct search_in, max_results, T_I64, F_QUERY,
            "Models per page, at most 1000; default 100"),
      FIELD(struct search_in, order_by, T_STRS, F_QUERY,
            "name, timestamp or last_updated_timestamp, each with ASC or DESC"),
      FIELD(struct search_in, page_token, T_STR, F_QUERY, "next_page_token of the page before"));

struct search_out {
    struct list registered_models;
    const char *next_page_token;
};
SHAPE(shape_model_search_out, "RegisteredModels", struct search_out,
      FIELD_SUB(struct search_out, registered_models, T_LIST, 0, &shape_registered_model,
                "Models of this page"),
      FIELD(struct search_out, next_page_token, T_STR, 0, "Absent on the last page"));

int model_search_door(struct ctx *c, const void *input, void *output) {
    const struct search_in *in = input;
    struct search_out *out = output;
    int64_t most = in->max_results.set ? in->max_results.v : SEARCH_DEFAULT;
    struct search s = {.filter = in->filter, .order_by = in->order_by};
    struct model_rows found = {0};
    if (most < 0 || most > SEARCH_MAX)
        return fail_field(c, ERR_INVALID, "max_results",
                          "Invalid value %lld for parameter 'max_results' supplied:  Hint: Value "
                          "was of type 'str'. See the API docs for more information about request "
                          "parameters.",
                          (long long)most);
    s.limit = most + 1;
    int rc = page_offset(c, in->page_token, &s.offset);
    if (rc == 0)
        rc = models_search(c, &s, &found);
    if (rc != 0 || most == 0)
        return rc;
    if ((int64_t)found.n > most) {
        found.n = (size_t)most;
        out->next_page_token = page_token(c, s.offset + most);
    }
    struct model_wire *items = ARENA_ARRAY(c->arena, struct model_wire, found.n + 1);
    rc = show_models(c, found.items, found.n, items);
    out->registered_models = (struct list){items, found.n};
    return rc;
}

struct latest_in {
    const char *name;
    struct strs stages;
};
SHAPE(shape_model_latest, "GetLatestVersions", struct latest_in,
      FIELD(struct latest_in, name, T_STR, F_REQUIRED, "Name of the model"),
      FIELD(struct latest_in, stages, T_STRS, 0, "Stages; all when none is named"));
SHAPE(shape_model_latest_query, "GetLatestVersionsQuery", struct latest_in,
      FIELD(struct latest_in, name, T_STR, F_QUERY | F_REQUIRED, "Name of the model"),
      FIELD(struct latest_in, stages, T_STRS, F_QUERY, "Stages; all when none is named"));
SHAPE(shape_versions_out, "ModelVersions", struct versions_out,
      FIELD_SUB(struct versions_out, model_versions, T_LIST, 0, &shape_model_version,
                "Newest version of each stage"));

int model_latest_door(struct ctx *c, const void *input, void *output) {
    const struct latest_in *in = input;
    struct versions_out *out = output;
    struct version_rows found = {0};
    struct model_row m;
    int rc = model_find(c, in->name, OBJECT_READ, &m);
    if (rc == 0)
        rc = versions_latest(c, &m, &in->stages, &found);
    return rc == 0 ? show_versions(c, &found, &out->model_versions) : rc;
}

struct tag_in {
    const char *name, *key, *value;
};
SHAPE(shape_model_tag, "SetRegisteredModelTag", struct tag_in,
      FIELD(struct tag_in, name, T_STR, F_REQUIRED, "Name of the model"),
      FIELD(struct tag_in, key, T_STR, F_REQUIRED, "Name of the tag"),
      FIELD(struct tag_in, value, T_STR, 0, "Text of the tag"));
SHAPE(shape_model_tag_key, "DeleteRegisteredModelTag", struct tag_in,
      FIELD(struct tag_in, name, T_STR, F_REQUIRED, "Name of the model"),
      FIELD(struct tag_in, key, T_STR, F_REQUIRED, "Name of the tag"));

int model_set_tag_door(struct ctx *c, const void *input, void *out) {
    const struct tag_in *in = input;
    int rc = registry_check_caller(c, NULL);
    (void)out;
    return rc ? rc : model_set_tag(c, in->name, in->key, in->value);
}

int model_delete_tag_door(struct ctx *c, const void *input, void *out) {
    const struct tag_in *in = input;
    int rc = registry_check_caller(c, NULL);
    (void)out;
    return rc ? rc : model_delete_tag(c, in->name, in->key);
}
