/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cache_key.h"
#include "json_value.h"
#include "launch.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/fd.h"
#include "quern/base/str.h"
#include "quern/db/db.h"
#include "quern/tracking/tracking.h"

struct run_base *run_base_keep(struct run_base *b) {
    atomic_fetch_add(&b->users, 1);
    return b;
}

void run_base_drop(struct run_base *b) {
    if (b && atomic_fetch_sub(&b->users, 1) == 1) {
        ctx_end(&b->c);
        free(b);
    }
}

struct shared_view *shared_view_keep(struct shared_view *s) {
    atomic_fetch_add(&s->users, 1);
    return s;
}

void shared_view_drop(struct shared_view *s) {
    if (s && atomic_fetch_sub(&s->users, 1) == 1) {
        run_base_drop(s->base);
        ctx_end(&s->c);
        free(s);
    }
}

void launch_free(struct launch *l) {
    if (l) {
        free(l->folder);
        shared_view_drop(l->view);
        ctx_end(&l->c);
        free(l);
    }
}

char *attempt_place_path(struct ctx *c, const char *run_id, const char *instance, int64_t number) {
    char *name = arena_strdup(c->arena, instance);
    char *open = strchr(name, '['), *close = strchr(name, ']');
    if (open && close) { /* train[0] is train.0 on the disk */
        *open = '.';
        *close = '\0';
    }
    return arena_printf(c->arena, "work/%s/%s/%lld", run_id, name, (long long)number);
}

/* Scope in which the places and the tracking run of this attempt have fixed stand-ins. The id of
 * the pipeline run has none: a step that names it is about this run and no other. */
static int stand_ins(struct launch *l, json_t *root) {
    json_t *map = json_object();
    json_object_set_new(root, "inputs", map);
    for (size_t i = 0; i < l->step->ninputs; i++) {
        json_object_set_new(map, l->inputs[i].name, json_sprintf("in/%s", l->inputs[i].place));
    }
    json_object_set_new(root, "outputs", map = json_object());
    for (size_t i = 0; i < l->step->noutputs; i++) {
        json_object_set_new(map, l->step->outputs[i].name,
                            json_sprintf("out/%s", l->step->outputs[i].path));
    }
    json_object_set_new(
        root, "step",
        json_pack("{s:s,s:s,s:s}", "name", l->row->name, "run_id", "", "attempt", ""));
    return 0;
}

/* A hit counts only while all its content is still there. */
static int hit_whole(struct ctx *c, int64_t attempt_id, const char *tracking_run_id, bool *whole) {
    struct output_rows outputs;
    bool active = false;
    int64_t experiment;
    int rc = outputs_load(c, attempt_id, &outputs);
    *whole = rc == 0;
    if (rc == 0 && tracking_run_id) {
        *whole = run_exists(c, tracking_run_id, &experiment, &active) == 0 && active;
    }
    for (size_t i = 0; *whole && i < outputs.n; i++) {
        struct bound_file *files = NULL;
        size_t n = 0;
        int fd = -1;
        int64_t size;
        *whole = blob_open(c, outputs.items[i].sha256, &fd, &size) == 0;
        if (*whole) {
            fd_close(fd);
        }
        if (*whole && outputs.items[i].folder) {
            *whole = manifest_read(c, outputs.items[i].sha256, "", &files, &n) == 0;
        }
        for (size_t k = 0; *whole && k < n; k++) {
            *whole = blob_open(c, files[k].sha256, &fd, &size) == 0;
            if (*whole) {
                fd_close(fd);
            }
        }
    }
    err_clear(c);
    return rc;
}

static int look_up(struct ctx *c, struct launch *l) {
    struct stmt *st =
        db_query(c,
                 "SELECT a.id, s.run_id || '/' || s.name, s.tracking_run_id FROM "
                 "pipeline_cache k JOIN pipeline_attempt a ON a.id = k.attempt_id JOIN "
                 "pipeline_step s ON s.id = a.step_id WHERE k.project_id = ? AND k.key = ?",
                 "is", c->project, l->cache_key);
    int rc = stmt_next(st);
    if (rc > 0) {
        l->hit = (struct cache_hit){.attempt_id = stmt_i64(st, 0),
                                    .from = stmt_text(c, st, 1),
                                    .tracking_run_id = stmt_text(c, st, 2)};
    }
    stmt_end(st);
    if (rc <= 0) {
        return rc;
    }
    /* The step may have had later attempts; the run that counts is the attempt's own. */
    char *tracking = NULL;
    rc = db_get_text(c, "SELECT tracking_run_id FROM pipeline_attempt WHERE id = ?", &tracking, "i",
                     l->hit.attempt_id);
    l->hit.tracking_run_id = tracking;
    bool whole = false;
    rc = rc ? rc : hit_whole(c, l->hit.attempt_id, tracking, &whole);
    if (!whole) {
        l->hit.attempt_id = 0;
    }
    return rc;
}

static int prepare(struct launch *l) {
    struct ctx *c = &l->c;
    const struct run_view *v = &l->view->v;
    int rc = view_scope(c, v, l->step, l->row, &l->root);
    if (rc || l->step->kind != STEP_RUN) {
        return rc;
    }
    rc = inputs_bind(c, v, l->step, l->root, &l->inputs);
    rc = rc ? rc : step_files(c, v, l->step, &l->files);
    json_t *root = json_on_arena(c, json_copy(l->root));
    rc = rc ? rc : stand_ins(l, root);
    struct cache_facts facts = {.step = l->step,
                                .root = root,
                                .params = v->params,
                                .item = l->row->item,
                                .pipeline_env = &v->d->env,
                                .inputs = l->inputs,
                                .files = &l->files};
    /* Made even when the cache is off: it tells of placeholders without a value. */
    rc = rc ? rc : cache_key(c, &facts, l->cache_key);
    if (rc == 0 && !l->step->cache) {
        l->cache_key[0] = '\0';
    }
    return rc || !l->cache_key[0] || !v->run.use_cache ? rc : look_up(c, l);
}

struct launch *launch_prepare(struct ctx *c, struct shared_view *view, const struct step_row *row) {
    struct launch *l = mem_alloc(sizeof *l);
    ctx_begin(&l->c);
    l->c.db = c->db;
    l->c.project = view->v.run.project;
    l->view = shared_view_keep(view);
    l->row = row;
    l->step = &view->v.d->steps[row->index_in_definition];
    if (prepare(l)) {
        l->failure = l->c.err.message ? l->c.err.message : "the step could not be prepared";
        err_clear(&l->c);
    }
    l->c.db = NULL;
    return l;
}
