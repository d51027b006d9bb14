/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"
#include "run_feed.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "deleted.h"
#include "experiment.h"
#include "key.h"
#include "quern/access/access.h"
#include "quern/base/arena.h"
#include "quern/base/id.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"
#include "rows.h"
#include "run_lineage.h"
#include "run_name.h"
#include "run_store.h"

#define TAG_NAME "mlflow.runName"
#define TAG_COMMIT "mlflow.source.git.commit"
#define TAG_HISTORY "mlflow.log-model.history"

static int run_for(struct ctx *c, const char *run_id, enum object_need need, struct run_ref *out) {
    int rc = run_find_ref(c, run_id, out);
    if (rc == 0)
        return fail(c, ERR_NOT_FOUND, "Run with id=%s not found", run_id);
    return rc < 0 ? rc : access_object(c, OBJECT_EXPERIMENT, out->experiment, need);
}

int run_for_read(struct ctx *c, const char *run_id, struct run_ref *out) {
    return run_for(c, run_id, OBJECT_READ, out);
}

static int for_change(struct ctx *c, const char *run_id, enum object_need need,
                      struct run_ref *out) {
    int rc = access_check_run(c, run_id);
    return rc ? rc : run_for(c, run_id, need, out);
}

int run_for_write(struct ctx *c, const char *run_id, struct run_ref *out) {
    int rc = for_change(c, run_id, OBJECT_EDIT, out);
    if (!rc && !out->active)
        return fail(c, ERR_INVALID,
                    "The run %s must be in the 'active' state. Current state is deleted.", run_id);
    return rc;
}

static const char *find_pair(const struct list *l, const char *key) {
    const struct pair *p = l->items;
    for (size_t i = 0; i < l->n; i++)
        if (!strcmp(p[i].key, key))
            return p[i].value ? p[i].value : "";
    return NULL;
}

static int tags_check(struct ctx *c, const struct list *tags) {
    const struct pair *t = tags->items;
    int rc = items_check(c, "tags", tags->n);
    if (!rc)
        rc = keys_distinct(c, tags, "tag");
    for (size_t i = 0; !rc && i < tags->n; i++)
        rc = key_check(c, member_path(c, "tags", i, "key"), t[i].key);
    return rc;
}

static int insert(struct ctx *c, const struct experiment *e, const char *name, const char *user,
                  int64_t start_ms, const struct list *tags, struct run_ref *r) {
    char *uuid = arena_alloc(c->arena, 33);
    id_hex32(uuid);
    *r = (struct run_ref){.experiment = e->id, .uuid = uuid, .active = true};
    const char *uri =
        location_append(c, e->artifact_location, arena_printf(c->arena, "%s/artifacts", uuid));
    int rc = run_row_insert(c, uuid, e->id, name, user, start_ms, uri, &r->row);
    const struct pair *t = tags->items;
    for (size_t i = 0; !rc && i < tags->n; i++)
        rc = run_put_tag(c, r, "key", t[i].key, t[i].value);
    if (!rc && !find_pair(tags, TAG_NAME))
        rc = run_write_tag(c, r, TAG_NAME, name);
    return rc;
}

int run_make(struct ctx *c, const struct run_wish *in, struct run **out) {
    struct experiment e;
    struct run_ref r;
    int rc = experiment_writer_check(c);
    if (!rc)
        rc = experiment_active(c, in->experiment_id, &e);
    if (!rc)
        rc = tags_check(c, &in->tags);
    if (rc)
        return rc;
    const char *tag = find_pair(&in->tags, TAG_NAME);
    const char *name = in->run_name && *in->run_name ? in->run_name : NULL;
    if (name && tag && strcmp(name, tag) != 0)
        return fail(c, ERR_INVALID,
                    "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with "
                    "different values (run_name='%s', mlflow.runName='%s').",
                    name, tag);
    if (!name)
        name = tag && *tag ? tag : run_name_random(c);
    rc = insert(c, &e, name, in->user_id ? in->user_id : "", in->start_time.v, &in->tags, &r);
    if (rc)
        return rc;
    *out = ARENA_NEW(c->arena, struct run);
    return run_load_new(c, r.row, *out);
}

int run_create(struct ctx *c, const struct run_new *in, char run_id[33]) {
    struct experiment e;
    struct run_ref r;
    int rc = experiment_active(c, arena_printf(c->arena, "%" PRId64, in->experiment_id), &e);
    if (rc)
        return rc;
    struct list tags = {.items = in->tags.items, .n = in->tags.n};
    rc = tags_check(c, &tags);
    if (!rc)
        rc = insert(c, &e, in->name && *in->name ? in->name : run_name_random(c),
                    in->user ? in->user : "", in->start_ms, &tags, &r);
    if (!rc)
        memcpy(run_id, r.uuid, 33);
    return rc;
}

