/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <string.h>

#include "json_value.h"
#include "pipeline_run.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"
#include "quern/tracking/tracking.h"

const struct step_row *view_step(const struct run_view *v, const char *name) {
    for (size_t i = 0; i < v->n; i++) {
        if (str_eq(v->steps[i].name, name)) {
            return &v->steps[i];
        }
    }
    return NULL;
}

static int parse(struct ctx *c, const char *text, json_t **out) {
    *out = NULL;
    return text ? json_parse(c, DIALECT_PROBLEM, text, strlen(text), out) : 0;
}

const struct step_row *view_effective(struct ctx *c, const struct run_view *v, size_t step) {
    const struct step *s = &v->d->steps[step];
    if (s->fan_out) {
        return NULL;
    }
    const struct step_row *row = view_step(v, s->name);
    if (!row || s->kind != STEP_SELECT) {
        return row;
    }
    json_t *result;
    if (parse(c, row->result, &result) || !result) {
        return NULL;
    }
    const char *chosen = json_string_value(json_object_get(result, "step"));
    return chosen ? view_step(v, chosen) : NULL;
}

int view_metrics(struct ctx *c, const struct step_row *s, struct fpairs *out) {
    struct fpairs tracked = {0};
    struct output_rows outputs = {0};
    int rc = s->origin_attempt ? outputs_load(c, s->origin_attempt, &outputs) : 0;
    if (rc == 0 && s->tracking_run_id && run_metrics(c, s->tracking_run_id, &tracked)) {
        err_clear(c); /* the tracking run was deleted: the step's own outputs are what is left */
        tracked = (struct fpairs){0};
    }
    struct fpairs *parts = ARENA_ARRAY(c->arena, struct fpairs, outputs.n + 1);
    size_t total = tracked.n;
    for (size_t i = 0; rc == 0 && i < outputs.n; i++) {
        json_t *document = NULL;
        if (str_eq(outputs.items[i].kind, "metrics")) {
            rc = parse(c, outputs.items[i].data, &document);
            rc = rc || !document ? rc : json_flatten(c, document, &parts[i]);
            total += parts[i].n;
        }
    }
    *out = (struct fpairs){.items = ARENA_ARRAY(c->arena, struct fpair, total + 1)};
    for (size_t i = 0; rc == 0 && i < outputs.n; i++) {
        for (size_t k = 0; k < parts[i].n; k++) {
            out->items[out->n++] = parts[i].items[k];
        }
    }
    size_t own = out->n;
    for (size_t i = 0; rc == 0 && i < tracked.n; i++) {
        struct fpairs before = {.items = out->items, .n = own};
        if (!metric_find(&before, tracked.items[i].key)) {
            out->items[out->n++] = tracked.items[i];
        }
    }
    return rc;
}

const double *metric_find(const struct fpairs *metrics, const char *name) {
    for (size_t i = 0; i < metrics->n; i++) {
        if (str_eq(metrics->items[i].key, name)) {
            return &metrics->items[i].value;
        }
    }
    return NULL;
}

static int instance_values(struct ctx *c, const struct step_row *s, json_t *into) {
    struct output_rows outputs = {0};
    struct fpairs metrics = {0};
    int rc = s->origin_attempt ? outputs_load(c, s->origin_attempt, &outputs) : 0;
    json_t *map = json_object();
    json_object_set_new(into, "outputs", map);
    for (size_t i = 0; rc == 0 && i < outputs.n; i++) {
        const struct output_row *o = &outputs.items[i];
        json_t *data = NULL;
        rc = parse(c, o->data, &data);
        if (data) {
            json_object_set(map, o->name, data);
        } else {
            json_object_set_new(map, o->name,
                                json_pack("{s:s,s:s,s:I}", "path", o->path, "sha256", o->sha256,
                                          "size", (json_int_t)o->size));
        }
    }
    rc = rc ? rc : view_metrics(c, s, &metrics);
    map = json_object();
    json_object_set_new(into, "metrics", map);
    for (size_t i = 0; i < metrics.n; i++) {
        json_object_set_new(map, metrics.items[i].key, json_real(metrics.items[i].value));
    }
    json_object_set_new(into, "state", json_string(step_state_name(s->state)));
    if (s->tracking_run_id) {
        json_object_set_new(into, "run_id", json_string(s->tracking_run_id));
    }
    json_t *item = NULL;
    rc = rc ? rc : parse(c, s->item, &item);
    if (item) {
        json_object_set(into, "item", item);
        json_object_set_new(into, "index", json_integer(s->item_index));
    }
    return rc;
}

int view_step_values(struct ctx *c, const struct run_view *v, size_t step, struct json_t **out) {
    const struct step *s = &v->d->steps[step];
    json_t *values = json_on_arena(c, json_object()), *result = NULL;
    *out = values;
    if (s->fan_out) {
        json_t *list = json_array(), *ids = json_array();
        json_object_set_new(values, "instances", list);
        json_object_set_new(values, "run_ids", ids);
        int rc = 0;
        for (size_t i = 0; rc == 0 && i < v->n; i++) {
            if (v->steps[i].index_in_definition == step) {
                json_t *one = json_object();
                json_array_append_new(list, one);
                rc = instance_values(c, &v->steps[i], one);
                json_array_append_new(ids, v->steps[i].tracking_run_id
                                               ? json_string(v->steps[i].tracking_run_id)
                                               : json_null());
            }
        }
        return rc;
    }
    const struct step_row *row = view_step(v, s->name), *from = view_effective(c, v, step);
    int rc = from ? instance_values(c, from, values) : 0;
    rc = rc || !row ? rc : parse(c, row->result, &result);
    if (row) {
        json_object_set_new(values, "state", json_string(step_state_name(row->state)));
    }
    if (json_is_object(result)) {
        json_object_update(values, result);
    }
    return rc;
}

static int add_steps(struct ctx *c, const struct run_view *v, const struct step *step,
                     json_t *root) {
    json_t *steps = json_object(), *values;
    json_object_set_new(root, "steps", steps);
    for (size_t i = 0; i < step->nneeds; i++) {
        int rc = view_step_values(c, v, step->needs[i], &values);
        if (rc) {
            return rc;
        }
        json_object_set(steps, v->d->steps[step->needs[i]].name, values);
    }
    return 0;
}

int view_scope(struct ctx *c, const struct run_view *v, const struct step *step,
               const struct step_row *instance, struct json_t **out) {
    json_t *root = json_on_arena(c, json_object()), *item = NULL;
    json_object_set(root, "params", v->params);
    json_object_set_new(root, "pipeline",
                        json_pack("{s:s,s:s}", "name", v->d->name, "experiment", v->d->experiment));
    json_object_set_new(root, "run",
                        json_pack("{s:s,s:s*,s:s}", "id", v->run.id, "tracking_id",
                                  v->run.tracking_run_id, "commit",
                                  v->run.git.commit ? v->run.git.commit : ""));
    json_object_set_new(root, "step",
                        json_pack("{s:s}", "name", instance ? instance->name : step->name));
    int rc = instance ? parse(c, instance->item, &item) : 0;
    if (item) {
        json_object_set(root, "item", item);
        json_object_set_new(root, "index", json_integer(instance->item_index));
    }
    *out = root;
    return rc ? rc : add_steps(c, v, step, root);
}
