/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "mlflow_server.h"
#include "order.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

static void add_id(struct server *s, struct server_ids *l, const char *id) {
    l->items = arena_room(s->arena, l->items, l->n, &l->cap, sizeof *l->items);
    l->items[l->n++] = arena_strdup(s->arena, id);
}

const char *server_after(const struct server_ids *l, const char *after) {
    size_t low = 0, high = l->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(l->items[mid], after) > 0)
            high = mid;
        else
            low = mid + 1;
    }
    return low < l->n ? l->items[low] : NULL;
}

static const char *keep(struct server *s, const json_t *o, const char *member) {
    return arena_strdup(s->arena, server_text(o, member));
}

static int keep_experiment(struct server *s, struct ctx *c, const json_t *one) {
    const char *id = server_text(one, "experiment_id");
    struct copy_experiment e = {.name = keep(s, one, "name"),
                                .location = keep(s, one, "artifact_location"),
                                .deleted = str_eq(server_text(one, "lifecycle_stage"), "deleted"),
                                .created_ms = server_number(one, "creation_time"),
                                .updated_ms = server_number(one, "last_update_time"),
                                .tags = server_pairs(c, json_object_get(one, "tags"))};
    if (!str_to_i64(id, &e.id))
        return fail(c, ERR_NOT_READY, "The source lists an experiment whose id is no number.");
    struct pair *tags = ARENA_ARRAY(s->arena, struct pair, e.tags.n + 1);
    for (size_t i = 0; i < e.tags.n; i++)
        tags[i] = (struct pair){.key = arena_strdup(s->arena, e.tags.items[i].key),
                                .value = arena_strdup(s->arena, e.tags.items[i].value)};
    e.tags.items = tags;
    s->experiments = arena_room(s->arena, s->experiments, s->nexperiments, &s->experiments_cap,
                                sizeof *s->experiments);
    s->experiments[s->nexperiments++] = e;
    return 0;
}

int server_experiment(struct source *src, struct ctx *c, int64_t after,
                      struct copy_experiment *out) {
    const struct server *s = (struct server *)src;
    size_t low = 0, high = s->nexperiments;
    (void)c;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->experiments[mid].id > after)
            high = mid;
        else
            low = mid + 1;
    }
    *out = low < s->nexperiments ? s->experiments[low] : (struct copy_experiment){0};
    return low < s->nexperiments;
}

static size_t count(const struct server_listing *l) {
    return l->ids ? l->ids->n : *l->n;
}

static int take_item(struct server *s, struct ctx *c, const struct server_listing *l,
                     const json_t *item) {
    if (!l->ids)
        return l->keep(s, c, item);
    const char *id = server_text(l->inner ? json_object_get(item, l->inner) : item, l->id);
    if (!*id) /* it would count as neither seen nor missing */
        return fail(c, ERR_NOT_READY, "The source lists one of its %s without an id.", l->list);
    add_id(s, l->ids, id);
    return 0;
}

static int take_page(struct server *s, struct ctx *c, const struct server_listing *l,
                     const json_t *body, struct server_pages *p) {
    json_t *answer = NULL, *item;
    size_t i;
    int rc;
    if (body) {
        json_t *page = json_copy((json_t *)body);
        if (p->token.len)
            json_object_set_new(page, "page_token", json_string(p->token.data));
        rc = server_post(s, c, l->path, page, &answer);
    } else {
        rc = server_get_page(s, c, l->path, p, &answer);
    }
    json_array_foreach(json_object_get(rc == 0 ? answer : NULL, l->list), i, item) {
        rc = rc < 0 ? rc : take_item(s, c, l, item);
    }
    if (rc == 0 && arena_bytes(s->arena) > SERVER_KEPT_MAX)
        rc = fail(c, ERR_TOO_LARGE, "The source lists more than %zu GiB of ids and experiments.",
                  SERVER_KEPT_MAX >> 30);
    return rc < 0 ? rc : server_turn(s, c, answer, count(l), p);
}

/* Each page in a context of its own: the pages of runs tell all that the runs have. */
int server_list_all(struct server *s, struct ctx *told, const struct server_listing *l,
                    json_t *body) {
    struct server_pages p = {.total = count(l)};
    int rc;
    do {
        struct ctx c;
        ctx_begin(&c);
        rc = take_page(s, &c, l, body, &p);
        if (rc < 0) /* the message outlives the page */
            (void)fail(told, -rc, "%s", c.err.message);
        ctx_end(&c);
    } while (rc == 0 && p.token.len);
    buf_free(&p.token);
    json_decref(body);
    return rc;
}

