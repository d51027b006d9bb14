/* SPDX-License-Identifier: Apache-2.0 */
#include "mlruns.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "order.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "yaml_flat.h"

#define FILE_MAX ((size_t)64 << 20)
#define DEPTH_MAX 16

bool mlruns_yaml(struct ctx *c, const struct mlruns *m, const char *path, const char *name,
                 struct pairs *out) {
    char *text = NULL;
    size_t n = 0;
    return dir_read_file(m->root, arena_printf(c->arena, "%s/%s", path, name), c->arena, FILE_MAX,
                         &text, &n) == 0 &&
           yaml_flat(c, text, n, out);
}

static bool is_folder(const struct mlruns *m, const char *path) {
    struct stat st = {0};
    int fd = dir_openat(m->root, path, O_RDONLY | O_DIRECTORY, 0);
    bool yes = fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
    if (fd >= 0)
        close(fd);
    return yes;
}

static int gather(struct ctx *c, const struct mlruns *m, const char *path, const char *prefix,
                  struct pairs *out, size_t *cap, int depth) {
    char **names = NULL;
    size_t n = 0;
    if (depth > DEPTH_MAX || dir_list(m->root, path, c->arena, &names, &n) != 0)
        return 0; /* a run without params has no such folder */
    for (size_t i = 0; i < n; i++) {
        const char *at = arena_printf(c->arena, "%s/%s", path, names[i]);
        const char *key = *prefix ? arena_printf(c->arena, "%s/%s", prefix, names[i]) : names[i];
        char *text = NULL;
        size_t len = 0;
        if (is_folder(m, at)) {
            int rc = gather(c, m, at, key, out, cap, depth + 1);
            if (rc != 0)
                return rc;
            continue;
        }
        if (dir_read_file(m->root, at, c->arena, FILE_MAX, &text, &len) != 0)
            return fail(c, ERR_INVALID, "The file %s cannot be read.", at);
        if (memchr(text, '\0', len) || !utf8_valid(text, len) || !utf8_valid(key, strlen(key)))
            return fail(c, ERR_INVALID, "The file %s, or its name, is no UTF-8 text.", at);
        out->items = arena_room(c->arena, out->items, out->n, cap, sizeof *out->items);
        out->items[out->n++] = (struct pair){.key = key, .value = text};
    }
    return 0;
}

int mlruns_files(struct ctx *c, const struct mlruns *m, const char *path, struct pairs *out) {
    size_t cap = 0;
    *out = (struct pairs){0};
    int rc = gather(c, m, path, "", out, &cap, 0);
    order_pairs(out);
    return rc;
}

const char *mlruns_artifacts(struct ctx *c, const struct mlruns *m, const char *path,
                             const char *said) {
    const char *rel = arena_printf(c->arena, "%s/artifacts", path);
    return is_folder(m, rel) ? arena_printf(c->arena, "%s/%s", m->root_path, rel)
                             : (said ? said : "");
}

/* ------------------------------------------------------------------ ids */

static void add(struct mlruns *m, struct mlruns_items *l, const char *id, const char *path) {
    l->items = arena_room(m->arena, l->items, l->n, &l->cap, sizeof *l->items);
    l->items[l->n++] = (struct mlruns_item){.id = id, .path = path};
}

static int by_id(const void *a, const void *b) {
    return strcmp(((const struct mlruns_item *)a)->id, ((const struct mlruns_item *)b)->id);
}

static void sort(struct mlruns_items *l) {
    if (l->n)
        qsort(l->items, l->n, sizeof *l->items, by_id);
}

const struct mlruns_item *mlruns_after(const struct mlruns_items *l, const char *after) {
    size_t low = 0, high = l->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(l->items[mid].id, after) > 0)
            high = mid;
        else
            low = mid + 1;
    }
    return low < l->n ? &l->items[low] : NULL;
}

const struct mlruns_item *mlruns_find(const struct mlruns_items *l, const char *id) {
    struct mlruns_item key = {.id = id};
    return l->n ? bsearch(&key, l->items, l->n, sizeof key, by_id) : NULL;
}

static void scan_each(struct mlruns *m, const char *path, struct mlruns_items *l,
                      const char *needs) {
    char **names = NULL;
    size_t n = 0;
    if (dir_list(m->root, path, m->arena, &names, &n) != 0)
        return;
    for (size_t i = 0; i < n; i++) {
        const char *at = arena_printf(m->arena, "%s/%s", path, names[i]);
        if (dir_exists(m->root, arena_printf(m->arena, "%s/%s", at, needs)))
            add(m, l, names[i], at);
    }
}

static bool is_number(const char *s) {
    return *s && strspn(s, "0123456789") == strlen(s) && strlen(s) <= 18;
}

