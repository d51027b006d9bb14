/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of an attempt, below the data directory:
 *   work/<run>/<step>/<n>/src     the source files; the process starts here
 *                        /in      inputs by name, params.json
 *                        /out     what the process leaves
 *                        /keeper  the keeper's own */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "executor.h"
#include "json_value.h"
#include "quern/artifact/artifact.h"
#include "quern/base/arena.h"
#include "quern/base/fd.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/crypto/crypto.h"
#include "quern/json/json_out.h"
#include "substitution.h"

#define COPY_BYTES ((size_t)1 << 17)

static int os_fail(struct ctx *c, const char *what, int rc) {
    int code = rc == -ENOSPC || rc == -EDQUOT ? ERR_DISK_FULL : ERR_INTERNAL;
    return fail(c, code, "%s: %s", what, strerror(-rc));
}

/* The blob's bytes, checked against its digest on the way. */
static int copy_blob(struct ctx *c, const char *sha256, int to) {
    int from = -1;
    int64_t size;
    int rc = blob_open(c, sha256, &from, &size);
    if (rc) {
        return rc;
    }
    char *part = mem_alloc(COPY_BYTES);
    struct sha256 *s = sha256_new();
    ssize_t n;
    int bad = 0;
    while (!bad && (n = fd_read_all(from, part, COPY_BYTES)) != 0) {
        bad = n < 0 ? (int)n : fd_write_all(to, part, (size_t)n);
        sha256_add(s, part, n > 0 ? (size_t)n : 0);
    }
    unsigned char digest[32];
    char hex[65];
    sha256_end(s, digest);
    hex_encode(digest, sizeof digest, hex);
    free(part);
    fd_close(from);
    if (bad) {
        return os_fail(c, "an input could not be copied", bad);
    }
    return str_eq(hex, sha256)
               ? 0
               : fail(c, ERR_INTERNAL, "stored content %.12s... does not match its digest", sha256);
}

static int make_file(struct ctx *c, struct dir *d, const char *rel, mode_t mode, const char *sha256,
                     const char *text) {
    const char *slash = strrchr(rel, '/');
    int rc = slash ? dir_mkdirs(d, arena_strndup(c->arena, rel, (size_t)(slash - rel))) : 0;
    rc = rc ? rc : dir_unlink(d, rel); /* of a start that a crash cut short */
    int fd = rc ? rc : dir_openat(d, rel, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0) {
        return os_fail(c, arena_printf(c->arena, "\"%s\" could not be made", rel), fd);
    }
    if (sha256) {
        rc = copy_blob(c, sha256, fd);
    } else {
        rc = text ? fd_write_all(fd, text, strlen(text)) : 0;
        rc = rc ? os_fail(c, "a file could not be written", rc) : 0;
    }
    fd_close(fd);
    return rc;
}

static char *params_text(struct launch *l) {
    json_t *map = json_on_arena(&l->c, json_object());
    for (size_t i = 0; i < l->step->params.n; i++) {
        const char *name = l->step->params.items[i];
        json_object_set(map, name, json_object_get(l->view->v.params, name));
    }
    return json_canonical(&l->c, map);
}

static int fill(struct launch *l, struct dir *d) {
    struct ctx *c = &l->c;
    int rc = 0;
    static const char *const folders[] = {"src", "in", "out"};
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        int made = dir_mkdirs(d, folders[i]);
        if (made) {
            return os_fail(c, "the attempt's folder could not be made", made);
        }
    }
    for (size_t i = 0; rc == 0 && i < l->files.n; i++) {
        rc = make_file(c, d, arena_printf(c->arena, "src/%s", l->files.items[i].path), 0700,
                       l->files.items[i].sha256, NULL);
    }
    for (size_t i = 0; rc == 0 && i < l->step->ninputs; i++) {
        const struct bound_input *in = &l->inputs[i];
        for (size_t k = 0; rc == 0 && k < in->n; k++) {
            rc = make_file(c, d, arena_printf(c->arena, "in/%s", in->files[k].path), 0600,
                           in->files[k].sha256, NULL);
        }
        if (rc == 0 && in->index) {
            rc = make_file(c, d, arena_printf(c->arena, "in/%s/index.json", in->place), 0600, NULL,
                           in->index);
        }
    }
    for (size_t i = 0; rc == 0 && i < l->step->noutputs; i++) {
        const char *path = l->step->outputs[i].path, *slash = strrchr(path, '/');
        if (slash) {
            int made = dir_mkdirs(d, arena_printf(c->arena, "out/%.*s", (int)(slash - path), path));
            rc = made ? os_fail(c, "a folder for outputs could not be made", made) : 0;
        }
    }
    return rc ? rc : make_file(c, d, "in/params.json", 0600, NULL, params_text(l));
}

int launch_materialise(struct launch *l, const char *base) {
    struct dir *d;
    int rc = dir_open_sub(executor.o.data, base, true, &d);
    if (rc) {
        return os_fail(&l->c, "the attempt's folder could not be made", rc);
    }
    rc = fill(l, d);
    dir_close(d);
    return rc;
}

struct growing {
    struct ctx *c;
    struct strs *out;
};

static void add(struct growing *l, const char *text) {
    l->out->items = rows_grown(l->c, l->out->items, l->out->n, sizeof(char *));
    l->out->items[l->out->n++] = text;
}

static bool has(const struct strs *env, const char *name) {
    size_t n = strlen(name);
    for (size_t i = 0; i < env->n; i++) {
        if (strncmp(env->items[i], name, n) == 0 && env->items[i][n] == '=') {
            return true;
        }
    }
    return false;
}

