/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/core/ctx.h"
#include "quern/onnx/onnx.h"
#include "session.h"

#define BLOCKS_NS 2000000            /* of one row: others on its network thread would feel it */
#define ZEROS_MAX ((size_t)64 << 20) /* elements of one made-up input */

int model_zeros(struct ctx *c, const struct tensor_spec *specs, size_t n, struct tensor **out) {
    struct tensor *t = ARENA_ARRAY(c->arena, struct tensor, n ? n : 1);
    for (size_t i = 0; i < n; i++) {
        t[i] =
            (struct tensor){.name = specs[i].name, .dtype = specs[i].dtype, .rank = specs[i].rank};
        t[i].count = 1;
        for (size_t d = 0; d < specs[i].rank; d++) {
            t[i].shape[d] = specs[i].shape[d] < 0 ? 1 : specs[i].shape[d];
            if (__builtin_mul_overflow(t[i].count, (size_t)t[i].shape[d], &t[i].count) ||
                t[i].count > ZEROS_MAX)
                return fail(c, ERR_UNPROCESSABLE,
                            "input '%s' of the model has a fixed size too large "
                            "to be served",
                            specs[i].name);
        }
        t[i].data = arena_alloc_n(c->arena, t[i].count ? t[i].count : 1, dtype_size(t[i].dtype));
        for (size_t k = 0; t[i].dtype == DT_BYTES && k < t[i].count; k++)
            ((struct bytes *)t[i].data)[k].data = "";
    }
    *out = t;
    return 0;
}

/* The graph tells open sizes, the run tells how many tensors a sequence holds and their width. */
static void describe_outputs(struct model *m, const struct onnx_session *session,
                             const struct tensor *ran, size_t nran) {
    const struct tensor_spec *graph;
    size_t ngraph = onnx_outputs(session, &graph);
    m->outputs = ARENA_ARRAY(m->arena, struct tensor_spec, nran ? nran : 1);
    m->noutputs = nran;
    for (size_t i = 0; i < nran; i++) {
        struct tensor_spec *spec = &m->outputs[i];
        *spec = (struct tensor_spec){.name = arena_strdup(m->arena, ran[i].name),
                                     .dtype = ran[i].dtype,
                                     .rank = ran[i].rank};
        for (size_t d = 0; d < ran[i].rank; d++)
            spec->shape[d] = d == 0 ? -1 : ran[i].shape[d];
        for (size_t g = 0; !ran[i].classes && g < ngraph; g++)
            if (strcmp(graph[g].name, spec->name) == 0 && graph[g].rank == spec->rank)
                memcpy(spec->shape, graph[g].shape, sizeof spec->shape);
        if (ran[i].classes) {
            size_t n = (size_t)ran[i].shape[1];
            const char **classes = ARENA_ARRAY(m->arena, const char *, n + 1);
            for (size_t k = 0; k < n; k++)
                classes[k] = arena_strdup(m->arena, ran[i].classes[k]);
            spec->classes = classes;
        }
    }
}

static int run_onnx(struct ctx *c, const struct model *m, const struct tensor *in, size_t nin,
                    const char *const *wanted, struct tensor **out, size_t *nout) {
    const struct shared_session *s = m->state;
    return onnx_run(c, s->session, in, nin, wanted, out, nout);
}

static void free_onnx(struct model *m) {
    session_release(m->state);
}

static const struct runtime onnx_runtime = {.name = "onnx", .run = run_onnx, .free = free_onnx};

int model_load(struct ctx *c, const char *path, const char *sha256, struct model **out) {
    struct model *m = mem_alloc(sizeof *m);
    struct shared_session *s = NULL;
    m->arena = arena_new();
    m->runtime = &onnx_runtime;
    m->platform = "onnxruntime_onnx";
    m->made_of = "";
    int rc = session_share(c, path, sha256, &s);
    struct tensor *zeros = NULL, *ran = NULL;
    size_t nran = 0;
    m->state = s;
    if (rc == 0) {
        m->ninputs = onnx_inputs(s->session, &m->inputs);
        rc = model_zeros(c, m->inputs, m->ninputs, &zeros);
    }
    int64_t took = INT64_MAX;
    for (int i = 0; rc == 0 && i < 3; i++) { /* the first run allocates, the others are warm */
        int64_t began = clock_mono_ns(), ns;
        rc = run_onnx(c, m, zeros, m->ninputs, NULL, &ran, &nran);
        ns = clock_mono_ns() - began;
        took = ns < took ? ns : took;
    }
    if (rc < 0) {
        model_free(m);
        return rc;
    }
    m->blocks = took > BLOCKS_NS;
    describe_outputs(m, s->session, ran, nran);
    *out = m;
    return 0;
}

static _Thread_local const char *params_in_use;

void model_params_use(const char *json) {
    params_in_use = json;
}

const char *model_params(void) {
    return params_in_use;
}

int model_run(struct ctx *c, const struct model *m, const struct tensor *in, size_t nin,
              const char *const *wanted, struct tensor **out, size_t *nout) {
    return m->runtime->run(c, m, in, nin, wanted, out, nout);
}

void model_free(struct model *m) {
    if (!m)
        return;
    if (m->runtime)
        m->runtime->free(m);
    arena_free(m->arena);
    free(m);
}