static void scan_experiments(struct mlruns *m, const char *folder) {
    char **names = NULL;
    size_t n = 0;
    if (dir_list(m->root, folder, m->arena, &names, &n) != 0)
        return;
    for (size_t i = 0; i < n; i++) {
        const char *at = folder ? arena_printf(m->arena, "%s/%s", folder, names[i]) : names[i];
        if (!is_number(names[i]) ||
            !dir_exists(m->root, arena_printf(m->arena, "%s/meta.yaml", at)))
            continue;
        add(m, &m->experiments, names[i], at);
        scan_each(m, at, &m->runs, "meta.yaml");
        scan_each(m, arena_printf(m->arena, "%s/models", at), &m->models, "meta.yaml");
        scan_each(m, arena_printf(m->arena, "%s/traces", at), &m->traces, "trace_info.yaml");
    }
}

/* ------------------------------------------------------------------ experiments */

static int64_t number_of(const struct mlruns_item *i) {
    int64_t n = 0;
    (void)str_to_i64(i->id, &n);
    return n;
}

static int experiment(struct source *s, struct ctx *c, int64_t after, struct copy_experiment *out) {
    const struct mlruns *m = (struct mlruns *)s;
    const struct mlruns_item *next = NULL;
    struct pairs y;
    *out = (struct copy_experiment){0};
    for (size_t i = 0; i < m->experiments.n; i++) {
        const struct mlruns_item *e = &m->experiments.items[i];
        if (number_of(e) > after && (!next || number_of(e) < number_of(next)))
            next = e;
    }
    if (!next)
        return 0;
    out->id = number_of(next);
    if (!mlruns_yaml(c, m, next->path, "meta.yaml", &y))
        return fail(c, ERR_INVALID, "The file %s/meta.yaml is no mapping.", next->path);
    const char *stage = yaml_get(&y, "lifecycle_stage"), *name = yaml_get(&y, "name");
    const char *location = yaml_get(&y, "artifact_location");
    out->name = name ? name : next->id;
    out->location = arena_printf(c->arena, "%s/%s", m->root_path, next->path);
    if (location && !str_starts(location, "file:") && location[0] != '/')
        out->location = location;
    out->deleted = stage && str_eq(stage, "deleted");
    out->created_ms = yaml_number(&y, "creation_time");
    out->updated_ms = yaml_number(&y, "last_update_time");
    int rc = mlruns_files(c, m, arena_printf(c->arena, "%s/tags", next->path), &out->tags);
    return rc < 0 ? rc : 1;
}

/* An id that two folders have is found once. */
static int rows(struct source *s, struct ctx *c, enum transfer_kind kind, int64_t *n) {
    const struct mlruns *m = (struct mlruns *)s;
    const struct mlruns_items *lists[TRANSFER_KINDS] = {[TRANSFER_EXPERIMENTS] = &m->experiments,
                                                        [TRANSFER_RUNS] = &m->runs,
                                                        [TRANSFER_LOGGED_MODELS] = &m->models,
                                                        [TRANSFER_MODELS] = &m->registered,
                                                        [TRANSFER_TRACES] = &m->traces};
    (void)c;
    *n = lists[kind] ? (int64_t)lists[kind]->n : 0;
    return 0;
}

static void close_mlruns(struct source *s) {
    struct mlruns *m = (struct mlruns *)s;
    dir_close(m->root);
    arena_free(m->arena);
    free(m->root_path);
    free(m);
}

static const struct source_ops ops = {.experiment = experiment,
                                      .run = mlruns_run,
                                      .points = mlruns_points,
                                      .model = mlruns_model,
                                      .registered = mlruns_registered,
                                      .trace = mlruns_trace,
                                      .rows = rows,
                                      .close = close_mlruns};

int mlruns_open(struct ctx *c, const char *folder, struct source **out) {
    struct mlruns *m = mem_alloc(sizeof *m);
    char *full = realpath(folder, NULL);
    if (!full || dir_open(full, false, &m->root) != 0) {
        free(full);
        free(m);
        return fail(c, ERR_NOT_FOUND, "The folder %s cannot be opened.", folder);
    }
    m->source.ops = &ops;
    m->root_path = full;
    m->arena = arena_new();
    scan_experiments(m, NULL);
    scan_experiments(m, ".trash");
    scan_each(m, "models", &m->registered, "meta.yaml");
    sort(&m->runs);
    sort(&m->models);
    sort(&m->traces);
    sort(&m->registered);
    *out = &m->source;
    if (m->experiments.n)
        return 0;
    close_mlruns(&m->source);
    return fail(c, ERR_INVALID, "The folder %s holds no experiments of MLflow.", folder);
}
