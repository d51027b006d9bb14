/* SPDX-License-Identifier: Apache-2.0 */
#include "scorer.h"

#include <inttypes.h>
#include <string.h>

#include "owner.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/filter_sql.h"

static int unknown(struct ctx *c, const char *experiment, const char *name,
                   struct opt_i64 version) {
    if (version.set)
        return fail(c, ERR_NOT_FOUND,
                    "Scorer with name '%s' and version %" PRId64 " not found for experiment %s.",
                    name, version.v, experiment);
    return fail(c, ERR_NOT_FOUND, "Scorer with name '%s' not found for experiment %s.", name,
                experiment);
}

static int find(struct ctx *c, const char *experiment, const char *name, enum object_need need,
                int64_t *row) {
    int64_t id = 0;
    int rc = owner_active(c, experiment, need, &id);
    rc = rc ? rc : scorer_find(c, id, name, row);
    return rc < 0 ? rc : rc > 0 ? 0 : unknown(c, experiment, name, (struct opt_i64){0});
}

int scorer_register(struct ctx *c, const char *experiment, const char *name, const char *content,
                    struct scorer *out) {
    int64_t id = 0, row = 0;
    if (!name[strspn(name, " \t\r\n\v\f")])
        return fail_field(c, ERR_INVALID, "name",
                          "Scorer name cannot be empty or contain only whitespace.");
    int rc = scorer_content_check(c, content);
    rc = rc ? rc : owner_active(c, experiment, OBJECT_EDIT, &id);
    rc = rc ? rc : scorer_find(c, id, name, &row);
    if (rc == 0)
        rc = scorer_insert(c, id, name, &row);
    rc = rc < 0 ? rc : scorer_insert_version(c, row, content);
    rc = rc < 0 ? rc : scorer_find_version(c, row, (struct opt_i64){0}, out);
    return rc < 0 ? rc : 0;
}

int scorer_list(struct ctx *c, const char *experiment, const struct strs *experiments,
                struct list *out) {
    const char *numbers = NULL;
    int64_t id = 0;
    int rc = 0;
    if (experiment && *experiment && experiments->n)
        return fail_field(c, ERR_INVALID, "experiment_ids",
                          "Cannot specify both 'experiment_id' and 'experiment_ids'.");
    if (experiment && *experiment) {
        rc = owner_active(c, experiment, OBJECT_READ, &id);
        numbers = filter_ids_json(c, &id, 1);
    } else if (experiments->n) {
        rc = owner_numbers(c, experiments, &numbers);
    }
    return rc ? rc : scorer_load_latest(c, numbers, out);
}

int scorer_list_versions(struct ctx *c, const char *experiment, const char *name,
                         struct list *out) {
    int64_t row = 0;
    int rc = find(c, experiment, name, OBJECT_READ, &row);
    rc = rc ? rc : scorer_load_versions(c, row, out);
    return rc < 0 || out->n ? rc : unknown(c, experiment, name, (struct opt_i64){0});
}

int scorer_get(struct ctx *c, const char *experiment, const char *name, struct opt_i64 version,
               struct scorer *out) {
    int64_t row = 0;
    int rc = find(c, experiment, name, OBJECT_READ, &row);
    if (rc != 0)
        return rc;
    rc = scorer_find_version(c, row, version, out);
    return rc < 0 ? rc : rc > 0 ? 0 : unknown(c, experiment, name, version);
}

int scorer_delete(struct ctx *c, const char *experiment, const char *name, struct opt_i64 version) {
    int64_t row = 0, gone = 0;
    int rc = find(c, experiment, name, OBJECT_DELETE, &row);
    rc = rc ? rc : scorer_erase_version(c, row, version, &gone);
    if (rc == 0 && !gone)
        return unknown(c, experiment, name, version);
    return rc || version.set ? rc : scorer_erase(c, row);
}
