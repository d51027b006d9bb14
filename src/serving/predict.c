/* SPDX-License-Identifier: Apache-2.0 */
#include "predict.h"

#include <string.h>

#include "model.h"
#include "plan.h"
#include "quern/core/ctx.h"
#include "snapshot.h"

/* Once a second is enough to tell who was used last. */
static void touch(const struct ctx *c, const struct entry_arm *a) {
    int64_t then = atomic_load_explicit(&a->live->used_ms, memory_order_relaxed);
    if (c->now_ms - then > 1000)
        atomic_store_explicit(&a->live->used_ms, c->now_ms, memory_order_relaxed);
}

static const struct entry_arm *of_version(const struct entry *e, const char *version) {
    for (size_t i = 0; i < e->narms; i++)
        if (e->arms[i].model && strcmp(e->arms[i].model->version_text, version) == 0)
            return &e->arms[i];
    return NULL;
}

static const struct entry_arm *of_name(const struct entry *e, const char *name) {
    for (size_t i = 0; i < e->narms; i++)
        if (strcmp(e->arms[i].name, name) == 0)
            return &e->arms[i];
    return NULL;
}

static int choose(struct ctx *c, const struct entry *e, const struct request *q,
                  const struct entry_arm **arm) {
    if (q->version) {
        *arm = of_version(e, q->version);
        if (!*arm)
            return fail(c, ERR_NOT_FOUND, "endpoint '%s' serves version %s, not '%.40s'", e->name,
                        e->model->version_text, q->version);
    } else if (q->arm) {
        *arm = of_name(e, q->arm);
        if (!*arm)
            return fail(c, ERR_NOT_FOUND, "endpoint '%s' has no arm '%.64s'", e->name, q->arm);
    } else {
        *arm = &e->arms[0];
    }
    return 0;
}

/* One arm's answer. */
static int run(struct ctx *c, const struct entry *e, const struct entry_arm *arm, struct request *q,
               struct answer *a) {
    struct tensor *in = NULL;
    size_t nin = 0;
    if (!arm->model)
        return fail(c, ERR_NOT_READY, "arm '%s' of endpoint '%s' is not ready (%s)%s%s", arm->name,
                    e->name, arm->state, *arm->reason ? ": " : "", arm->reason);
    touch(c, arm);
    int rc = q->bind(c, q, arm->model, &in, &nin);
    if (rc == 0)
        rc = model_run(c, arm->model, in, nin, q->wanted, &a->outputs, &a->n);
    a->model = arm->model;
    return rc;
}

int predict(struct ctx *c, const struct entry *e, struct request *q, struct answer *a) {
    int rc = choose(c, e, q, &a->arm);
    return rc < 0 ? rc : run(c, e, a->arm, q, a);
}
