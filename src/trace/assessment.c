/* SPDX-License-Identifier: Apache-2.0 */
#include "assessment.h"

#include <jansson.h>
#include <string.h>

#include "assessment_row.h"
#include "quern/base/arena.h"
#include "quern/base/id.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"
#include "quern/trace/timestamp.h"
#include "trace.h"

#define NAME_MAX_POINTS 250
#define TEXT_MAX ((size_t)1 << 20)

static const char *dump(struct ctx *c, const json_t *v) {
    return json_text(c->arena, v, JSON_TIGHT);
}

static int missing(struct ctx *c, const char *name) {
    return fail_field(c, ERR_INVALID, name,
                      "Missing value for required parameter '%s'. See the API docs for more "
                      "information about request parameters.",
                      name);
}

static const char *text_of(const json_t *o, const char *member) {
    return json_string_value(json_object_get(o, member));
}

/* ------------------------------------------------------------------ reading the client's */

static int read_feedback(struct ctx *c, const json_t *v, struct assessment_row *a) {
    const json_t *error = json_object_get(v, "error");
    const json_t *value = json_object_get(v, "value");
    a->kind = "feedback";
    a->value = value ? dump(c, value) : "null";
    a->error = json_is_object(error) ? dump(c, error) : NULL;
    return 0;
}

/* A value that is no scalar travels as JSON text within. */
static int read_expectation(struct ctx *c, const json_t *v, struct assessment_row *a) {
    const json_t *packed = json_object_get(v, "serialized_value");
    const json_t *value = json_object_get(v, "value");
    const char *text = text_of(packed, "value");
    a->kind = "expectation";
    if (!packed) {
        a->value = value ? dump(c, value) : "null";
        return 0;
    }
    json_t *inner = text ? json_inner(c, text, strlen(text)) : NULL;
    if (!inner)
        return fail_field(c, ERR_INVALID, "assessment.expectation.serialized_value.value",
                          "The serialized value of an expectation must be JSON text.");
    a->value = dump(c, inner);
    json_decref(inner);
    return 0;
}

static int read_kind(struct ctx *c, const json_t *in, struct assessment_row *a) {
    const json_t *feedback = json_object_get(in, "feedback");
    const json_t *expectation = json_object_get(in, "expectation");
    const json_t *issue = json_object_get(in, "issue");
    if (json_is_object(feedback))
        return read_feedback(c, feedback, a);
    if (json_is_object(expectation))
        return read_expectation(c, expectation, a);
    if (json_is_object(issue)) {
        a->kind = "issue";
        a->value = dump(c, issue);
        return 0;
    }
    return fail_field(c, ERR_INVALID, "assessment",
                      "Unknown assessment type: one of 'feedback', 'expectation' and 'issue' must "
                      "be given.");
}

static int read_metadata(struct ctx *c, const json_t *in, struct assessment_row *a) {
    const json_t *m = json_object_get(in, "metadata");
    const char *key;
    json_t *value;
    if (m && !json_is_null(m) && !json_is_object(m))
        return fail_field(c, ERR_INVALID, "assessment.metadata",
                          "metadata must be an object of texts.");
    json_object_foreach((json_t *)m, key, value) {
        if (!json_is_string(value))
            return fail_field(c, ERR_INVALID, "assessment.metadata",
                              "metadata must be an object of texts; '%s' is none.", key);
    }
    if (json_object_size(m))
        a->metadata = dump(c, m);
    return 0;
}

static int read_name(struct ctx *c, const json_t *in, struct assessment_row *a) {
    a->name = text_of(in, "assessment_name");
    if (!a->name || !*a->name)
        return missing(c, "assessment.assessment_name");
    if (utf8_count(a->name) > NAME_MAX_POINTS)
        return fail_field(c, ERR_INVALID, "assessment.assessment_name",
                          "'assessment_name' exceeds the maximum length of %d characters",
                          NAME_MAX_POINTS);
    return 0;
}

static int read_time(struct ctx *c, const json_t *in, const char *member, int64_t *ms) {
    const char *text = text_of(in, member);
    *ms = c->now_ms;
    if (text && !timestamp_parse(text, ms))
        return fail_field(c, ERR_INVALID, member,
                          "Invalid value for parameter '%s' supplied: it must be a time as "
                          "2026-01-31T12:00:00.123Z.",
                          member);
    return 0;
}

static int size_check(struct ctx *c, const json_t *in) {
    return strlen(dump(c, in)) > TEXT_MAX
               ? fail_field(c, ERR_TOO_LARGE, "assessment", "An assessment may have 1 MiB at most.")
               : 0;
}

