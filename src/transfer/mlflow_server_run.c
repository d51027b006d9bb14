/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "mlflow_server.h"
#include "order.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

/* ------------------------------------------------------------------ inputs and outputs */

static void datasets(struct ctx *c, const json_t *list, struct copy_run *out) {
    json_t *one;
    size_t i;
    out->datasets = ARENA_ARRAY(c->arena, struct copy_dataset, json_array_size(list) + 1);
    json_array_foreach((json_t *)list, i, one) {
        const json_t *d = json_object_get(one, "dataset");
        out->datasets[out->ndatasets++] =
            (struct copy_dataset){.name = server_text(d, "name"),
                                  .digest = server_text(d, "digest"),
                                  .source_type = server_maybe(d, "source_type"),
                                  .source = server_maybe(d, "source"),
                                  .schema = server_maybe(d, "schema"),
                                  .profile = server_maybe(d, "profile"),
                                  .tags = server_pairs(c, json_object_get(one, "tags"))};
    }
    order_datasets(out->datasets, out->ndatasets);
}

static int by_model(const void *a, const void *b) {
    return strcmp(((const struct copy_model_use *)a)->model_id,
                  ((const struct copy_model_use *)b)->model_id);
}

static struct copy_model_use *uses(struct ctx *c, const json_t *list, size_t *n) {
    struct copy_model_use *out =
        ARENA_ARRAY(c->arena, struct copy_model_use, json_array_size(list) + 1);
    json_t *one;
    size_t i;
    json_array_foreach((json_t *)list, i, one) {
        out[(*n)++] = (struct copy_model_use){.model_id = server_text(one, "model_id"),
                                              .step = server_number(one, "step")};
    }
    qsort(out, *n, sizeof *out, by_model);
    return out;
}

/* ------------------------------------------------------------------ runs */

static int get_run(struct server *s, struct ctx *c, const char *id, json_t **run) {
    json_t *answer = NULL;
    *run = s->run;
    if (s->run && str_eq(server_text(json_object_get(s->run, "info"), "run_id"), id))
        return 0;
    int rc = server_get(
        s, c, arena_printf(c->arena, "/api/2.0/mlflow/runs/get?run_id=%s", server_escape(c, id)),
        &answer);
    *run = json_object_get(answer, "run");
    json_decref(s->run);
    s->run = json_incref(*run);
    return rc;
}

int server_run(struct source *src, struct ctx *c, const char *after, struct copy_run *out) {
    struct server *s = (struct server *)src;
    const char *id = server_after(&s->runs, after);
    json_t *run = NULL;
    *out = (struct copy_run){0};
    if (!id)
        return 0;
    out->id = id;
    int rc = get_run(s, c, id, &run);
    if (rc < 0)
        return rc;
    const json_t *info = json_object_get(run, "info"), *data = json_object_get(run, "data");
    const json_t *inputs = json_object_get(run, "inputs"),
                 *outputs = json_object_get(run, "outputs");
    out->experiment = server_number(info, "experiment_id");
    out->name = server_text(info, "run_name");
    out->user = server_text(info, "user_id");
    out->status = server_text(info, "status");
    out->artifact_uri = server_text(info, "artifact_uri");
    out->start_ms = server_number(info, "start_time");
    if (json_object_get(info, "end_time"))
        out->end_ms = SET_I64(server_number(info, "end_time"));
    if (str_eq(server_text(info, "lifecycle_stage"), "deleted"))
        out->deleted_ms = out->end_ms.set ? out->end_ms : SET_I64(out->start_ms);
    out->params = server_pairs(c, json_object_get(data, "params"));
    out->tags = server_pairs(c, json_object_get(data, "tags"));
    datasets(c, json_object_get(inputs, "dataset_inputs"), out);
    out->inputs = uses(c, json_object_get(inputs, "model_inputs"), &out->ninputs);
    out->outputs = uses(c, json_object_get(outputs, "model_outputs"), &out->noutputs);
    return 1;
}

/* ------------------------------------------------------------------ points */

/* All points of one key; they lie on the heap, each page in a context of its own. */
static int history(struct server *s, struct ctx *told, const char *run_id, const char *key,
                   struct buf *out) {
    const char *path = arena_printf(
        told->arena,
        "/api/2.0/mlflow/metrics/get-history?run_id=%s&metric_key=%s&max_results=25000",
        server_escape(told, run_id), server_escape(told, key));
    struct server_pages p = {0};
    int rc;
    do {
        struct ctx c;
        json_t *answer = NULL, *one;
        size_t i;
        ctx_begin(&c);
        rc = server_get_page(s, &c, path, &p, &answer);
        json_array_foreach(json_object_get(rc == 0 ? answer : NULL, "metrics"), i, one) {
            struct copy_point point = {.key = key,
                                       .time_ms = server_number(one, "timestamp"),
                                       .step = server_number(one, "step")};
            point.value = server_value(one, "value", &point.is_nan);
            buf_put(out, &point, sizeof point);
        }
        rc = rc < 0 ? rc : server_turn(s, &c, answer, out->len / sizeof(struct copy_point), &p);
        if (rc < 0)
            (void)fail(told, -rc, "%s", c.err.message);
        ctx_end(&c);
    } while (rc == 0 && p.token.len);
    buf_free(&p.token);
    return rc;
}

int server_points(struct source *src, struct ctx *c, const char *run_id, copy_points_fn *each,
                  void *arg) {
    struct server *s = (struct server *)src;
    json_t *run = NULL, *one;
    struct buf points = {0};
    size_t n = 0, i;
    int rc = get_run(s, c, run_id, &run);
    const json_t *metrics = json_object_get(json_object_get(run, "data"), "metrics");
    const char **keys = ARENA_ARRAY(c->arena, const char *, json_array_size(metrics) + 1);
    json_array_foreach((json_t *)metrics, i, one) {
        keys[n++] = server_text(one, "key");
    }
    order_texts(keys, n);
    for (i = 0; i < n && rc == 0; i++) {
        buf_clear(&points);
        rc = history(s, c, run_id, keys[i], &points);
        struct copy_point *p = (struct copy_point *)(void *)points.data;
        size_t count = points.len / sizeof *p;
        if (rc == 0 && count) {
            /* A server may tell a point twice, which its table holds once. */
            rc = each(arg, p, order_points(p, count));
        }
    }
    buf_free(&points);
    return rc;
}
