/* SPDX-License-Identifier: Apache-2.0 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mlruns.h"
#include "order.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "yaml_flat.h"

static const char *or_empty(const char *s) {
    return s ? s : "";
}

static const char *status_of(const char *text) {
    static const char *const names[] = {"RUNNING",  "RUNNING", "SCHEDULED",
                                        "FINISHED", "FAILED",  "KILLED"};
    int64_t n = 0;
    if (text && str_to_i64(text, &n))
        return names[n >= 1 && n <= 5 ? n : 1];
    return text && *text ? text : "RUNNING";
}

/* ------------------------------------------------------------------ inputs */

static struct pairs tags_of(struct ctx *c, const struct pairs *y) {
    struct pairs out = {.items = ARENA_ARRAY(c->arena, struct pair, y->n + 1)};
    for (size_t i = 0; i < y->n; i++)
        if (str_starts(y->items[i].key, "tags/"))
            out.items[out.n++] =
                (struct pair){.key = y->items[i].key + 5, .value = y->items[i].value};
    order_pairs(&out);
    return out;
}

static void add_dataset(struct ctx *c, const struct mlruns *m, const char *experiment,
                        const struct pairs *input, struct copy_run *out, void **items,
                        size_t *cap) {
    struct pairs y;
    const char *path = arena_printf(c->arena, "%s/datasets/%s", experiment,
                                    or_empty(yaml_get(input, "source_id")));
    if (!mlruns_yaml(c, m, path, "meta.yaml", &y))
        return;
    struct copy_dataset *d = arena_push(c->arena, items, &out->ndatasets, cap, sizeof *d);
    *d = (struct copy_dataset){.name = or_empty(yaml_get(&y, "name")),
                               .digest = or_empty(yaml_get(&y, "digest")),
                               .source_type = yaml_get(&y, "source_type"),
                               .source = yaml_get(&y, "source"),
                               .schema = yaml_get(&y, "schema"),
                               .profile = yaml_get(&y, "profile"),
                               .tags = tags_of(c, input)};
}

static void add_use(struct ctx *c, const char *model, int64_t step, struct copy_model_use **to,
                    size_t *n, size_t *cap) {
    void *items = *to;
    struct copy_model_use *u = arena_push(c->arena, &items, n, cap, sizeof *u);
    *u = (struct copy_model_use){.model_id = model, .step = step};
    *to = items;
}

static void read_inputs(struct ctx *c, const struct mlruns *m, const char *path,
                        struct copy_run *out) {
    const char *slash = strrchr(path, '/');
    const char *experiment = arena_strndup(c->arena, path, (size_t)(slash - path));
    const char *folder = arena_printf(c->arena, "%s/inputs", path);
    char **names = NULL;
    size_t n = 0, cap = 0, uses = 0;
    void *items = NULL;
    if (dir_list(m->root, folder, c->arena, &names, &n) != 0)
        return;
    for (size_t i = 0; i < n; i++) {
        struct pairs y;
        if (!mlruns_yaml(c, m, arena_printf(c->arena, "%s/%s", folder, names[i]), "meta.yaml", &y))
            continue;
        const char *type = yaml_get(&y, "source_type");
        if (type && str_eq(type, "DATASET"))
            add_dataset(c, m, experiment, &y, out, &items, &cap);
        else if (yaml_get(&y, "source_id"))
            add_use(c, yaml_get(&y, "source_id"), 0, &out->inputs, &out->ninputs, &uses);
    }
    out->datasets = items;
    order_datasets(out->datasets, out->ndatasets);
}

/* Folders named by the model; they come sorted. */
static void read_outputs(struct ctx *c, const struct mlruns *m, const char *path,
                         struct copy_run *out) {
    const char *folder = arena_printf(c->arena, "%s/outputs", path);
    char **names = NULL;
    size_t n = 0, cap = 0;
    if (dir_list(m->root, folder, c->arena, &names, &n) != 0)
        return;
    for (size_t i = 0; i < n; i++) {
        struct pairs y;
        if (mlruns_yaml(c, m, arena_printf(c->arena, "%s/%s", folder, names[i]), "meta.yaml", &y))
            add_use(c, names[i], yaml_number(&y, "step"), &out->outputs, &out->noutputs, &cap);
    }
}

