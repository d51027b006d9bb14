/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of evaluation datasets, scorers and issues, and scorers and issues themselves. */
#include <stdlib.h>
#include <string.h>

#include "json_part.h"
#include "mlflow_server.h"
#include "order.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

#define API "/api/3.0/mlflow/"

/* ------------------------------------------------------------------ lists */

static int keep_scorer(struct server *s, struct ctx *c, const json_t *item) {
    struct server_scorer one = {.id = server_text(item, "scorer_id"),
                                .name = server_text(item, "scorer_name"),
                                .experiment = server_number(item, "experiment_id")};
    if (!*one.id || !*one.name)
        return fail(c, ERR_NOT_READY, "The source lists one of its scorers without an id or name.");
    one.id = arena_strdup(s->arena, one.id);
    one.name = arena_strdup(s->arena, one.name);
    s->scorers = arena_room(s->arena, s->scorers, s->nscorers, &s->scorers_cap, sizeof *s->scorers);
    s->scorers[s->nscorers++] = one;
    return 0;
}

static int list_scorers(struct server *s, struct ctx *c, const struct copy_experiment *e) {
    const char *path =
        arena_printf(c->arena, API "scorers/list?experiment_id=%lld", (long long)e->id);
    return server_list_all(
        s, c,
        &(struct server_listing){
            .path = path, .list = "scorers", .keep = keep_scorer, .n = &s->nscorers},
        NULL);
}

static int list_issues(struct server *s, struct ctx *c, const struct copy_experiment *e) {
    const char *id = arena_printf(c->arena, "%lld", (long long)e->id);
    return server_list_all(
        s, c,
        &(struct server_listing){
            .path = API "issues/search", .list = "issues", .id = "issue_id", .ids = &s->issues},
        json_pack("{s:s,s:i}", "experiment_id", id, "max_results", 100));
}

/* A server that does not know the route has none. One that has answered knows it. */
static bool unknown(struct ctx *c, int rc, bool answered) {
    bool is = !answered && (rc == -ERR_NOT_FOUND || rc == -ERR_NOT_IMPLEMENTED);
    if (is)
        err_clear(c);
    return is;
}

static int list_each(struct server *s, struct ctx *c,
                     int (*list)(struct server *s, struct ctx *c,
                                 const struct copy_experiment *e)) {
    bool answered = false;
    int rc = 0;
    for (size_t i = 0; i < s->nexperiments && rc == 0; i++) {
        if (s->experiments[i].deleted && list == list_scorers) /* they are told to nobody */
            continue;
        rc = list(s, c, &s->experiments[i]);
        if (unknown(c, rc, answered))
            return 0;
        answered = true;
    }
    return rc;
}

static int by_id(const void *a, const void *b) {
    return strcmp(((const struct server_scorer *)a)->id, ((const struct server_scorer *)b)->id);
}

int server_list_genai(struct server *s, struct ctx *c) {
    int rc = server_list_all(s, c,
                             &(struct server_listing){.path = API "datasets/search",
                                                      .list = "datasets",
                                                      .id = "dataset_id",
                                                      .ids = &s->evaluations},
                             json_pack("{s:i}", "max_results", 100));
    rc = unknown(c, rc, s->evaluations.n > 0) ? 0 : rc;
    rc = rc < 0 ? rc : list_each(s, c, list_scorers);
    rc = rc < 0 ? rc : list_each(s, c, list_issues);
    order_texts(s->evaluations.items, s->evaluations.n);
    order_texts(s->issues.items, s->issues.n);
    if (s->nscorers)
        qsort(s->scorers, s->nscorers, sizeof *s->scorers, by_id);
    return rc;
}

/* ------------------------------------------------------------------ scorers */

static const struct server_scorer *scorer_after(const struct server *s, const char *after) {
    size_t low = 0, high = s->nscorers;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(s->scorers[mid].id, after) > 0)
            high = mid;
        else
            low = mid + 1;
    }
    return low < s->nscorers ? &s->scorers[low] : NULL;
}

static int by_version(const void *a, const void *b) {
    const struct copy_scorer_version *x = a, *y = b;
    return (x->version > y->version) - (x->version < y->version);
}

static int versions(struct ctx *c, const json_t *list, struct copy_scorer *out) {
    json_t *one;
    size_t i;
    out->versions = ARENA_ARRAY(c->arena, struct copy_scorer_version, json_array_size(list) + 1);
    json_array_foreach((json_t *)list, i, one) {
        const char *text = json_string_value(json_object_get(one, "serialized_scorer"));
        struct copy_scorer_version *v = &out->versions[out->nversions++];
        *v = (struct copy_scorer_version){.version = server_number(one, "scorer_version"),
                                          .created_ms = server_number(one, "creation_time"),
                                          .content = text};
        if (!json_part_text(c, text, JSON_OBJECT) ||
            !str_eq(server_text(one, "scorer_id"), out->id))
            return fail(c, ERR_INVALID, "One of its versions has no content, or is another's.");
    }
    qsort(out->versions, out->nversions, sizeof *out->versions, by_version);
    return out->nversions ? 0 : fail(c, ERR_INVALID, "The source does not tell its versions.");
}

int server_scorer(struct source *src, struct ctx *c, const char *after, struct copy_scorer *out) {
    struct server *s = (struct server *)src;
    const struct server_scorer *next = scorer_after(s, after);
    json_t *answer = NULL;
    *out = (struct copy_scorer){0};
    if (!next)
        return 0;
    *out = (struct copy_scorer){.id = next->id, .name = next->name, .experiment = next->experiment};
    int rc = server_get(s, c,
                        arena_printf(c->arena, API "scorers/versions?experiment_id=%lld&name=%s",
                                     (long long)next->experiment, server_escape(c, next->name)),
                        &answer);
    rc = rc < 0 ? rc : versions(c, json_object_get(answer, "scorers"), out);
    return rc < 0 ? rc : 1;
}

/* ------------------------------------------------------------------ issues */

int server_issue(struct source *src, struct ctx *c, const char *after, struct copy_issue *out) {
    struct server *s = (struct server *)src;
    json_t *answer = NULL;
    *out = (struct copy_issue){.id = server_after(&s->issues, after)};
    if (!out->id)
        return 0;
    int rc = server_get(s, c, arena_printf(c->arena, API "issues/%s", server_escape(c, out->id)),
                        &answer);
    if (rc < 0)
        return rc;
    const json_t *i = json_object_get(answer, "issue");
    if (!str_eq(server_text(i, "issue_id"), out->id))
        return fail(c, ERR_INVALID, "The source does not tell it as issues are told.");
    out->name = server_text(i, "name");
    out->description = server_text(i, "description");
    out->status = server_text(i, "status");
    out->severity = server_maybe(i, "severity");
    out->source_run = server_maybe(i, "source_run_id");
    out->created_by = server_maybe(i, "created_by");
    out->root_causes =
        json_part_filled(json_part(c, json_object_get(i, "root_causes"), JSON_ARRAY));
    out->categories = json_part_filled(json_part(c, json_object_get(i, "categories"), JSON_ARRAY));
    out->experiment = server_number(i, "experiment_id");
    out->created_ms = server_number(i, "created_timestamp");
    out->updated_ms = server_number(i, "last_updated_timestamp");
    return c->err.code ? -c->err.code : 1;
}
