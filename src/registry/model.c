/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

#include "model_store.h"
#include "name.h"
#include "news.h"
#include "prompt.h"
#include "quern/access/access.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/ref.h"
#include "quern/json/json_out.h"
#include "quern/lane/lane.h"
#include "quern/lineage/lineage.h"
#include "quern/registry/registry.h"
#include "version.h"
#include "version_store.h"

int registry_check_caller(struct ctx *c, const char *run_id) {
    if (!c->who.run_id)
        return 0;
    if (!run_id || !*run_id)
        return fail(c, ERR_FORBIDDEN,
                    "A run's token registers versions of its own run and changes nothing else in "
                    "the registry.");
    return access_check_run(c, run_id);
}

static int taken(struct ctx *c, const struct model_row *old, bool new_is_prompt) {
    bool old_is_prompt = false;
    int rc = model_store_has_tag(c, old->id, PROMPT_TAG, "true", &old_is_prompt);
    if (rc != 0)
        return rc;
    if (old_is_prompt != new_is_prompt)
        return fail_field(c, ERR_EXISTS, "name",
                          "%s with the name '%s' already exists, and a model and a prompt cannot "
                          "share a name.",
                          old_is_prompt ? "A prompt" : "A registered model", old->name);
    return fail_field(c, ERR_EXISTS, "name", "%s (name=%s) already exists.",
                      old_is_prompt ? "Prompt" : "Registered Model", old->name);
}

int model_create(struct ctx *c, const char *name, const char *description, const struct pairs *tags,
                 struct model_row *out) {
    struct model_row old;
    bool found = false, prompt = false;
    int rc = access_object_make(c, OBJECT_MODEL);
    if (rc == 0)
        rc = model_name_check(c, name);
    for (size_t i = 0; rc == 0 && i < tags->n; i++) {
        rc = tag_check(c, tags->items[i].key, tags->items[i].value);
        prompt = prompt ||
                 (str_eq(tags->items[i].key, PROMPT_TAG) && str_eq(tags->items[i].value, "true"));
    }
    if (rc == 0)
        rc = model_store_get(c, name, &old, &found);
    if (rc != 0)
        return rc;
    if (found)
        return taken(c, &old, prompt);
    *out = (struct model_row){.name = name,
                              .description = description ? description : "",
                              .created_ms = c->now_ms,
                              .updated_ms = c->now_ms};
    rc = model_store_insert(c, out);
    if (rc == 0)
        rc = access_object_created(c, OBJECT_MODEL, out->id);
    for (size_t i = 0; rc == 0 && i < tags->n; i++)
        rc = model_store_set_tag(c, out->id, tags->items[i].key,
                                 tags->items[i].value ? tags->items[i].value : "");
    if (rc == 0)
        rc = lineage_node(c, ref_make(c, "model", name), name, NULL);
    return rc == 0 ? news_model_created(c, out, tags, prompt) : rc;
}

int model_find(struct ctx *c, const char *name, enum object_need need, struct model_row *out) {
    bool found = false;
    int rc = model_store_get(c, name, out, &found);
    if (rc == 0 && !found)
        return fail_field(c, ERR_NOT_FOUND, "name", "Registered Model with name=%s not found",
                          name);
    return rc == 0 ? access_object(c, OBJECT_MODEL, out->id, need) : rc;
}

int model_describe(struct ctx *c, const char *name, const char *description,
                   struct model_row *out) {
    int rc = model_find(c, name, OBJECT_EDIT, out);
    if (rc != 0)
        return rc;
    out->description = description ? description : "";
    out->updated_ms = c->now_ms;
    return model_store_update(c, out);
}

static int rename_versions(struct ctx *c, const struct model_row *m, const char *to) {
    struct version_rows all = {0};
    int rc = version_store_all(c, m->id, &all);
    for (size_t i = 0; rc == 0 && i < all.n; i++) {
        long long v = (long long)all.items[i].version;
        rc = lineage_rename(c, arena_printf(c->arena, "model_version:%s/%lld", m->name, v),
                            arena_printf(c->arena, "model_version:%s/%lld", to, v));
    }
    return rc == 0 ? lineage_rename(c, ref_make(c, "model", m->name), ref_make(c, "model", to))
                   : rc;
}

