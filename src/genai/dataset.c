/* SPDX-License-Identifier: Apache-2.0 */
#include "dataset.h"

#include <jansson.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/id.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "quern/db/db.h"
#include "quern/db/filter_sql.h"
#include "quern/genai/genai.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"
#include "quern/tracking/tracking.h"

#define USER_TAG "mlflow.user"
/* No experiment has it: what the role alone allows. */
#define NO_EXPERIMENT (-1)
#define DELETED_AT_ONCE 1000 /* records */

void evaluation_read(struct ctx *c, struct stmt *st, struct evaluation_dataset *out) {
    *out = (struct evaluation_dataset){.row = stmt_i64(st, 0),
                                       .id = stmt_text(c, st, 1),
                                       .name = stmt_text(c, st, 2),
                                       .digest = stmt_text(c, st, 3),
                                       .schema = stmt_text(c, st, 4),
                                       .records = stmt_i64(st, 5),
                                       .created_ms = stmt_i64(st, 6),
                                       .updated_ms = stmt_i64(st, 7),
                                       .created_by = stmt_text(c, st, 8),
                                       .updated_by = stmt_text(c, st, 9),
                                       .orphan = stmt_i64(st, 10) != 0};
}

/* ------------------------------------------------------------------ who may */

static int check_experiment(struct ctx *c, int64_t experiment, enum object_need need) {
    int64_t own = -1;
    int rc = access_object(c, OBJECT_EXPERIMENT, experiment, need);
    if (rc != 0 || need < OBJECT_EDIT || !c->who.run_id)
        return rc;
    rc = run_exists(c, c->who.run_id, &own, NULL);
    if (rc == 0 && own != experiment)
        rc = fail(c, ERR_FORBIDDEN, "This token may change datasets of its run's experiment only.");
    return rc;
}

static int check(struct ctx *c, const struct evaluation_dataset *d, enum object_need need) {
    struct stmt *st =
        db_query(c, "SELECT experiment_id FROM evaluation_dataset_experiment WHERE dataset = ?",
                 "i", d->row);
    bool any = false;
    int rc = 0, more = 0;
    while (rc == 0 && (more = stmt_next(st)) > 0) {
        any = true;
        rc = check_experiment(c, stmt_i64(st, 0), need);
    }
    stmt_end(st);
    if (rc != 0 || more < 0)
        return rc ? rc : more;
    return any ? 0 : check_experiment(c, NO_EXPERIMENT, d->orphan ? OBJECT_MANAGE : need);
}

/* 1 found, 0 not. */
static int look(struct ctx *c, const char *id, struct evaluation_dataset *out) {
    struct stmt *st = db_query(c,
                               "SELECT " DATASET_COLUMNS " FROM evaluation_dataset d"
                               " WHERE d.dataset_id = ? AND d.project_id = ? AND d.gone = 0",
                               "si", id, c->project);
    int rc = stmt_next(st);
    if (rc > 0)
        evaluation_read(c, st, out);
    stmt_end(st);
    return rc;
}

int evaluation_find(struct ctx *c, const char *id, enum object_need need,
                    struct evaluation_dataset *out) {
    int rc = look(c, id, out);
    if (rc == 0)
        return fail(c, ERR_NOT_FOUND, "Evaluation dataset with id '%s' not found", id);
    return rc < 0 ? rc : check(c, out, need);
}

/* ------------------------------------------------------------------ what hangs on it */

int evaluation_experiments(struct ctx *c, int64_t row, struct strs *out) {
    struct stmt *st = db_query(c,
                               "SELECT experiment_id FROM evaluation_dataset_experiment"
                               " WHERE dataset = ? ORDER BY experiment_id",
                               "i", row);
    size_t cap = 0;
    int rc;
    while ((rc = stmt_next(st)) > 0)
        *(const char **)arena_push(c->arena, (void **)&out->items, &out->n, &cap,
                                   sizeof *out->items) = stmt_text(c, st, 0);
    stmt_end(st);
    return rc;
}

int evaluation_tags(struct ctx *c, int64_t row, const char **json) {
    struct stmt *st =
        db_query(c, "SELECT key, value FROM evaluation_dataset_tag WHERE dataset = ? ORDER BY key",
                 "i", row);
    json_t *tags = json_object();
    int rc;
    while ((rc = stmt_next(st)) > 0)
        json_object_set_new(tags, stmt_text(c, st, 0), json_string(stmt_text(c, st, 1)));
    stmt_end(st);
    *json = json_text(c->arena, tags, JSON_SPACED);
    json_decref(tags);
    return rc;
}

/* What is no text is told as JSON; null: nothing is to be put. */
static const char *value_text(struct ctx *c, const json_t *v) {
    if (json_is_null(v))
        return NULL;
    if (json_is_string(v))
        return json_string_value(v);
    return json_text(c->arena, v, JSON_SPACED);
}

