/* SPDX-License-Identifier: Apache-2.0 */
#include "logged_model.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "deleted.h"
#include "experiment.h"
#include "key.h"
#include "logged_model_store.h"
#include "quern/access/access.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/id.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/tracking/tracking.h"
#include "rows.h"
#include "run.h"
#include "run_lineage.h"
#include "run_name.h"

#define TAG_VERSIONS "mlflow.modelVersions"

static int name_check(struct ctx *c, const char *name) {
    if (*name && !strpbrk(name, "/:.%\"'"))
        return 0;
    return fail_field(
        c, ERR_INVALID, "name",
        "Invalid model name ('%s') provided. Model name must be a non-empty string and "
        "cannot contain the following characters: ('/', ':', '.', '%%', '\"', \"'\")",
        name);
}

static int find_living(struct ctx *c, const char *model_id, bool allow_deleted,
                       enum object_need need, struct logged_model *m) {
    int rc = logged_model_find(c, model_id, m);
    if (rc < 0)
        return rc;
    if (rc == 0 || (m->info->deleted && !allow_deleted))
        return fail(c, ERR_NOT_FOUND, "Logged model with ID '%s' not found.", model_id);
    return access_object(c, OBJECT_EXPERIMENT, m->info->experiment, need);
}

/* For changes: a run token may touch the models of its own run only. */
static int find_own(struct ctx *c, const char *model_id, enum object_need need,
                    struct logged_model *m) {
    int rc = find_living(c, model_id, false, need, m);
    return rc ? rc : access_check_run(c, m->info->source_run_id);
}

static int put_tags(struct ctx *c, int64_t row, const struct list *tags) {
    const struct pair *t = tags->items;
    int rc = items_check(c, "tags", tags->n);
    for (size_t i = 0; rc >= 0 && i < tags->n; i++) {
        rc = key_check(c, "key", t[i].key);
        if (rc >= 0)
            rc = logged_model_write_tag(
                c, row, t[i].key, text_cut(c, t[i].value ? t[i].value : "", RUN_TAG_VALUE_MAX));
    }
    return rc < 0 ? rc : 0;
}

static int put_params(struct ctx *c, int64_t row, const struct list *params) {
    const struct pair *p = params->items;
    int rc = items_check(c, "params", params->n);
    if (!rc)
        rc = keys_distinct(c, params, "parameter");
    for (size_t i = 0; rc >= 0 && i < params->n; i++) {
        rc = key_check(c, "key", p[i].key);
        if (rc >= 0)
            rc = logged_model_write_param(
                c, row, p[i].key, text_cut(c, p[i].value ? p[i].value : "", PARAM_VALUE_MAX));
    }
    return rc < 0 ? rc : 0;
}

static int reread(struct ctx *c, const char *model_id, struct logged_model **out) {
    return logged_model_read(c, model_id, true, out);
}

int logged_model_create(struct ctx *c, const struct logged_model_wish *in,
                        struct logged_model **out) {
    struct experiment e;
    struct run_ref r;
    const char *run = in->source_run_id ? in->source_run_id : "";
    const char *name = in->name && *in->name ? in->name : NULL;
    int rc = access_check_run(c, run);
    if (!rc)
        rc = experiment_active(c, in->experiment_id, &e);
    if (!rc && name)
        rc = name_check(c, name);
    if (!rc && *run)
        rc = run_for_read(c, run, &r);
    if (rc)
        return rc;
    char hex[33];
    id_hex32(hex);
    struct logged_model_facts f = {
        .experiment = e.id,
        .model_id = arena_printf(c->arena, "m-%s", hex),
        .name = name ? name : run_name_random(c),
        .status = "LOGGED_MODEL_PENDING",
        .model_type = in->model_type ? in->model_type : "",
        .source_run_id = run,
    };
    f.artifact_uri = location_append(c, e.artifact_location,
                                     arena_printf(c->arena, "models/%s/artifacts", f.model_id));
    rc = logged_model_insert(c, &f, &f.row);
    if (!rc)
        rc = put_params(c, f.row, &in->params);
    if (!rc)
        rc = put_tags(c, f.row, &in->tags);
    if (!rc && *run)
        rc = run_made_model(c, run, f.model_id, f.name);
    return rc ? rc : reread(c, f.model_id, out);
}

int logged_model_read(struct ctx *c, const char *model_id, bool allow_deleted,
                      struct logged_model **out) {
    *out = ARENA_NEW(c->arena, struct logged_model);
    int rc = find_living(c, model_id, allow_deleted, OBJECT_READ, *out);
    return rc ? rc : logged_model_fill(c, *out, 1);
}

int logged_model_finalize(struct ctx *c, const char *model_id, const char *status,
                          struct logged_model **out) {
    struct logged_model m;
    int rc = find_own(c, model_id, OBJECT_EDIT, &m);
    if (!rc)
        rc = logged_model_write_status(c, m.info->row, status);
    return rc < 0 ? rc : reread(c, model_id, out);
}

int logged_model_delete(struct ctx *c, const char *model_id) {
    struct logged_model m;
    int rc = find_own(c, model_id, OBJECT_DELETE, &m);
    if (!rc)
        rc = logged_model_write_deleted(c, m.info->row);
    if (rc >= 0)
        rc = tracking_tell_deleted(c, "logged_model", m.info->row);
    return rc < 0 ? rc : 0;
}

int logged_model_set_tags(struct ctx *c, const char *model_id, const struct list *tags,
                          struct logged_model **out) {
    struct logged_model m;
    int rc = find_own(c, model_id, OBJECT_EDIT, &m);
    if (!rc)
        rc = put_tags(c, m.info->row, tags);
    return rc ? rc : reread(c, model_id, out);
}

