/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include "model.h"
#include "model_store.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "version.h"
#include "version_store.h"

SHAPE(shape_registry_tag, "RegistryTag", struct tag_wire,
      FIELD(struct tag_wire, key, T_STR, F_REQUIRED, "Name of the tag"),
      FIELD(struct tag_wire, value, T_STR, 0, "Text of the tag"));

SHAPE(shape_alias, "ModelAlias", struct alias_wire,
      FIELD(struct alias_wire, alias, T_STR, 0, "Name of the alias"),
      FIELD(struct alias_wire, version, T_STR, 0, "Number of the version it names"));

SHAPE(shape_model_version, "ModelVersion", struct version_wire,
      FIELD(struct version_wire, name, T_STR, 0, "Name of the model"),
      FIELD(struct version_wire, version, T_STR, 0, "Number of the version, as text"),
      FIELD(struct version_wire, creation_timestamp, T_I64, 0, "Milliseconds since the epoch"),
      FIELD(struct version_wire, last_updated_timestamp, T_I64, 0, "Milliseconds since the epoch"),
      FIELD(struct version_wire, current_stage, T_STR, 0, "None, Staging, Production or Archived"),
      FIELD(struct version_wire, description, T_STR, 0, "Text for people"),
      FIELD(struct version_wire, source, T_STR, 0, "URI as given at creation"),
      FIELD(struct version_wire, run_id, T_STR, 0, "Run that made it, or empty"),
      FIELD(struct version_wire, status, T_STR, 0, "READY"),
      FIELD(struct version_wire, run_link, T_STR, 0, "Link to the run, or empty"),
      FIELD_SUB(struct version_wire, tags, T_LIST, 0, &shape_registry_tag, "Tags"),
      FIELD(struct version_wire, aliases, T_STRS, 0, "Aliases that name this version"));

SHAPE(shape_registered_model, "RegisteredModel", struct model_wire,
      FIELD(struct model_wire, name, T_STR, 0, "Unique name"),
      FIELD(struct model_wire, creation_timestamp, T_I64, 0, "Milliseconds since the epoch"),
      FIELD(struct model_wire, last_updated_timestamp, T_I64, 0, "Milliseconds since the epoch"),
      FIELD(struct model_wire, description, T_STR, 0, "Text for people"),
      FIELD_SUB(struct model_wire, latest_versions, T_LIST, 0, &shape_model_version,
                "Newest version of each stage that has any"),
      FIELD_SUB(struct model_wire, tags, T_LIST, 0, &shape_registry_tag, "Tags"),
      FIELD_SUB(struct model_wire, aliases, T_LIST, 0, &shape_alias, "Aliases"));

static const char *number_text(struct ctx *c, int64_t v) {
    return arena_printf(c->arena, "%lld", (long long)v);
}

static struct list show_tags(struct ctx *c, const struct pairs *tags) {
    struct tag_wire *items = ARENA_ARRAY(c->arena, struct tag_wire, tags->n + 1);
    for (size_t i = 0; i < tags->n; i++)
        items[i] = (struct tag_wire){tags->items[i].key, tags->items[i].value};
    return (struct list){items, tags->n};
}

static void show_facts(struct ctx *c, const struct version_row *v, struct version_wire *out) {
    *out = (struct version_wire){.name = v->name,
                                 .version = number_text(c, v->version),
                                 .creation_timestamp = SET_I64(v->created_ms),
                                 .last_updated_timestamp = SET_I64(v->updated_ms),
                                 .current_stage = v->stage,
                                 .description = v->description,
                                 .source = v->source,
                                 .run_id = v->run_id,
                                 .status = v->status,
                                 .run_link = v->run_link};
}

/* Tags and aliases of all the versions, by two queries however many there are. */
int show_versions(struct ctx *c, const struct version_rows *rows, struct list *out) {
    struct version_wire *items = ARENA_ARRAY(c->arena, struct version_wire, rows->n + 1);
    struct pairs *tags = ARENA_ARRAY(c->arena, struct pairs, rows->n + 1);
    int rc = rows->n ? version_store_tags_of(c, rows, tags) : 0;
    for (size_t i = 0; rc == 0 && i < rows->n; i++) {
        show_facts(c, &rows->items[i], &items[i]);
        items[i].tags = show_tags(c, &tags[i]);
    }
    struct strs *aliases = ARENA_ARRAY(c->arena, struct strs, rows->n + 1);
    if (rc == 0 && rows->n)
        rc = version_store_aliases_of(c, rows, aliases);
    for (size_t i = 0; rc == 0 && i < rows->n; i++)
        items[i].aliases = aliases[i];
    *out = (struct list){items, rows->n};
    return rc;
}

int show_version(struct ctx *c, const struct version_row *v, struct version_wire *out) {
    struct version_row one = *v;
    struct list shown;
    int rc = show_versions(c, &(struct version_rows){.items = &one, .n = 1, .cap = 1}, &shown);
    if (rc == 0)
        *out = *(struct version_wire *)shown.items;
    return rc;
}

static void show_aliases(struct ctx *c, const struct alias_rows *aliases, struct list *out) {
    struct alias_wire *items = ARENA_ARRAY(c->arena, struct alias_wire, aliases->n + 1);
    for (size_t i = 0; i < aliases->n; i++)
        items[i] =
            (struct alias_wire){aliases->items[i].alias, number_text(c, aliases->items[i].version)};
    *out = (struct list){items, aliases->n};
}

int show_models(struct ctx *c, const struct model_row *rows, size_t n, struct model_wire *out) {
    struct pairs *tags = ARENA_ARRAY(c->arena, struct pairs, n + 1);
    struct alias_rows *aliases = ARENA_ARRAY(c->arena, struct alias_rows, n + 1);
    struct version_rows latest = {0};
    struct list shown = {0};
    if (n == 0)
        return 0;
    const char *ids = model_store_ids(c, rows, n);
    int rc = model_store_tags_of(c, ids, n, tags);
    if (rc == 0)
        rc = alias_store_list_of(c, ids, n, aliases);
    if (rc == 0)
        rc = version_store_latest_of(c, ids, &latest);
    if (rc == 0)
        rc = show_versions(c, &latest, &shown);
    struct version_wire *versions = shown.items;
    for (size_t i = 0, at = 0; rc == 0 && i < n; i++) {
        size_t first = at;
        while (at < latest.n && latest.items[at].model == rows[i].id)
            at++;
        out[i] = (struct model_wire){
            .name = rows[i].name,
            .creation_timestamp = SET_I64(rows[i].created_ms),
            .last_updated_timestamp = SET_I64(rows[i].updated_ms),
            .description = *rows[i].description ? rows[i].description : NULL,
            .tags = show_tags(c, &tags[i]),
            .latest_versions = {at > first ? &versions[first] : NULL, at - first}};
        show_aliases(c, &aliases[i], &out[i].aliases);
    }
    return rc;
}

int show_model(struct ctx *c, const struct model_row *m, struct model_wire *out) {
    return show_models(c, m, 1, out);
}