static void set(struct growing *l, const char *name, const char *value) {
    if (value && !has(l->out, name)) {
        add(l, arena_printf(l->c->arena, "%s=%s", name, value));
    }
}

static void set_inherited(struct growing *l) {
    const char *at = executor.o.env_allow ? executor.o.env_allow : "";
    while (*at) {
        size_t n = strcspn(at, ", ");
        if (n) {
            const char *name = arena_strndup(l->c->arena, at, n);
            set(l, name, getenv(name));
        }
        at += n + strspn(at + n, ", ");
    }
    set(l, "PATH", "/usr/local/bin:/usr/bin:/bin");
}

static void set_own(struct growing *e, struct launch *l, const char *home) {
    struct ctx *c = &l->c;
    const struct run_view *v = &l->view->v;
    set(e, "QUERN_RUN_ID", v->run.id);
    set(e, "QUERN_PIPELINE", v->run.pipeline);
    set(e, "QUERN_STEP", l->row->name);
    set(e, "QUERN_ATTEMPT", arena_printf(c->arena, "%lld", (long long)l->number));
    set(e, "QUERN_INPUTS", arena_printf(c->arena, "%s/in", home));
    set(e, "QUERN_OUTPUTS", arena_printf(c->arena, "%s/out", home));
    set(e, "QUERN_PARAMS", arena_printf(c->arena, "%s/in/params.json", home));
    set(e, "QUERN_URL", executor.o.public_url);
    set(e, "MLFLOW_TRACKING_URI", executor.o.public_url);
    set(e, "MLFLOW_TRACKING_TOKEN", l->access_token);
    if (*l->tracking_run_id) {
        set(e, "MLFLOW_RUN_ID", l->tracking_run_id);
    }
    if (v->run.experiment_id) {
        set(e, "MLFLOW_EXPERIMENT_ID",
            arena_printf(c->arena, "%lld", (long long)v->run.experiment_id));
    }
    for (size_t i = 0; i < l->step->params.n; i++) {
        const char *name = l->step->params.items[i];
        json_t *value = json_object_get(v->params, name);
        set(e, arena_printf(c->arena, "PARAM_%s", name), json_argument(c, value));
    }
    if (l->row->item) {
        set(e, "QUERN_ITEM", l->row->item);
        set(e, "QUERN_INDEX", arena_printf(c->arena, "%lld", (long long)l->row->item_index));
    }
    set(e, "PYTHONUNBUFFERED", "1"); /* so that a followed log shows lines as they are printed */
    if (l->step->cpu) {
        static const char *const names[] = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
                                            "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"};
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
            set(e, names[i], arena_printf(c->arena, "%lld", (long long)l->step->cpu));
        }
    }
}

static void real_places(struct launch *l, json_t *root, const char *home) {
    json_t *map = json_object();
    json_object_set_new(root, "inputs", map);
    for (size_t i = 0; i < l->step->ninputs; i++) {
        json_object_set_new(map, l->inputs[i].name,
                            json_sprintf("%s/in/%s", home, l->inputs[i].place));
    }
    json_object_set_new(root, "outputs", map = json_object());
    for (size_t i = 0; i < l->step->noutputs; i++) {
        json_object_set_new(map, l->step->outputs[i].name,
                            json_sprintf("%s/out/%s", home, l->step->outputs[i].path));
    }
    json_object_set_new(root, "step",
                        json_pack("{s:s,s:s,s:I}", "name", l->row->name, "run_id",
                                  l->tracking_run_id, "attempt", (json_int_t)l->number));
}

int launch_command(struct launch *l, const char *base, struct strs *argv, struct strs *env) {
    struct ctx *c = &l->c;
    json_t *root = l->root;
    const char *home = arena_printf(c->arena, "%s/%s", dir_path(executor.o.data), base);
    real_places(l, root, home);
    struct growing a = {.c = c, .out = argv}, e = {.c = c, .out = env};
    *argv = *env = (struct strs){0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < l->step->argv.n; i++) {
        char *text = NULL;
        rc = substitute_text(c, l->step->argv.items[i], root, &text);
        add(&a, text);
    }
    for (size_t i = 0; rc == 0 && i < l->step->env.n; i++) {
        char *text = NULL;
        rc = substitute_text(c, l->step->env.items[i].value, root, &text);
        set(&e, l->step->env.items[i].key, text);
    }
    for (size_t i = 0; i < l->view->v.d->env.n; i++) {
        set(&e, l->view->v.d->env.items[i].key, l->view->v.d->env.items[i].value);
    }
    set_own(&e, l, home);
    set_inherited(&e);
    add(&a, NULL);
    add(&e, NULL);
    return rc;
}

int launch_start(struct launch *l) {
    struct ctx *c = &l->c;
    struct strs argv, env;
    char *base = attempt_place_path(c, l->view->v.run.id, l->row->name, l->number);
    int rc = launch_materialise(l, base);
    rc = rc ? rc : launch_command(l, base, &argv, &env);
    if (rc) {
        return rc;
    }
    struct process_spec spec = {
        .argv = argv.items,
        .env = env.items,
        .workdir = arena_printf(c->arena, "%s/%s/src", dir_path(executor.o.data), base),
        .limits = {.timeout_ms = l->step->timeout_ms,
                   .grace_ms = l->step->grace_ms,
                   .memory_bytes = l->step->memory_bytes,
                   .cpu_seconds = l->step->cpu_seconds,
                   .log_cap = executor.o.log_cap},
    };
    return process_start(executor.watcher, c, executor.o.data, l->folder, &spec);
}