static int tags_check(struct ctx *c, const json_t *tags) {
    const char *key;
    json_t *v;
    if (!json_is_object(tags))
        return fail_field(c, ERR_INVALID, "tags",
                          "Invalid value for parameter 'tags' supplied: it must be the text of a "
                          "JSON object.");
    json_object_foreach((json_t *)tags, key, v) {
        const char *text = value_text(c, v);
        if (!*key || utf8_count(key) > DATASET_TAG_KEY_MAX)
            return fail_field(c, ERR_INVALID, "tags",
                              "Invalid value for parameter 'tags' supplied: the key '%.300s' must "
                              "have 1 to %d characters.",
                              key, DATASET_TAG_KEY_MAX);
        if (text && utf8_count(text) > DATASET_TAG_VALUE_MAX)
            return fail_field(c, ERR_INVALID, "tags",
                              "Invalid value for parameter 'tags' supplied: the value of '%s' is "
                              "longer than %d characters.",
                              key, DATASET_TAG_VALUE_MAX);
    }
    return 0;
}

static int read_tags(struct ctx *c, const char *text, struct json_t **out) {
    *out = NULL;
    int rc = text && *text ? json_parse(c, DIALECT_PROBLEM, text, strlen(text), out) : 0;
    if (rc != 0 && rc != -ERR_TOO_LARGE) {
        err_clear(c);
        return tags_check(c, NULL);
    }
    if (rc != 0)
        return rc;
    return *out ? tags_check(c, *out) : 0;
}

static int put_tags(struct ctx *c, int64_t row, const json_t *tags) {
    const char *key;
    json_t *v;
    int rc = 0;
    json_object_foreach((json_t *)tags, key, v) {
        const char *text = value_text(c, v);
        if (rc >= 0 && text)
            rc = db_exec(c,
                         "INSERT INTO evaluation_dataset_tag (dataset, key, value)"
                         " VALUES (?, ?, ?)"
                         " ON CONFLICT (dataset, key) DO UPDATE SET value = excluded.value",
                         "iss", row, key, text);
    }
    return rc < 0 ? rc : 0;
}

static int join(struct ctx *c, int64_t row, const struct strs *experiments) {
    int rc = filter_size_check(c, 0, 0, experiments->n);
    for (size_t i = 0; i < experiments->n && rc == 0; i++) {
        int64_t id = 0;
        const char *location;
        rc = experiment_for_write(c, experiments->items[i], &id, &location);
        rc = rc ? rc : check_experiment(c, id, OBJECT_EDIT);
        if (rc == 0)
            rc = db_exec(c,
                         "INSERT INTO evaluation_dataset_experiment (dataset, experiment_id)"
                         " VALUES (?, ?) ON CONFLICT DO NOTHING",
                         "ii", row, id);
        rc = rc < 0 ? rc : 0;
    }
    if (rc == 0 && experiments->n)
        rc = db_exec(c, "UPDATE evaluation_dataset SET orphan = 0 WHERE id = ? AND orphan", "i",
                     row);
    return rc < 0 ? rc : 0;
}

/* ------------------------------------------------------------------ changes */

/* Another one than before, within the same millisecond as well. */
static const char *digest(struct ctx *c, const char *name, const char *before) {
    char hex[65];
    const char *text = arena_printf(c->arena, "%s:%lld:%s", name, (long long)c->now_ms, before);
    sha256_hex(text, strlen(text), hex);
    return arena_strndup(c->arena, hex, 8);
}

int evaluation_create(struct ctx *c, const char *name, const struct strs *experiments,
                      const char *tags, struct evaluation_dataset *out) {
    char hex[33];
    struct json_t *tree;
    int rc = read_tags(c, tags, &tree);
    if (rc != 0)
        return rc;
    if (utf8_count(name) > DATASET_NAME_MAX)
        return fail_field(c, ERR_INVALID, "name",
                          "Invalid value for parameter 'name' supplied: it is longer than %d "
                          "characters.",
                          DATASET_NAME_MAX);
    if (experiments->n == 0 && (rc = check_experiment(c, NO_EXPERIMENT, OBJECT_EDIT)) != 0)
        return rc;
    id_hex32(hex);
    const char *user = json_string_value(json_object_get(tree, USER_TAG));
    *out = (struct evaluation_dataset){.id = arena_printf(c->arena, "d-%s", hex),
                                       .name = name,
                                       .digest = digest(c, name, ""),
                                       .created_ms = c->now_ms,
                                       .updated_ms = c->now_ms,
                                       .created_by = user,
                                       .updated_by = user};
    rc = db_exec(c,
                 "INSERT INTO evaluation_dataset (project_id, dataset_id, name, digest, created_ms,"
                 " updated_ms, created_by, updated_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                 "isssiiss", c->project, out->id, name, out->digest, c->now_ms, c->now_ms, user,
                 user);
    if (rc < 0)
        return rc;
    out->row = db_last_id(c);
    rc = put_tags(c, out->row, tree);
    return rc ? rc : join(c, out->row, experiments);
}