int model_rename(struct ctx *c, const char *name, const char *to, struct model_row *out) {
    struct model_row other;
    bool found = false, prompt = false;
    int rc = model_find(c, name, OBJECT_EDIT, out);
    if (rc == 0)
        rc = model_name_check(c, to);
    if (rc == 0 && !str_eq(name, to))
        rc = model_store_get(c, to, &other, &found);
    if (rc == 0 && found &&
        (rc = model_store_has_tag(c, out->id, PROMPT_TAG, "true", &prompt)) == 0)
        rc = taken(c, &other, prompt);
    if (rc == 0 && !str_eq(name, to))
        rc = rename_versions(c, out, to);
    if (rc != 0)
        return rc;
    out->name = to;
    out->updated_ms = c->now_ms;
    return model_store_update(c, out);
}

int model_delete(struct ctx *c, const char *name) {
    struct model_row m;
    struct alias_rows aliases;
    int rc = model_find(c, name, OBJECT_DELETE, &m);
    if (rc == 0)
        rc = registry_tell_deleting(c, name, 0);
    if (rc == 0)
        rc = alias_store_list(c, m.id, 0, &aliases);
    for (size_t i = 0; rc == 0 && i < aliases.n; i++)
        rc = alias_moved(c, name, aliases.items[i].alias, aliases.items[i].version, 0);
    return rc == 0 ? model_store_delete(c, m.id) : rc;
}

int model_set_tag(struct ctx *c, const char *name, const char *key, const char *value) {
    struct model_row m;
    int rc = tag_check(c, key, value);
    if (rc == 0)
        rc = model_find(c, name, OBJECT_EDIT, &m);
    if (rc == 0)
        rc = model_store_set_tag(c, m.id, key, value ? value : "");
    return rc == 0 ? news_model_tag(c, &m, key, value ? value : "") : rc;
}

int model_delete_tag(struct ctx *c, const char *name, const char *key) {
    struct model_row m;
    bool there = false;
    int rc = model_find(c, name, OBJECT_EDIT, &m);
    if (rc == 0)
        rc = model_store_delete_tag(c, m.id, key, &there);
    return rc == 0 && there ? news_model_tag(c, &m, key, NULL) : rc;
}

int alias_moved(struct ctx *c, const char *name, const char *alias, int64_t from, int64_t to) {
    struct buf text = {0};
    struct json_writer w;
    jw_init(&w, &text);
    jw_obj(&w);
    jw_key_str(&w, "name", name);
    jw_key_str(&w, "alias", alias);
    if (from)
        jw_key_i64(&w, "from_version", from);
    if (to)
        jw_key_i64(&w, "version", to);
    jw_obj_end(&w);
    int rc = event_emit(c, "model.alias.moved", ref_make(c, "model", name), text.data);
    buf_free(&text);
    return rc;
}

int model_alias_set(struct ctx *c, const char *name, const char *alias, int64_t version) {
    struct version_row v;
    int64_t old = 0;
    bool found = false;
    int rc = alias_check(c, alias);
    if (rc == 0)
        rc = version_find(c, name, version, OBJECT_EDIT, &v);
    if (rc == 0)
        rc = alias_store_get(c, v.model, alias, &old, &found);
    if (rc == 0)
        rc = alias_store_set(c, v.model, alias, version);
    if (rc == 0)
        rc = news_alias(c, v.model, name, alias, version);
    if (rc != 0 || (found && old == version))
        return rc;
    return alias_moved(c, name, alias, found ? old : 0, version);
}

int model_alias_drop(struct ctx *c, const char *name, const char *alias) {
    struct model_row m;
    int64_t old = 0;
    bool found = false;
    int rc = model_find(c, name, OBJECT_DELETE, &m);
    if (rc == 0)
        rc = alias_store_get(c, m.id, alias, &old, &found);
    if (rc != 0 || !found)
        return rc;
    rc = alias_store_delete(c, m.id, alias);
    if (rc == 0)
        rc = news_alias(c, m.id, name, alias, 0);
    return rc == 0 ? alias_moved(c, name, alias, old, 0) : rc;
}

int model_alias_version(struct ctx *c, const char *name, const char *alias, int64_t *version) {
    struct model_row m;
    bool found = false;
    int rc = model_find(c, name, OBJECT_READ, &m);
    if (rc == 0)
        rc = alias_store_get(c, m.id, alias, version, &found);
    if (rc == 0 && !found && str_ieq(alias, "latest"))
        rc = version_store_newest(c, m.id, version, &found);
    if (rc == 0 && !found)
        return fail_field(c, ERR_INVALID, "alias", "Registered model alias %s not found.", alias);
    return rc;
}
