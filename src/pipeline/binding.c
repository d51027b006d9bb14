/* SPDX-License-Identifier: Apache-2.0 */
#include "binding.h"

#include <fnmatch.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "json_value.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "quern/json/json_in.h"
#include "substitution.h"

#define MANIFEST_CAP ((size_t)64 << 20)

static const char *extension(const char *path) {
    const char *base = strrchr(path, '/');
    base = base ? base + 1 : path;
    const char *dot = strrchr(base, '.');
    return dot && dot != base ? dot : "";
}

static void add_file(struct ctx *c, struct bound_input *in, const char *path, const char *sha256,
                     int64_t size) {
    in->files = rows_grown(c, in->files, in->n, sizeof *in->files);
    in->files[in->n++] = (struct bound_file){.path = path, .sha256 = sha256, .size = size};
}

static void add_source(struct ctx *c, struct bound_input *in, const char *sha256) {
    in->sources.items = rows_grown(c, in->sources.items, in->sources.n, sizeof(char *));
    in->sources.items[in->sources.n++] = arena_printf(c->arena, "artifact:%s", sha256);
}

int manifest_read(struct ctx *c, const char *sha256, const char *prefix, struct bound_file **files,
                  size_t *n) {
    char *text;
    size_t length;
    json_t *list;
    *files = NULL;
    *n = 0;
    int rc = blob_read(c, sha256, MANIFEST_CAP, &text, &length);
    rc = rc ? rc : json_parse(c, DIALECT_PROBLEM, text, length, &list);
    for (size_t i = 0; rc == 0 && i < json_array_size(list); i++) {
        json_t *f = json_array_get(list, i);
        const char *path = json_string_value(json_object_get(f, "path"));
        const char *sha = json_string_value(json_object_get(f, "sha256"));
        if (!path || !sha) {
            return fail(c, ERR_INTERNAL, "a folder's manifest is damaged");
        }
        *files = rows_grown(c, *files, *n, sizeof **files);
        (*files)[(*n)++] = (struct bound_file){
            .path = arena_printf(c->arena, "%s/%s", prefix, path),
            .sha256 = sha,
            .size = (int64_t)json_integer_value(json_object_get(f, "size")),
        };
    }
    return rc;
}

/* Puts an output at place (with its extension when it is a file). */
static int bind_output(struct ctx *c, struct bound_input *in, const struct output_row *o,
                       const char *place, const char **placed) {
    add_source(c, in, o->sha256);
    if (!o->folder) {
        *placed = arena_printf(c->arena, "%s%s", place, extension(o->path));
        add_file(c, in, *placed, o->sha256, o->size);
        return 0;
    }
    struct bound_file *files;
    size_t n;
    int rc = manifest_read(c, o->sha256, place, &files, &n);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        add_file(c, in, files[i].path, files[i].sha256, files[i].size);
    }
    *placed = place;
    return rc;
}

static int bind_row(struct ctx *c, const struct step_input *spec, const struct step_row *row,
                    struct bound_input *in) {
    struct output_rows outputs = {0};
    int rc = row && row->origin_attempt ? outputs_load(c, row->origin_attempt, &outputs) : 0;
    const struct output_row *o = rc ? NULL : output_find(&outputs, spec->output);
    if (rc || !o) {
        return rc ? rc
                  : fail(c, ERR_CONFLICT, "input %s: step %s left no output %s", spec->name,
                         row ? row->name : "?", spec->output);
    }
    in->digest = o->sha256;
    return bind_output(c, in, o, spec->name, &in->place);
}

static int bind_fan_out(struct ctx *c, const struct run_view *v, const struct step_input *spec,
                        struct bound_input *in) {
    json_t *index = json_on_arena(c, json_array()), *digests = json_on_arena(c, json_array());
    in->place = spec->name;
    for (size_t i = 0; i < v->n; i++) {
        const struct step_row *row = &v->steps[i];
        struct output_rows outputs = {0};
        if (row->index_in_definition != spec->step) {
            continue;
        }
        int rc = row->origin_attempt ? outputs_load(c, row->origin_attempt, &outputs) : 0;
        const struct output_row *o = rc ? NULL : output_find(&outputs, spec->output);
        json_t *entry = json_object(), *item = NULL;
        json_array_append_new(index, entry);
        json_object_set_new(entry, "index", json_integer(row->item_index));
        rc = rc || !row->item ? rc
                              : json_parse(c, DIALECT_PROBLEM, row->item, strlen(row->item), &item);
        if (item) {
            json_object_set(entry, "item", item);
        }
        if (rc == 0 && o) {
            const char *placed;
            rc = bind_output(
                c, in, o, arena_printf(c->arena, "%s/%lld", spec->name, (long long)row->item_index),
                &placed);
            json_object_set_new(entry, "path", json_string(placed + strlen(spec->name) + 1));
            json_object_set_new(entry, "sha256", json_string(o->sha256));
        }
        /* The digest leaves out the tracking run: equal outputs are equal inputs. */
        json_array_append_new(digests, json_deep_copy(entry));
        if (row->tracking_run_id) {
            json_object_set_new(entry, "run_id", json_string(row->tracking_run_id));
        }
        struct fpairs metrics = {0};
        rc = rc ? rc : view_metrics(c, row, &metrics);
        json_t *map = json_object();
        json_object_set_new(entry, "metrics", map);
        for (size_t k = 0; k < metrics.n; k++) {
            json_object_set_new(map, metrics.items[k].key, json_real(metrics.items[k].value));
        }
        if (rc) {
            return rc;
        }
    }
    in->index = json_canonical(c, index);
    char hex[65], *text = json_canonical(c, digests);
    sha256_hex(text, strlen(text), hex);
    in->digest = arena_strdup(c->arena, hex);
    return 0;
}

