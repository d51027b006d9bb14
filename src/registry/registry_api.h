/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_REGISTRY_PRIVATE_REGISTRY_API_H
#define QUERN_REGISTRY_PRIVATE_REGISTRY_API_H
/* Registry api: the doors' handlers and shapes, gathered for the one route list. */
#include "quern/http/route.h"

/* model_api.c */
extern const struct shape shape_model_create, shape_model_name, shape_model_name_query,
    shape_model_describe, shape_model_rename, shape_model_search, shape_model_search_out,
    shape_model_out, shape_model_latest, shape_model_latest_query, shape_versions_out,
    shape_model_tag, shape_model_tag_key;
route_fn model_create_door, model_get_door, model_update_door, model_rename_door, model_delete_door,
    model_search_door, model_latest_door, model_set_tag_door, model_delete_tag_door;
/* alias_api.c */
extern const struct shape shape_alias_set, shape_alias_name, shape_alias_query;
route_fn alias_set_door, alias_delete_door, alias_get_door;
/* version_api.c */
extern const struct shape shape_version_create, shape_version_out, shape_version_key,
    shape_version_query, shape_version_describe, shape_version_stage, shape_version_search,
    shape_version_search_out, shape_version_uri, shape_version_tag, shape_version_tag_key,
    shape_version_file;
route_fn version_create_door, version_get_door, version_update_door, version_delete_door,
    version_stage_door, version_search_door, version_uri_door, version_set_tag_door,
    version_delete_tag_door, version_file_door;

struct version_out {
    struct version_wire *model_version;
};
struct versions_out {
    struct list model_versions;
};

struct ctx;
struct version_row;
/* Fills out->model_version. */
int answer_version(struct ctx *c, const struct version_row *v, void *out);
struct pairs tag_pairs(struct ctx *c, const struct list *tags); /* of struct tag_wire */

#endif