int logged_model_delete_tag(struct ctx *c, const char *model_id, const char *key) {
    struct logged_model m;
    bool was = false;
    int rc = find_own(c, model_id, OBJECT_EDIT, &m);
    if (!rc)
        rc = logged_model_erase_tag(c, m.info->row, key, &was);
    if (rc >= 0 && !was)
        return fail(c, ERR_NOT_FOUND, "No tag with key '%s' found for model with ID '%s'.", key,
                    model_id);
    return rc < 0 ? rc : 0;
}

int logged_model_log_params(struct ctx *c, const char *model_id, const struct list *params) {
    struct logged_model m;
    int rc = items_check(c, "params", params->n);
    if (!rc)
        rc = find_own(c, model_id, OBJECT_EDIT, &m);
    if (!rc)
        rc = logged_model_fill(c, &m, 1);
    const struct pair *old = rc ? NULL : m.data->params.items, *p = params->items;
    for (size_t i = 0; !rc && i < params->n; i++)
        for (size_t k = 0; k < m.data->params.n; k++)
            if (!strcmp(p[i].key, old[k].key) &&
                strcmp(text_cut(c, p[i].value ? p[i].value : "", PARAM_VALUE_MAX), old[k].value))
                return fail(c, ERR_INVALID,
                            "Changing param values is not allowed. Param with key='%s' was already "
                            "logged with value='%s' for logged model ID='%s'.",
                            p[i].key, old[k].value, model_id);
    return rc ? rc : put_params(c, m.info->row, params);
}

int logged_model_row_of(struct ctx *c, const char *model_id, int64_t *row) {
    struct logged_model m;
    int rc = find_living(c, model_id, false, OBJECT_EDIT, &m);
    if (!rc)
        *row = m.info->row;
    return rc;
}

int logged_model_measured(struct ctx *c, int64_t row, const char *run_id,
                          const struct metric_value *v, const struct point *p) {
    int rc = logged_model_write_point(c, row, run_id, v, p);
    return rc < 0 ? rc : 0;
}

/* What a run's token calls made by its run is not the model of another run, nor one of an
 * experiment that the caller may not change. */
int logged_model_claim(struct ctx *c, const char *model_id) {
    struct logged_model m;
    int rc = logged_model_find(c, model_id, &m);
    if (rc <= 0)
        return rc;
    rc = access_check_run(c, m.info->source_run_id);
    return rc ? rc : access_object(c, OBJECT_EXPERIMENT, m.info->experiment, OBJECT_EDIT);
}

static void release_tree(void *tree) {
    json_decref(tree);
}
static void release_text(void *text) {
    free(text);
}

/* The server gives the version as a number, clients give it as text. */
static bool lists(const json_t *list, const char *name, int64_t version) {
    size_t i;
    const json_t *entry;
    json_array_foreach(list, i, entry) {
        const char *other = json_string_value(json_object_get(entry, "name"));
        const json_t *v = json_object_get(entry, "version");
        int64_t number = 0;
        if (json_is_integer(v))
            number = json_integer_value(v);
        else if (!json_is_string(v) || !str_to_i64(json_string_value(v), &number))
            continue;
        if (str_eq(other, name) && number == version)
            return true;
    }
    return false;
}

int logged_model_registered(struct ctx *c, const char *model_id, const char *name,
                            int64_t version) {
    struct logged_model m;
    char *old = NULL;
    int rc = find_own(c, model_id, OBJECT_READ, &m);
    if (!rc)
        rc = logged_model_read_tag(c, m.info->row, TAG_VERSIONS, &old);
    if (rc < 0)
        return rc;
    json_t *list = old ? json_loads(old, 0, NULL) : NULL;
    if (!json_is_array(list)) { /* the tag is the clients' to write, too */
        json_decref(list);
        list = json_array();
    }
    arena_defer(c->arena, release_tree, list);
    if (lists(list, name, version))
        return 0;
    json_array_append_new(list,
                          json_pack("{s:s, s:I}", "name", name, "version", (json_int_t)version));
    char *text = json_dumps(list, 0);
    if (!text)
        mem_die();
    arena_defer(c->arena, release_text, text);
    rc = logged_model_write_tag(c, m.info->row, TAG_VERSIONS, text);
    return rc < 0 ? rc : 0;
}

static void tell(struct ctx *c, const struct logged_model *m, struct logged_model_info *out) {
    *out = (struct logged_model_info){.id = m->info->model_id,
                                      .name = m->info->name,
                                      .source_run_id = m->info->source_run_id,
                                      .artifact_uri = m->info->artifact_uri,
                                      .artifact_path = artifact_uri_path(c, m->info->artifact_uri),
                                      .experiment_id = m->info->experiment};
}

int logged_model_get(struct ctx *c, const char *model_id, struct logged_model_info *out) {
    struct logged_model m;
    int rc = find_living(c, model_id, false, OBJECT_READ, &m);
    if (!rc)
        tell(c, &m, out);
    return rc;
}

int logged_model_of_run(struct ctx *c, const char *run_id, const char *name,
                        struct logged_model_info *out) {
    struct logged_model m;
    int rc = logged_model_newest(c, run_id, name, &m);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return fail(c, ERR_NOT_FOUND, "Run %s has no ready logged model%s%s", run_id,
                    name ? " named " : "", name ? name : "");
    tell(c, &m, out);
    return access_object(c, OBJECT_EXPERIMENT, m.info->experiment, OBJECT_READ);
}