/* Long ones are out of sight at once, and their records are left to housekeeping. */
int evaluation_delete(struct ctx *c, const char *id) {
    struct evaluation_dataset d;
    int rc = look(c, id, &d);
    if (rc == 0)
        access_object_nothing(c);
    if (rc <= 0)
        return rc;
    rc = check(c, &d, OBJECT_DELETE);
    if (rc == 0)
        rc = db_exec(c,
                     d.records <= DELETED_AT_ONCE
                         ? "DELETE FROM evaluation_dataset WHERE id = ?"
                         : "UPDATE evaluation_dataset SET gone = 1 WHERE id = ?",
                     "i", d.row);
    return rc < 0 ? rc : 0;
}

int evaluation_expire(struct ctx *c, int64_t most) {
    int64_t row = 0, gone = 0;
    bool found = false;
    int rc =
        db_get_i64(c, "SELECT id FROM evaluation_dataset WHERE gone = 1 LIMIT 1", &row, &found, "");
    if (rc != 0 || !found)
        return rc;
    rc = db_exec(c,
                 "DELETE FROM evaluation_record WHERE id IN"
                 " (SELECT id FROM evaluation_record WHERE dataset = ? LIMIT ?)",
                 "ii", row, most);
    gone = rc < 0 ? 0 : db_changes(c);
    if (rc >= 0 && gone < most)
        rc = db_exec(c, "DELETE FROM evaluation_dataset WHERE id = ?", "i", row);
    return rc < 0 ? rc : gone ? (int)gone : 1;
}

int evaluation_set_tags(struct ctx *c, const char *id, const char *tags) {
    struct evaluation_dataset d;
    struct json_t *tree;
    int rc = evaluation_find(c, id, OBJECT_EDIT, &d);
    rc = rc ? rc : read_tags(c, tags, &tree);
    return rc ? rc : put_tags(c, d.row, tree);
}

int evaluation_delete_tag(struct ctx *c, const char *id, const char *key) {
    struct evaluation_dataset d;
    int rc = evaluation_find(c, id, OBJECT_EDIT, &d);
    rc = rc ? rc
            : db_exec(c, "DELETE FROM evaluation_dataset_tag WHERE dataset = ? AND key = ?", "is",
                      d.row, key);
    return rc < 0 ? rc : 0;
}

static int renew(struct ctx *c, struct evaluation_dataset *d) {
    int rc = db_exec(c, "UPDATE evaluation_dataset SET updated_ms = ? WHERE id = ?", "ii",
                     c->now_ms, d->row);
    d->updated_ms = c->now_ms;
    return rc < 0 ? rc : 0;
}

int evaluation_join(struct ctx *c, const char *id, const struct strs *experiments,
                    struct evaluation_dataset *out) {
    int rc = evaluation_find(c, id, OBJECT_EDIT, out);
    rc = rc ? rc : join(c, out->row, experiments);
    return rc ? rc : renew(c, out);
}

int evaluation_leave(struct ctx *c, const char *id, const struct strs *experiments,
                     struct evaluation_dataset *out) {
    int rc = evaluation_find(c, id, OBJECT_EDIT, out);
    bool any = false;
    rc = rc ? rc : filter_size_check(c, 0, 0, experiments->n);
    for (size_t i = 0; i < experiments->n && rc == 0; i++) {
        int64_t experiment;
        if (!str_to_i64(experiments->items[i], &experiment))
            continue;
        rc = db_exec(c,
                     "DELETE FROM evaluation_dataset_experiment"
                     " WHERE dataset = ? AND experiment_id = ?",
                     "ii", out->row, experiment);
        any = any || (rc >= 0 && db_changes(c) > 0);
        rc = rc < 0 ? rc : 0;
    }
    /* Out of its last experiment it is the project's: not for those who may do that experiment
     * alone. */
    if (rc == 0 && any)
        rc = check(c, out, OBJECT_EDIT);
    return rc == 0 && any ? renew(c, out) : rc;
}

int evaluation_touch(struct ctx *c, const struct evaluation_dataset *d, const char *schema,
                     const char *user, int64_t more) {
    int rc =
        db_exec(c,
                "UPDATE evaluation_dataset SET digest = ?2, updated_ms = ?3,"
                " schema = coalesce(?4, schema), updated_by = nullif(coalesce(?5, updated_by), ''),"
                " records = records + ?6"
                " WHERE id = ?1",
                "isissi", d->row, digest(c, d->name, d->digest), c->now_ms, schema, user, more);
    return rc < 0 ? rc : 0;
}