static json_t *of_experiment(const char *id) {
    return json_pack("{s:[s],s:s,s:i}", "experiment_ids", id, "run_view_type", "ALL", "max_results",
                     1000);
}

static int list_models(struct server *s, struct ctx *c, const char *id) {
    static const char path[] = "/api/2.0/mlflow/logged-models/search";
    int rc = server_list_all(
        s, c,
        &(struct server_listing){
            .path = path, .list = "models", .inner = "info", .id = "model_id", .ids = &s->models},
        json_pack("{s:[s],s:i}", "experiment_ids", id, "max_results", 50));
    if (rc == -ERR_NOT_FOUND) { /* the older line has none */
        err_clear(c);
        rc = 0;
    }
    return rc;
}

static int list_traces(struct server *s, struct ctx *c, const char *id) {
    static const char newer[] = "/api/3.0/mlflow/traces/search";
    const char *older =
        arena_printf(c->arena, "/api/2.0/mlflow/traces?experiment_ids=%s&max_results=500", id);
    int rc = -ERR_NOT_FOUND;
    if (!s->traces_v2)
        rc = server_list_all(
            s, c,
            &(struct server_listing){
                .path = newer, .list = "traces", .id = "trace_id", .ids = &s->traces},
            json_pack("{s:[{s:s,s:{s:s}}],s:i}", "locations", "type", "MLFLOW_EXPERIMENT",
                      "mlflow_experiment", "experiment_id", id, "max_results", 500));
    if (rc != -ERR_NOT_FOUND)
        return rc;
    err_clear(c);
    s->traces_v2 = true;
    return server_list_all(
        s, c,
        &(struct server_listing){
            .path = older, .list = "traces", .id = "request_id", .ids = &s->traces},
        NULL);
}

static int by_number(const void *a, const void *b) {
    int64_t x = ((const struct copy_experiment *)a)->id;
    int64_t y = ((const struct copy_experiment *)b)->id;
    return (x > y) - (x < y);
}

/* Prompts are registered models that a search tells only to those who ask for them. */
#define PROMPTS "tags.%60mlflow.prompt.is_prompt%60%20%3D%20%27true%27"

static int list_registered(struct server *s, struct ctx *c, const char *filter,
                           struct server_ids *ids) {
    const char *path = arena_printf(
        c->arena, "/api/2.0/mlflow/registered-models/search?max_results=1000%s", filter);
    return server_list_all(s, c,
                           &(struct server_listing){
                               .path = path, .list = "registered_models", .id = "name", .ids = ids},
                           NULL);
}

int server_list_everything(struct server *s, struct ctx *c) {
    int rc = server_list_all(s, c,
                             &(struct server_listing){.path = "/api/2.0/mlflow/experiments/search",
                                                      .list = "experiments",
                                                      .keep = keep_experiment,
                                                      .n = &s->nexperiments},
                             json_pack("{s:s,s:i}", "view_type", "ALL", "max_results", 1000));
    for (size_t i = 0; i < s->nexperiments && rc == 0; i++) {
        const char *id = arena_printf(c->arena, "%lld", (long long)s->experiments[i].id);
        rc = server_list_all(s, c,
                             &(struct server_listing){.path = "/api/2.0/mlflow/runs/search",
                                                      .list = "runs",
                                                      .inner = "info",
                                                      .id = "run_id",
                                                      .ids = &s->runs},
                             of_experiment(id));
        rc = rc < 0 ? rc : list_models(s, c, id);
        rc = rc < 0 ? rc : list_traces(s, c, id);
    }
    rc = rc < 0 ? rc : list_registered(s, c, "", &s->registered);
    rc = rc < 0 ? rc : list_registered(s, c, "&filter=" PROMPTS, &s->prompts);
    rc = rc < 0 ? rc : server_list_genai(s, c);
    for (size_t k = 0; k < s->prompts.n; k++)
        add_id(s, &s->registered, s->prompts.items[k]);
    if (s->nexperiments)
        qsort(s->experiments, s->nexperiments, sizeof *s->experiments, by_number);
    order_texts(s->runs.items, s->runs.n);
    order_texts(s->models.items, s->models.n);
    order_texts(s->registered.items, s->registered.n);
    order_texts(s->traces.items, s->traces.n);
    return rc;
}