int mlruns_run(struct source *s, struct ctx *c, const char *after, struct copy_run *out) {
    const struct mlruns *m = (struct mlruns *)s;
    const struct mlruns_item *r = mlruns_after(&m->runs, after);
    struct pairs y;
    *out = (struct copy_run){0};
    if (!r)
        return 0;
    out->id = r->id;
    if (!mlruns_yaml(c, m, r->path, "meta.yaml", &y))
        return fail(c, ERR_INVALID, "The file %s/meta.yaml is no mapping.", r->path);
    const char *experiment = yaml_get(&y, "experiment_id");
    if (!experiment || !str_to_i64(experiment, &out->experiment))
        return fail(c, ERR_INVALID, "The file %s/meta.yaml names no experiment.", r->path);
    out->name = or_empty(yaml_get(&y, "run_name"));
    out->user = or_empty(yaml_get(&y, "user_id"));
    out->status = status_of(yaml_get(&y, "status"));
    out->start_ms = yaml_number(&y, "start_time");
    if (yaml_get(&y, "end_time"))
        out->end_ms = SET_I64(yaml_number(&y, "end_time"));
    if (str_eq(or_empty(yaml_get(&y, "lifecycle_stage")), "deleted"))
        out->deleted_ms =
            SET_I64(yaml_get(&y, "deleted_time") ? yaml_number(&y, "deleted_time") : c->now_ms);
    out->artifact_uri = mlruns_artifacts(c, m, r->path, yaml_get(&y, "artifact_uri"));
    int rc = mlruns_files(c, m, arena_printf(c->arena, "%s/params", r->path), &out->params);
    rc = rc ? rc : mlruns_files(c, m, arena_printf(c->arena, "%s/tags", r->path), &out->tags);
    read_inputs(c, m, r->path, out);
    read_outputs(c, m, r->path, out);
    for (size_t i = 0; !*out->name && i < out->tags.n; i++)
        if (str_eq(out->tags.items[i].key, "mlflow.runName"))
            out->name = out->tags.items[i].value;
    return rc < 0 ? rc : 1;
}

/* ------------------------------------------------------------------ points */

static bool read_value(const char *text, struct copy_point *p) {
    const char *bare = text + (*text == '-' || *text == '+');
    p->is_nan = str_ieq(bare, "nan");
    p->value = 0;
    if (p->is_nan)
        return true;
    if (str_ieq(bare, "inf") || str_ieq(bare, "infinity")) {
        p->value = *text == '-' ? -DBL_MAX : DBL_MAX;
        return true;
    }
    return str_to_f64(text, &p->value);
}

/* "timestamp value step", the step absent in old files. */
static bool read_line(struct ctx *c, const char *line, size_t n, struct copy_point *p) {
    char *text = arena_strndup(c->arena, line, n);
    char *save = NULL, *time = strtok_r(text, " \t\r", &save);
    char *value = strtok_r(NULL, " \t\r", &save), *step = strtok_r(NULL, " \t\r", &save);
    p->step = 0;
    return time && value && str_to_i64(time, &p->time_ms) && read_value(value, p) &&
           (!step || str_to_i64(step, &p->step));
}

static int tell_file(struct ctx *c, const char *key, const char *text, copy_points_fn *each,
                     void *arg) {
    size_t lines = 1, n = 0;
    for (const char *p = text; *p; p++)
        lines += *p == '\n';
    struct copy_point *points = ARENA_ARRAY(c->arena, struct copy_point, lines);
    for (const char *p = text; *p;) {
        size_t len = strcspn(p, "\n");
        if (len && !read_line(c, p, len, &points[n]))
            return fail(c, ERR_INVALID, "A line of metric '%s' has no form that is known.", key);
        n += len > 0;
        p += len + (p[len] == '\n');
    }
    for (size_t i = 0; i < n; i++)
        points[i].key = key;
    n = order_points(points, n);
    return n ? each(arg, points, n) : 0;
}

int mlruns_points(struct source *s, struct ctx *c, const char *run_id, copy_points_fn *each,
                  void *arg) {
    const struct mlruns *m = (struct mlruns *)s;
    const struct mlruns_item *r = mlruns_find(&m->runs, run_id);
    struct pairs files = {0};
    int rc = r ? mlruns_files(c, m, arena_printf(c->arena, "%s/metrics", r->path), &files) : 0;
    for (size_t i = 0; i < files.n && rc >= 0; i++)
        rc = tell_file(c, files.items[i].key, files.items[i].value, each, arg);
    return rc;
}
