/* SPDX-License-Identifier: Apache-2.0 */
#include "experiment.h"

#include <inttypes.h>
#include <string.h>

#include "deleted.h"
#include "experiment_store.h"
#include "experiment_sweep.h"
#include "key.h"
#include "quern/access/access.h"
#include "quern/artifact/place.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/tracking/tracking.h"

#define NAME_MAX_POINTS 500
#define LOCATION_MAX_POINTS 2048

int experiment_writer_check(struct ctx *c) {
    if (c->who.run_id)
        return fail(c, ERR_FORBIDDEN,
                    "This token belongs to run %s and may write nothing but that run; use a token "
                    "of a user or a service",
                    c->who.run_id);
    return 0;
}

static int unknown(struct ctx *c, const char *id) {
    return fail(c, ERR_NOT_FOUND, "No Experiment with id=%s exists", id);
}

static int find_text(struct ctx *c, const char *id, enum object_need need, struct experiment *out) {
    long long number = 0;
    int rc = experiment_number(c, id, &number);
    if (rc)
        return rc;
    rc = experiment_find(c, number, out);
    if (rc <= 0)
        return rc < 0 ? rc : unknown(c, id);
    return access_object(c, OBJECT_EXPERIMENT, out->id, need);
}

int experiment_get(struct ctx *c, const char *id, struct experiment *out) {
    int rc = find_text(c, id, OBJECT_READ, out);
    return rc ? rc : experiment_load_tags(c, out, 1);
}

int experiment_get_by_name(struct ctx *c, const char *name, struct experiment *out) {
    int rc = experiment_find_name(c, name, out);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return fail(c, ERR_NOT_FOUND, "Could not find experiment with name '%s'", name);
    rc = access_object(c, OBJECT_EXPERIMENT, out->id, OBJECT_READ);
    return rc ? rc : experiment_load_tags(c, out, 1);
}

int experiment_active(struct ctx *c, const char *id, struct experiment *out) {
    int rc = find_text(c, id, OBJECT_EDIT, out);
    if (rc)
        return rc;
    if (strcmp(out->lifecycle_stage, "active") != 0)
        return fail(c, ERR_INVALID,
                    "The experiment %s must be in the 'active' state. Current state is deleted.",
                    out->experiment_id);
    return 0;
}

int experiment_for_read(struct ctx *c, const char *experiment_id, int64_t *id,
                        const char **location) {
    struct experiment e;
    int rc = find_text(c, experiment_id, OBJECT_READ, &e);
    if (!rc) {
        *id = e.id;
        *location = e.artifact_location;
    }
    return rc;
}

int experiment_for_write(struct ctx *c, const char *experiment_id, int64_t *id,
                         const char **location) {
    struct experiment e;
    int rc = experiment_active(c, experiment_id, &e);
    if (!rc) {
        *id = e.id;
        *location = e.artifact_location;
    }
    return rc;
}

int experiment_hold(struct ctx *c, const char *experiment_id, enum object_need need, int64_t *id,
                    bool *active) {
    struct experiment e;
    int rc = find_text(c, experiment_id, need, &e);
    if (!rc) {
        *id = e.id;
        *active = strcmp(e.lifecycle_stage, "active") == 0;
    }
    return rc;
}

/* The server never opens a location; the rules keep clients from being led astray. */
static int location_check(struct ctx *c, const char *location) {
    int rc = text_limit(c, "artifact_location", location, LOCATION_MAX_POINTS);
    if (rc)
        return rc;
    const char *query = strchr(location, '?');
    const char *last = strrchr(location, '/');
    if (strchr(location, '#') || strchr(last ? last : location, ';'))
        return fail_field(c, ERR_INVALID, "artifact_location",
                          "'artifact_location' URL can't include fragments or params.");
    if (query && strstr(query, ".."))
        return fail_field(c, ERR_INVALID, "artifact_location",
                          "Invalid query string: %s. '..' is not allowed in it.", query + 1);
    if (str_starts(location, "runs:/"))
        return fail_field(c, ERR_INVALID, "artifact_location",
                          "Artifact location cannot be a runs:/ URI. Given: '%s'", location);
    return 0;
}

int experiment_create(struct ctx *c, const char *name, const char *location,
                      const struct list *tags, int64_t *id) {
    int rc = experiment_writer_check(c);
    if (!rc)
        rc = access_object_make(c, OBJECT_EXPERIMENT);
    if (!rc)
        rc = items_check(c, "tags", tags->n);
    if (!rc)
        rc = text_limit(c, "name", name, NAME_MAX_POINTS);
    if (!rc && location && *location)
        rc = location_check(c, location);
    const struct pair *t = tags->items;
    for (size_t i = 0; !rc && i < tags->n; i++) {
        rc = key_check(c, "key", t[i].key);
        if (!rc)
            rc = text_limit(c, "value", t[i].value, EXPERIMENT_TAG_VALUE_MAX);
    }
    if (rc)
        return rc;
    struct experiment other;
    rc = experiment_find_name(c, name, &other);
    if (rc < 0)
        return rc;
    if (rc > 0)
        return fail(c, ERR_EXISTS, "Experiment(name=%s) already exists.%s", name,
                    strcmp(other.lifecycle_stage, "active") ? " It is in the deleted state: restore"
                                                              " it or choose another name."
                                                            : "");
    location = location && *location ? artifact_location_resolve(c, location) : NULL;
    rc = experiment_insert(c, name, location, id);
    for (size_t i = 0; rc >= 0 && i < tags->n; i++)
        rc = experiment_put_tag(c, *id, t[i].key, t[i].value ? t[i].value : "");
    return rc < 0 ? rc : access_object_created(c, OBJECT_EXPERIMENT, *id);
}

