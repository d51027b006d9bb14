/* SPDX-License-Identifier: Apache-2.0 */
#include "issue.h"

#include <string.h>

#include "owner.h"
#include "quern/base/arena.h"
#include "quern/base/id.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/tracking/tracking.h"

#define TEXT_MAX ((size_t)1 << 20)

static const char *const statuses[] = {"pending", "rejected", "resolved", NULL};
static const char *const severities[] = {"not_an_issue", "low", "medium", "high", NULL};

static int one_of(struct ctx *c, const char *field, const char *text, const char *const *names) {
    const char *all = "";
    if (!text)
        return 0;
    for (size_t i = 0; names[i]; i++) {
        if (str_eq(text, names[i]))
            return 0;
        all = arena_printf(c->arena, "%s%s'%s'", all, *all ? ", " : "", names[i]);
    }
    return fail_field(c, ERR_INVALID, field,
                      "Invalid value '%.100s' for parameter '%s' supplied: it must be one of %s.",
                      text, field, all);
}

static int texts_check(struct ctx *c, const struct issue *in) {
    size_t n = in->description ? strlen(in->description) : 0;
    for (size_t i = 0; i < in->root_causes.n; i++)
        n += strlen(in->root_causes.items[i]);
    for (size_t i = 0; i < in->categories.n; i++)
        n += strlen(in->categories.items[i]);
    if (n > TEXT_MAX)
        return fail_field(c, ERR_TOO_LARGE, "description",
                          "An issue's texts may have 1 MiB together at most.");
    int rc = one_of(c, "status", in->status, statuses);
    return rc ? rc : one_of(c, "severity", in->severity, severities);
}

static const char *filled(const char *text) {
    return text && *text ? text : NULL;
}

int issue_create(struct ctx *c, const struct issue *in, struct issue *out) {
    struct issue i = *in;
    char id[33];
    int rc = texts_check(c, in);
    rc = rc ? rc : owner_living(c, in->experiment_id, OBJECT_EDIT, &i.experiment);
    i.status = i.status ? i.status : statuses[0];
    i.source_run_id = filled(i.source_run_id);
    i.created_by = filled(i.created_by);
    if (rc == 0 && i.source_run_id) /* and the caller may know of it */
        rc = run_exists(c, i.source_run_id, NULL, NULL);
    if (rc != 0)
        return rc;
    id_hex32(id);
    i.issue_id = arena_printf(c->arena, "iss-%s", id);
    i.created_timestamp = i.last_updated_timestamp = SET_I64(c->now_ms);
    rc = issue_insert(c, &i);
    rc = rc ? rc : issue_find(c, i.issue_id, out);
    return rc < 0 ? rc : 0;
}

static int find(struct ctx *c, const char *issue_id, enum object_need need, struct issue *out) {
    int rc = issue_find(c, issue_id, out);
    if (rc == 0)
        return fail(c, ERR_NOT_FOUND, "Issue with ID '%s' not found", issue_id);
    return rc < 0 ? rc : access_object(c, OBJECT_EXPERIMENT, out->experiment, need);
}

int issue_get(struct ctx *c, const char *issue_id, struct issue *out) {
    return find(c, issue_id, OBJECT_READ, out);
}

int issue_update(struct ctx *c, const struct issue *in, struct issue *out) {
    int rc = texts_check(c, in);
    rc = rc ? rc : find(c, in->issue_id, OBJECT_EDIT, out);
    if (rc != 0)
        return rc;
    out->name = filled(in->name) ? in->name : out->name;
    out->description = filled(in->description) ? in->description : out->description;
    out->status = in->status ? in->status : out->status;
    out->severity = in->severity ? in->severity : out->severity;
    out->last_updated_timestamp = SET_I64(c->now_ms);
    return issue_write(c, out);
}
