/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluation datasets with their records. */
#include <stdlib.h>

#include "json_part.h"
#include "mlflow_server.h"
#include "order.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

static const char *kept(struct ctx *c, const json_t *o, const char *member) {
    return arena_strdup(c->arena, json_string_value(json_object_get(o, member)));
}

static int take_record(struct ctx *c, const json_t *one, struct copy_record *r) {
    const char *inputs = json_part(c, json_object_get(one, "inputs"), JSON_OBJECT);
    const char *tags = json_part(c, json_object_get(one, "tags"), JSON_OBJECT);
    const char *source = json_part(c, json_object_get(one, "source"), JSON_OBJECT);
    *r = (struct copy_record){.id = kept(c, one, "dataset_record_id"),
                              .inputs = inputs ? inputs : "{}",
                              .tags = tags ? tags : "{}",
                              .outputs = json_part(c, json_object_get(one, "outputs"), JSON_NULL),
                              .expectations =
                                  json_part(c, json_object_get(one, "expectations"), JSON_NULL),
                              .source = json_part_filled(source),
                              .created_by = kept(c, one, "created_by"),
                              .updated_by = kept(c, one, "last_updated_by"),
                              .created_ms = server_number(one, "created_time"),
                              .updated_ms = server_number(one, "last_update_time")};
    if (!r->id)
        return fail(c, ERR_INVALID, "One of its records has no id.");
    return c->err.code ? -c->err.code : 0;
}

/* They come as the text of a list. */
static int take_records(struct ctx *c, const json_t *answer, struct copy_evaluation *out,
                        size_t *cap) {
    json_error_t e = {.text = "there is none"};
    const char *text = json_string_value(json_object_get(answer, "records"));
    json_t *list = text ? json_loads(text, 0, &e) : NULL, *one;
    size_t i;
    int rc = json_is_array(list)
                 ? 0
                 : fail(c, ERR_INVALID, "Its records are no JSON list that can be kept: %.100s",
                        list ? "they are something else" : e.text);
    json_array_foreach(list, i, one) {
        if (rc == 0)
            rc = take_record(c, one,
                             arena_push(c->arena, (void **)&out->records, &out->nrecords, cap,
                                        sizeof *out->records));
    }
    json_decref(list);
    if (rc == 0 && arena_bytes(c->arena) > SERVER_KEPT_MAX)
        rc = fail(c, ERR_TOO_LARGE, "It has more than %zu GiB of records.", SERVER_KEPT_MAX >> 30);
    return rc;
}

/* Each page in a context of its own, as their trees are large. */
static int records(struct server *s, struct ctx *c, const char *path, struct copy_evaluation *out) {
    struct server_pages p = {0};
    size_t cap = 0;
    int rc;
    do {
        struct ctx page;
        json_t *answer = NULL;
        ctx_begin(&page);
        rc = server_get_page(s, &page, path, &p, &answer);
        rc = rc < 0 ? rc : take_records(c, answer, out, &cap);
        rc = rc < 0 ? rc : server_turn(s, &page, answer, out->nrecords, &p);
        if (rc < 0 && !c->err.code) /* the message outlives the page */
            (void)fail(c, -rc, "%s", page.err.message);
        ctx_end(&page);
    } while (rc == 0 && p.token.len);
    buf_free(&p.token);
    return rc;
}

static int by_number(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int experiments(struct ctx *c, const json_t *list, struct copy_evaluation *out) {
    json_t *one;
    size_t i, n = 0;
    int64_t *ids = out->experiments = ARENA_ARRAY(c->arena, int64_t, json_array_size(list) + 1);
    json_array_foreach((json_t *)list, i, one) {
        const char *id = json_string_value(one);
        if (!id || !str_to_i64(id, &ids[n++]))
            return fail(c, ERR_INVALID, "It names an experiment whose id is no number.");
    }
    qsort(ids, n, sizeof *ids, by_number);
    for (i = 0; i < n; i++)
        if (i == 0 || ids[i] != ids[out->nexperiments - 1])
            ids[out->nexperiments++] = ids[i];
    return 0;
}

static int read_dataset(struct ctx *c, const json_t *d, struct copy_evaluation *out) {
    const char *tags = json_string_value(json_object_get(d, "tags"));
    json_t *tree = tags ? json_loads(tags, 0, NULL) : NULL;
    if (!str_eq(server_text(d, "dataset_id"), out->id) || (tags && !json_is_object(tree))) {
        json_decref(tree);
        return fail(c, ERR_INVALID, "The source does not tell it as evaluation datasets are told.");
    }
    out->name = server_text(d, "name");
    out->digest = server_text(d, "digest");
    out->schema = kept(c, d, "schema");
    out->created_by = kept(c, d, "created_by");
    out->updated_by = kept(c, d, "last_updated_by");
    out->created_ms = server_number(d, "created_time");
    out->updated_ms = server_number(d, "last_update_time");
    out->tags = server_pairs(c, tree);
    for (size_t i = 0; i < out->tags.n; i++)
        out->tags.items[i] = (struct pair){arena_strdup(c->arena, out->tags.items[i].key),
                                           arena_strdup(c->arena, out->tags.items[i].value)};
    json_decref(tree);
    return 0;
}

int server_evaluation(struct source *src, struct ctx *c, const char *after,
                      struct copy_evaluation *out) {
    struct server *s = (struct server *)src;
    json_t *answer = NULL;
    *out = (struct copy_evaluation){.id = server_after(&s->evaluations, after)};
    if (!out->id)
        return 0;
    const char *path =
        arena_printf(c->arena, "/api/3.0/mlflow/datasets/%s", server_escape(c, out->id));
    int rc = server_get(s, c, path, &answer);
    rc = rc < 0 ? rc : read_dataset(c, json_object_get(answer, "dataset"), out);
    rc = rc < 0 ? rc : server_get(s, c, arena_printf(c->arena, "%s/experiment-ids", path), &answer);
    rc = rc < 0 ? rc : experiments(c, json_object_get(answer, "experiment_ids"), out);
    rc = rc < 0 ? rc
                : records(s, c, arena_printf(c->arena, "%s/records?max_results=500", path), out);
    order_records(out->records, rc < 0 ? 0 : out->nrecords);
    return rc < 0 ? rc : 1;
}