/* What the daemon itself writes goes to its own store, whatever root clients have. */
static int ensure_new(struct ctx *c, const char *name, int64_t *id) {
    int rc = experiment_create(c, name, NULL, &(struct list){0}, id);
    return rc ? rc
              : experiment_set_location(c, *id,
                                        arena_printf(c->arena, "mlflow-artifacts:/%" PRId64, *id));
}

int experiment_settle_default(struct ctx *c) {
    return experiment_default_location(c, artifact_root_location(c, 0));
}

int experiment_ensure(struct ctx *c, const char *name, int64_t *id) {
    struct experiment e;
    int rc = experiment_find_name(c, name, &e);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return ensure_new(c, name, id);
    *id = e.id;
    rc = access_object(c, OBJECT_EXPERIMENT, e.id, OBJECT_EDIT);
    if (rc)
        return rc;
    if (strcmp(e.lifecycle_stage, "active") != 0)
        return fail(c, ERR_INVALID,
                    "The experiment %s must be in the 'active' state. Current state is deleted.",
                    e.experiment_id);
    return 0;
}

int experiment_rename(struct ctx *c, const char *id, const char *name) {
    struct experiment e, other;
    int rc = experiment_writer_check(c);
    if (!rc)
        rc = find_text(c, id, OBJECT_EDIT, &e);
    if (!rc)
        rc = text_limit(c, "name", name, NAME_MAX_POINTS);
    if (rc)
        return rc;
    if (strcmp(e.lifecycle_stage, "active") != 0)
        return fail(c, ERR_INVALID, "Cannot rename a non-active experiment.");
    rc = experiment_find_name(c, name, &other);
    if (rc > 0 && other.id != e.id)
        return fail(c, ERR_EXISTS, "Experiment(name=%s) already exists.", name);
    return rc < 0 ? rc : experiment_set_name(c, e.id, name);
}

static int move(struct ctx *c, const char *id, bool delete) {
    struct experiment e;
    int rc = experiment_writer_check(c);
    if (!rc)
        rc = find_text(c, id, OBJECT_DELETE, &e);
    if (rc)
        return rc;
    bool deleted = strcmp(e.lifecycle_stage, "deleted") == 0;
    if (deleted == delete)
        return unknown(c, id);
    if (!delete) {
        bool purging = false;
        rc = experiment_purging(c, e.id, &purging);
        if (rc || purging)
            return rc ? rc : unknown(c, id);
    }
    rc = experiment_set_deleted(c, e.id, delete);
    return rc < 0 || !delete ? rc : tracking_tell_deleted(c, "experiment", e.id);
}

int experiment_delete(struct ctx *c, const char *id) {
    return move(c, id, true);
}

int experiment_restore(struct ctx *c, const char *id) {
    return move(c, id, false);
}

int experiment_set_tag(struct ctx *c, const char *id, const char *key, const char *value) {
    struct experiment e;
    int rc = experiment_writer_check(c);
    if (!rc)
        rc = key_check(c, "key", key);
    if (!rc)
        rc = text_limit(c, "value", value, EXPERIMENT_TAG_VALUE_MAX);
    if (!rc)
        rc = experiment_active(c, id, &e);
    return rc ? rc : experiment_put_tag(c, e.id, key, value ? value : "");
}

int experiment_delete_tag(struct ctx *c, const char *id, const char *key) {
    struct experiment e;
    int rc = experiment_writer_check(c);
    if (!rc)
        rc = experiment_active(c, id, &e);
    if (rc)
        return rc;
    rc = experiment_load_tags(c, &e, 1);
    if (rc)
        return rc;
    const struct pair *t = e.tags.items;
    for (size_t i = 0; i < e.tags.n; i++)
        if (!strcmp(t[i].key, key))
            return experiment_drop_tag(c, e.id, key);
    return fail(c, ERR_NOT_FOUND, "No tag with name: %s in experiment with id %s", key,
                e.experiment_id);
}

const char *location_append(struct ctx *c, const char *location, const char *rest) {
    size_t n = strcspn(location, "?");
    size_t path = n;
    while (path > 1 && location[path - 1] == '/' && location[path - 2] != ':')
        path--;
    bool slash = path > 0 && location[path - 1] == '/';
    return arena_printf(c->arena, "%.*s%s%s%s", (int)path, location, slash ? "" : "/", rest,
                        location + n);
}