int run_update(struct ctx *c, const struct run_change *in, struct run_info **out) {
    struct run_ref r;
    int rc = run_for_write(c, in->run_id, &r);
    if (rc)
        return rc;
    rc = run_write_state(c, r.row, in->status && *in->status ? in->status : NULL, in->end_time);
    if (rc >= 0 && in->run_name && *in->run_name)
        rc = run_put_tag(c, &r, "run_name", TAG_NAME, in->run_name);
    return rc < 0 ? rc : run_load_info(c, r.row, out);
}

int run_finish(struct ctx *c, const char *run_id, const char *status, int64_t end_ms) {
    struct run_ref r;
    int rc = run_for_read(c, run_id, &r);
    if (!rc)
        rc = run_write_state(c, r.row, status, SET_I64(end_ms));
    if (rc >= 0)
        run_feed_status(c, r.uuid,
                        &(struct run_info){.status = status, .end_time = SET_I64(end_ms)});
    return rc < 0 ? rc : 0;
}

int run_exists(struct ctx *c, const char *run_id, int64_t *experiment_id, bool *active) {
    struct run_ref r;
    int rc = run_for_read(c, run_id, &r);
    if (!rc && experiment_id)
        *experiment_id = r.experiment;
    if (!rc && active)
        *active = r.active;
    return rc;
}

int run_set_deleted(struct ctx *c, const char *run_id, bool deleted) {
    struct run_ref r;
    int rc = for_change(c, run_id, OBJECT_DELETE, &r);
    if (!rc)
        rc = run_write_deleted(c, r.row, deleted);
    if (rc >= 0 && deleted)
        rc = tracking_tell_deleted(c, "run", r.row);
    return rc < 0 ? rc : 0;
}

static int rename_run(struct ctx *c, const struct run_ref *r, const char *name) {
    int rc = run_write_name(c, r->row, name);
    return rc > 0 ? run_renamed(c, r, name) : rc;
}

int run_put_tag(struct ctx *c, const struct run_ref *r, const char *path, const char *key,
                const char *value) {
    int rc = key_check(c, path, key);
    if (rc)
        return rc;
    if (!value)
        value = "";
    if (strcmp(key, TAG_HISTORY) != 0)
        value = text_cut(c, value, RUN_TAG_VALUE_MAX);
    rc = run_write_tag(c, r, key, value);
    if (!rc && !strcmp(key, TAG_NAME))
        rc = rename_run(c, r, value);
    if (rc >= 0 && !strcmp(key, TAG_COMMIT) && *value)
        rc = run_came_from_commit(c, r, value);
    return rc < 0 ? rc : 0;
}

int run_set_tag(struct ctx *c, const char *run_id, const char *key, const char *value) {
    struct run_ref r;
    int rc = run_for_write(c, run_id, &r);
    return rc ? rc : run_put_tag(c, &r, "key", key, value);
}

int run_drop_tag(struct ctx *c, const char *run_id, const char *key) {
    struct run_ref r;
    bool was = false;
    int rc = run_for_write(c, run_id, &r);
    if (!rc)
        rc = run_erase_tag(c, &r, key, &was);
    if (!rc && !was)
        return fail(c, ERR_NOT_FOUND, "No tag with name: %s in run with id %s", key, run_id);
    return rc;
}

static void release_tree(void *tree) {
    json_decref(tree);
}
/* Parsed on the writer, and of little things a tree is much larger. */
#define MODEL_JSON_MAX ((size_t)1 << 20)

int run_log_model(struct ctx *c, const char *run_id, const char *model_json) {
    static const char *const wanted[] = {"artifact_path", "flavors", "utc_time_created", "run_id"};
    struct run_ref r;
    json_error_t error;
    if (strlen(model_json) > MODEL_JSON_MAX)
        return fail_field(c, ERR_TOO_LARGE, "model_json", "'model_json' may have 1 MiB at most.");
    json_t *model = json_loads(model_json, JSON_REJECT_DUPLICATES, &error);
    if (!model)
        return fail_field(c, ERR_INVALID, "model_json",
                          "Malformed model info. \n JSON parse error: %s", error.text);
    arena_defer(c->arena, release_tree, model);
    char *missing = arena_strdup(c->arena, "");
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        if (!json_object_get(model, wanted[i]))
            missing = arena_printf(c->arena, "%s%s'%s'", missing, *missing ? ", " : "", wanted[i]);
    if (*missing)
        return fail_field(c, ERR_INVALID, "model_json",
                          "Model json is missing mandatory fields: [%s]", missing);
    int rc = run_for_write(c, run_id, &r);
    char *old = NULL;
    if (!rc)
        rc = run_read_tag(c, &r, TAG_HISTORY, &old);
    if (rc < 0)
        return rc;
    json_t *history = old ? json_loads(old, 0, &error) : NULL;
    if (!json_is_array(history)) {
        json_decref(history);
        history = json_array();
    }
    arena_defer(c->arena, release_tree, history);
    json_array_append(history, model);
    return run_put_tag(c, &r, "key", TAG_HISTORY, json_text(c->arena, history, JSON_TIGHT));
}
