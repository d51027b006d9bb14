/* SPDX-License-Identifier: Apache-2.0 */
#include "news.h"

#include <inttypes.h>

#include "model.h"
#include "model_store.h"
#include "prompt.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/ref.h"
#include "quern/json/json_out.h"
#include "quern/lane/lane.h"
#include "version.h"

struct news {
    struct buf text;
    struct json_writer w;
};

static void begin(struct news *n, const char *name) {
    n->text = (struct buf){0};
    jw_init(&n->w, &n->text);
    jw_obj(&n->w);
    jw_key_str(&n->w, "name", name);
}

static int end(struct ctx *c, struct news *n, const char *type, const char *name) {
    jw_obj_end(&n->w);
    int rc = event_emit(c, type, ref_make(c, "model", name), n->text.data);
    buf_free(&n->text);
    return rc;
}

static void put(struct news *n, const char *key, const char *value) {
    jw_key(&n->w, key);
    jw_str(&n->w, value); /* NULL is null */
}

static void put_version(struct ctx *c, struct news *n, int64_t version) {
    put(n, "version", arena_printf(c->arena, "%" PRId64, version));
}

/* A key given twice counts once, with its last value. `hidden` names what is left out. */
static void put_tags(struct news *n, const struct pairs *tags, const char *const *hidden) {
    jw_key(&n->w, "tags");
    jw_obj(&n->w);
    for (size_t i = 0; i < tags->n; i++) {
        bool skip = false;
        for (size_t k = 0; hidden && hidden[k]; k++)
            skip = skip || str_eq(hidden[k], tags->items[i].key);
        for (size_t k = i + 1; k < tags->n; k++)
            skip = skip || str_eq(tags->items[k].key, tags->items[i].key);
        if (!skip)
            put(n, tags->items[i].key, tags->items[i].value ? tags->items[i].value : "");
    }
    jw_obj_end(&n->w);
}

static const char *or_null(const char *text) {
    return text && *text ? text : NULL;
}

static int is_prompt(struct ctx *c, int64_t model, bool *prompt) {
    return model_store_has_tag(c, model, PROMPT_TAG, "true", prompt);
}

int news_model_created(struct ctx *c, const struct model_row *m, const struct pairs *tags,
                       bool prompt) {
    static const char *const hidden[] = {PROMPT_TAG, PROMPT_TYPE_TAG, NULL};
    struct news n;
    begin(&n, m->name);
    put_tags(&n, tags, prompt ? hidden : NULL);
    put(&n, "description", m->description);
    return end(c, &n, prompt ? "prompt.created" : "registered_model.created", m->name);
}

int news_version_created(struct ctx *c, const struct version_row *v, const struct pairs *tags,
                         bool prompt) {
    static const char *const hidden[] = {PROMPT_TAG, PROMPT_TYPE_TAG, PROMPT_TEXT_TAG, NULL};
    struct news n;
    begin(&n, v->name);
    put_version(c, &n, v->version);
    if (prompt) {
        const char *text = NULL;
        for (size_t i = 0; i < tags->n; i++)
            if (str_eq(tags->items[i].key, PROMPT_TEXT_TAG))
                text = tags->items[i].value ? tags->items[i].value : "";
        put(&n, "template", text);
    } else {
        put(&n, "source", v->source);
        put(&n, "run_id", or_null(v->run_id));
    }
    put_tags(&n, tags, prompt ? hidden : NULL);
    put(&n, "description", or_null(v->description));
    return end(c, &n, prompt ? "prompt_version.created" : "model_version.created", v->name);
}

int news_model_tag(struct ctx *c, const struct model_row *m, const char *key, const char *value) {
    struct news n;
    bool prompt = false;
    int rc = is_prompt(c, m->id, &prompt);
    if (rc != 0 || !prompt)
        return rc;
    begin(&n, m->name);
    put(&n, "key", key);
    if (value)
        put(&n, "value", value);
    return end(c, &n, value ? "prompt_tag.set" : "prompt_tag.deleted", m->name);
}

int news_version_tag(struct ctx *c, const struct version_row *v, const char *key,
                     const char *value) {
    struct news n;
    bool prompt = false;
    int rc = is_prompt(c, v->model, &prompt);
    if (rc != 0)
        return rc;
    begin(&n, v->name);
    put_version(c, &n, v->version);
    put(&n, "key", key);
    if (value)
        put(&n, "value", value);
    const char *type = prompt ? (value ? "prompt_version_tag.set" : "prompt_version_tag.deleted")
                              : (value ? "model_version_tag.set" : "model_version_tag.deleted");
    return end(c, &n, type, v->name);
}

int news_alias(struct ctx *c, int64_t model, const char *name, const char *alias, int64_t version) {
    struct news n;
    bool prompt = false;
    int rc = is_prompt(c, model, &prompt);
    if (rc != 0)
        return rc;
    begin(&n, name);
    put(&n, "alias", alias);
    if (version)
        put_version(c, &n, version);
    const char *type =
        prompt ? (version ? "prompt_alias.created" : "prompt_alias.deleted")
               : (version ? "model_version_alias.created" : "model_version_alias.deleted");
    return end(c, &n, type, name);
}