static int read_all(struct ctx *c, const json_t *in, struct assessment_row *a) {
    const json_t *source = json_object_get(in, "source");
    const json_t *valid = json_object_get(in, "valid");
    const char *type = text_of(source, "source_type"), *id = text_of(source, "source_id");
    if (!json_is_object(in))
        return missing(c, "assessment");
    int rc = size_check(c, in);
    if (rc != 0)
        return rc;
    a->source_type = type ? type : "SOURCE_TYPE_UNSPECIFIED";
    a->source_id = id ? id : "default";
    a->span_id = text_of(in, "span_id");
    a->rationale = text_of(in, "rationale");
    a->overrides = text_of(in, "overrides");
    a->valid = !json_is_false(valid);
    rc = read_name(c, in, a);
    rc = rc ? rc : read_kind(c, in, a);
    rc = rc ? rc : read_metadata(c, in, a);
    rc = rc ? rc : read_time(c, in, "create_time", &a->created_ms);
    return rc ? rc : read_time(c, in, "last_update_time", &a->updated_ms);
}

/* ------------------------------------------------------------------ doors */

static int not_found(struct ctx *c, const char *assessment_id, const char *trace_id) {
    return fail(c, ERR_NOT_FOUND, "Assessment with ID '%s' not found for trace '%s'", assessment_id,
                trace_id);
}

static int find(struct ctx *c, const struct trace_info *t, const char *assessment_id,
                struct assessment_row *a) {
    int rc = assessment_find(c, t->row, assessment_id, a);
    return rc < 0 ? rc : rc > 0 ? 0 : not_found(c, assessment_id, t->trace_id);
}

int assessment_create(struct ctx *c, const char *trace_id, const struct json_t *in,
                      struct json_t **out) {
    struct assessment_row a = {.trace_id = trace_id}, before;
    struct trace_info t;
    char id[33];
    int rc = trace_for_write(c, trace_id, &t);
    rc = rc ? rc : read_all(c, in, &a);
    if (rc == 0 && a.overrides)
        rc = find(c, &t, a.overrides, &before);
    if (rc == 0 && a.overrides)
        rc = assessment_set_valid(c, t.row, a.overrides, false);
    if (rc != 0)
        return rc;
    id_hex32(id);
    a.id = arena_printf(c->arena, "a-%s", id);
    rc = assessment_insert(c, t.row, &a);
    *out = assessment_tree(c, &a);
    return rc;
}

int assessment_get(struct ctx *c, const char *trace_id, const char *assessment_id,
                   struct json_t **out) {
    struct assessment_row a;
    struct trace_info t;
    int rc = trace_for_read(c, trace_id, true, &t);
    rc = rc ? rc : find(c, &t, assessment_id, &a);
    if (rc == 0)
        *out = assessment_tree(c, &a);
    return rc;
}

int assessment_delete(struct ctx *c, const char *trace_id, const char *assessment_id) {
    struct assessment_row a;
    struct trace_info t;
    int rc = trace_for_write(c, trace_id, &t);
    rc = rc ? rc : assessment_find(c, t.row, assessment_id, &a);
    if (rc <= 0) /* gone already is fine */
        return rc;
    rc = assessment_erase(c, t.row, assessment_id);
    return rc == 0 && a.overrides ? assessment_set_valid(c, t.row, a.overrides, true) : rc;
}

/* One member that the mask names. */
static int change(struct ctx *c, const json_t *in, const char *member, struct assessment_row *a) {
    bool value = str_eq(member, "feedback") || str_eq(member, "expectation");
    if (str_eq(member, "assessment_name"))
        return read_name(c, in, a);
    if (value && !str_eq(member, a->kind))
        return fail_field(c, ERR_INVALID, "update_mask",
                          "Cannot update %s value on a %s assessment.", member, a->kind);
    if (value && !json_is_object(json_object_get(in, member)))
        return missing(c, arena_printf(c->arena, "assessment.%s", member));
    if (str_eq(member, "feedback"))
        return read_feedback(c, json_object_get(in, member), a);
    if (str_eq(member, "expectation"))
        return read_expectation(c, json_object_get(in, member), a);
    if (str_eq(member, "rationale")) {
        a->rationale = text_of(in, member);
        return 0;
    }
    if (str_eq(member, "metadata")) {
        a->metadata = NULL;
        return read_metadata(c, in, a);
    }
    if (str_eq(member, "valid")) {
        a->valid = !json_is_false(json_object_get(in, member));
        return 0;
    }
    return fail_field(c, ERR_INVALID, "update_mask",
                      "'%s' cannot be updated; assessment_name, feedback, expectation, rationale, "
                      "metadata and valid can.",
                      member);
}

int assessment_update(struct ctx *c, const char *trace_id, const char *assessment_id,
                      const struct json_t *in, const char *mask, struct json_t **out) {
    struct assessment_row a;
    struct trace_info t;
    int rc = trace_for_write(c, trace_id, &t);
    rc = rc ? rc : size_check(c, in);
    rc = rc ? rc : find(c, &t, assessment_id, &a);
    for (const char *p = mask; *p && rc == 0;) {
        size_t n = strcspn(p, ",");
        const char *member = arena_strndup(c->arena, p, n);
        /* protobuf prints masks in camelCase */
        if (str_eq(member, "assessmentName"))
            member = "assessment_name";
        rc = change(c, in, member, &a);
        p += n + (p[n] == ',');
    }
    a.updated_ms = c->now_ms;
    rc = rc ? rc : assessment_write(c, t.row, &a);
    if (rc == 0)
        *out = assessment_tree(c, &a);
    return rc;
}