static int bind_artifact(struct ctx *c, const struct step_input *spec, json_t *root,
                         struct bound_input *in) {
    char *path;
    struct artifact_entry e;
    struct artifact_entries tree;
    int rc = substitute_text(c, spec->artifact, root, &path);
    rc = rc ? rc : artifact_stat(c, path, &e);
    if (rc) {
        return rc;
    }
    if (!e.is_dir) {
        in->digest = arena_strdup(c->arena, e.sha256);
        in->place = arena_printf(c->arena, "%s%s", spec->name, extension(path));
        add_file(c, in, in->place, in->digest, e.size);
        add_source(c, in, in->digest);
        return 0;
    }
    rc = artifact_list_tree(c, path, &tree);
    json_t *digests = json_on_arena(c, json_array());
    size_t skip = strlen(path) + 1;
    in->place = spec->name;
    for (size_t i = 0; rc == 0 && i < tree.n; i++) {
        const char *sha = arena_strdup(c->arena, tree.items[i].sha256);
        const char *full = tree.items[i].path;
        const char *rel = str_starts(full, path) && strlen(full) > skip ? full + skip : full;
        add_file(c, in, arena_printf(c->arena, "%s/%s", spec->name, rel), sha, tree.items[i].size);
        add_source(c, in, sha);
        json_array_append_new(digests, json_pack("[s,s]", rel, sha));
    }
    char hex[65], *text = json_canonical(c, digests);
    sha256_hex(text, strlen(text), hex);
    in->digest = arena_strdup(c->arena, hex);
    return rc;
}

int inputs_bind(struct ctx *c, const struct run_view *v, const struct step *s, struct json_t *root,
                struct bound_input **out) {
    *out = ARENA_ARRAY(c->arena, struct bound_input, s->ninputs + 1);
    for (size_t i = 0; i < s->ninputs; i++) {
        const struct step_input *spec = &s->inputs[i];
        struct bound_input *in = &(*out)[i];
        const struct step_row *row;
        double value;
        json_t *candidates;
        int rc;
        in->name = spec->name;
        if (spec->step == NO_STEP) {
            rc = bind_artifact(c, spec, root, in);
        } else if (spec->pick.metric) {
            rc = pick_best(c, v, spec->step, &spec->pick, &row, &value, &candidates);
            rc = rc ? rc : bind_row(c, spec, row, in);
        } else if (v->d->steps[spec->step].fan_out) {
            rc = bind_fan_out(c, v, spec, in);
        } else {
            rc = bind_row(c, spec, view_effective(c, v, spec->step), in);
        }
        if (rc) {
            return rc;
        }
    }
    return 0;
}

int step_files(struct ctx *c, const struct run_view *v, const struct step *s,
               struct source_files *out) {
    *out = v->files;
    if (s->files.n == 0) {
        return 0;
    }
    *out =
        (struct source_files){.items = ARENA_ARRAY(c->arena, struct source_file, v->files.n + 1)};
    for (size_t g = 0; g < s->files.n; g++) {
        bool found = false;
        for (size_t i = 0; i < v->files.n; i++) {
            if (fnmatch(s->files.items[g], v->files.items[i].path, FNM_PATHNAME | FNM_PERIOD)) {
                continue;
            }
            found = true;
            bool have = false;
            for (size_t k = 0; k < out->n && !have; k++) {
                have = str_eq(out->items[k].path, v->files.items[i].path);
            }
            if (!have) {
                out->items[out->n++] = v->files.items[i];
            }
        }
        if (!found) {
            return fail(c, ERR_INVALID,
                        "files of step %s: nothing sent with the run matches \"%s\"", s->name,
                        s->files.items[g]);
        }
    }
    return 0;
}

int pick_best(struct ctx *c, const struct run_view *v, size_t step, const struct pick *pick,
              const struct step_row **best, double *value, struct json_t **candidates) {
    *best = NULL;
    *candidates = json_on_arena(c, json_array());
    for (size_t i = 0; i < v->n; i++) {
        const struct step_row *row = &v->steps[i];
        if (row->index_in_definition != step || !step_state_good(row->state)) {
            continue;
        }
        struct fpairs metrics;
        int rc = view_metrics(c, row, &metrics);
        const double *m = rc ? NULL : metric_find(&metrics, pick->metric);
        if (rc || !m || !isfinite(*m)) {
            return rc ? rc
                      : fail(c, ERR_CONFLICT, "%s has no metric %s to choose by%s", row->name,
                             pick->metric, m ? " (it is not finite)" : "");
        }
        json_array_append_new(*candidates, json_pack("{s:s,s:f}", "step", row->name, "value", *m));
        if (!*best || (pick->min ? *m < *value : *m > *value)) {
            *best = row;
            *value = *m;
        }
    }
    return *best ? 0
                 : fail(c, ERR_CONFLICT, "step %s has no instance to choose from",
                        v->d->steps[step].name);
}
