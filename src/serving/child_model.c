/* SPDX-License-Identifier: Apache-2.0 */
#include "child_model.h"

#include <stdlib.h>
#include <string.h>

#include "child_state.h"
#include "model.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/log.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

#define EXAMPLE "serving_input_example.json"
#define EXAMPLE_MAX ((size_t)16 << 20)

struct child_model {
    struct child *child;
    struct dir *work;
    char *folder;
};

static int run_child(struct ctx *c, const struct model *m, const struct tensor *in, size_t nin,
                     const char *const *wanted, struct tensor **out, size_t *nout) {
    struct tensor *fitted = NULL;
    int rc = model_fit(c, m->inputs, m->ninputs, in, nin, &fitted);
    const struct child_model *cm = m->state;
    return rc < 0 ? rc : child_infer(c, cm->child, fitted, m->ninputs, wanted, out, nout);
}

static void free_child(struct model *m) {
    struct child_model *cm = m->state;
    if (!cm)
        return;
    child_release(cm->child);
    dir_remove_tree(cm->work, cm->folder); /* what it has open it may read on till it ends */
    free(cm->folder);
    free(cm);
}

static const struct runtime child_runtime = {.name = "child", .run = run_child, .free = free_child};

struct child *child_of_model(const struct model *m) {
    return m && m->runtime == &child_runtime ? ((const struct child_model *)m->state)->child : NULL;
}

/* What the version's authors kept as an example must be answered. */
static int try_example(struct ctx *c, struct child *ch, const char *folder) {
    struct dir *dir = NULL;
    char *text = NULL;
    size_t n = 0;
    if (ch->protocol != CHILD_MLFLOW || dir_open(folder, false, &dir) < 0)
        return 0;
    int found = dir_read_file(dir, EXAMPLE, c->arena, EXAMPLE_MAX, &text, &n);
    dir_close(dir);
    if (found < 0)
        return 0;
    const struct net_header json = {"Content-Type", "application/json"};
    struct net_local r = {.method = "POST",
                          .path = ch->spec.path ? ch->spec.path : "/invocations",
                          .headers = &json,
                          .header_count = 1,
                          .body = text,
                          .body_len = n};
    struct net_answer a = {0};
    struct child_call call;
    int64_t until = clock_mono_ms() + ch->spec.timeout_ms.v;
    int rc = child_call_begin(c, ch, until, &call);
    if (rc < 0)
        return rc;
    rc = child_send(c, &call, &r, until, &a);
    child_call_end(&call, rc < 0, false);
    net_answer_free(&a);
    if (rc == 0)
        return 0;
    const char *why = c->err.message ? c->err.message : "it was not answered";
    err_clear(c);
    return fail(c, ERR_UNPROCESSABLE, "the version's own example (" EXAMPLE ") failed: %s", why);
}

static void copy_outputs(struct model *m, const struct child_signature *s, const struct tensor *ran,
                         size_t nran) {
    size_t n = s->noutputs ? s->noutputs : nran;
    m->outputs = ARENA_ARRAY(m->arena, struct tensor_spec, n ? n : 1);
    m->noutputs = n;
    for (size_t i = 0; i < n; i++) {
        if (s->noutputs) {
            m->outputs[i] = s->outputs[i];
            continue;
        }
        struct tensor_spec *o = &m->outputs[i];
        *o = (struct tensor_spec){.name = arena_strdup(m->arena, ran[i].name),
                                  .dtype = ran[i].dtype,
                                  .rank = ran[i].rank};
        for (size_t d = 0; d < o->rank; d++)
            o->shape[d] = d == 0 ? -1 : ran[i].shape[d];
    }
}

static int try_zeros(struct ctx *c, struct model *m) {
    struct tensor *zeros = NULL, *ran = NULL;
    size_t nran = 0;
    struct child *ch = ((struct child_model *)m->state)->child;
    int rc = model_zeros(c, m->inputs, m->ninputs, &zeros);
    if (rc == 0)
        rc = child_infer(c, ch, zeros, m->ninputs, NULL, &ran, &nran);
    if (rc < 0 && (c->err.code == ERR_UNPROCESSABLE || c->err.code == ERR_INVALID)) {
        log_info("child.try", "child of %s version %s refuses zeros: %s", ch->model_name,
                 ch->version, c->err.message);
        err_clear(c);
        nran = 0;
        rc = 0;
    }
    if (rc == 0)
        copy_outputs(m, child_signature(ch), ran, nran);
    return rc;
}

int child_model_load(struct ctx *c, const struct runtime_spec *spec, struct dir *work,
                     const char *folder, const char *name, const char *version,
                     struct model **out) {
    struct model *m = mem_alloc(sizeof *m);
    struct child_model *cm = mem_alloc(sizeof *cm);
    const char *path = arena_printf(c->arena, "%s/%s", dir_path(work), folder);
    m->arena = arena_new();
    m->runtime = &child_runtime;
    m->state = cm;
    m->blocks = true;
    m->takes_params =
        strcmp(spec->protocol, "mlflow") == 0 || strcmp(spec->protocol, "vertex") == 0;
    m->platform = arena_printf(m->arena, "%s", spec->protocol);
    cm->work = work;
    cm->folder = mem_strdup(folder);
    int rc = child_new(c, spec, path, name, version, &cm->child);
    if (rc == 0)
        rc = child_await(c, cm->child);
    if (rc == 0)
        rc = try_example(c, cm->child, path);
    if (rc == 0) {
        const struct child_signature *s = child_signature(cm->child);
        m->inputs = s->inputs; /* live with the child, as the model does */
        m->ninputs = s->ninputs;
        rc = try_zeros(c, m);
    }
    if (rc < 0) {
        model_free(m);
        return rc;
    }
    *out = m;
    return 0;
}
