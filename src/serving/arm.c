/* SPDX-License-Identifier: Apache-2.0 */
#include "arm.h"

#include <string.h>

#include "endpoint.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "spec.h"

static int move(struct ctx *c, struct arm *a, const char *to) {
    if (strcmp(a->state, to) == 0)
        return 0;
    int rc = lifecycle_check(c, &endpoint_lifecycle, a->state, to);
    if (rc == 0)
        a->state = to;
    return rc;
}

static struct arm *find(struct arm *arms, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(arms[i].name, name) == 0)
            return &arms[i];
    return NULL;
}

static void forget(struct arm *a) {
    a->model = a->sha256 = a->reason = a->vetted = "";
    a->version = a->done = a->bytes = a->load_ms = a->used_ms = 0;
}

/* The number of an arm's name; a new name gets the next, so that no two ever share one. */
static int put_one(struct ctx *c, const struct endpoint *e, const struct endpoint_spec *s,
                   size_t place, struct arm *known, size_t n, int64_t *next, bool anew) {
    const struct arm_spec *want = &((const struct arm_spec *)s->arms.items)[place];
    struct arm *found = find(known, n, want->name);
    struct arm a = found ? *found
                         : (struct arm){.project = e->project,
                                        .endpoint = e->name,
                                        .name = want->name,
                                        .number = *next,
                                        .state = "pending"};
    if (!found)
        ++*next;
    if (!found || anew || strcmp(a.state, "deleted") == 0)
        forget(&a);
    a.place = (int64_t)place;
    a.target = spec_target(want);
    a.runtime = spec_runtime_text(c, want);
    a.pinned = want->graph || (s->warm && strcmp(s->warm, "pinned") == 0);
    a.revision = e->revision;
    a.reason = "";
    int rc = move(c, &a, "pending");
    return rc < 0 ? rc : arm_store_put(c, &a);
}

static int drop(struct ctx *c, struct arm *a) {
    const char *model = a->model;
    int64_t version = a->version;
    int rc = move(c, a, "deleted");
    forget(a);
    if (rc == 0)
        rc = arm_store_put(c, a);
    return rc < 0 ? rc : endpoint_link(c, a, model, version);
}

int arms_put(struct ctx *c, const struct endpoint *e, const struct endpoint_spec *s, bool anew) {
    struct arm *known;
    size_t n;
    int64_t next = 0;
    int rc = arm_list(c, e->project, e->name, &known, &n);
    for (size_t i = 0; rc == 0 && i < n; i++)
        next = known[i].number >= next ? known[i].number + 1 : next;
    for (size_t i = 0; rc == 0 && i < s->arms.n; i++)
        rc = put_one(c, e, s, i, known, n, &next, anew);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        bool wanted = false;
        for (size_t k = 0; k < s->arms.n; k++)
            wanted = wanted ||
                     strcmp(((const struct arm_spec *)s->arms.items)[k].name, known[i].name) == 0;
        if (!wanted && strcmp(known[i].state, "deleted") != 0)
            rc = drop(c, &known[i]);
    }
    return rc;
}

int arms_delete(struct ctx *c, const struct endpoint *e) {
    struct arm *known;
    size_t n;
    int rc = arm_list(c, e->project, e->name, &known, &n);
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (strcmp(known[i].state, "deleted") != 0)
            rc = drop(c, &known[i]);
    return rc;
}

int arm_record(struct ctx *c, const struct arm_load *o) {
    struct arm *known;
    size_t n;
    c->project = o->project;
    int rc = arm_list(c, o->project, o->endpoint, &known, &n);
    if (rc < 0)
        return rc;
    struct arm *a = find(known, n, o->arm);
    if (!a || strcmp(a->state, "deleted") == 0)
        return 0;
    const char *model = a->model;
    int64_t version = a->version;
    if (a->revision == o->revision) { /* else bound anew while this one was loading */
        rc = move(c, a, o->state);
        a->reason = o->reason;
        if (strcmp(o->state, "loading") != 0)
            a->done = o->revision;
    }
    if (o->model) {
        a->model = o->model;
        a->version = o->version;
        a->sha256 = o->sha256;
        a->vetted = o->vetted;
        a->bytes = o->bytes;
        a->load_ms = o->load_ms;
    }
    if (rc == 0)
        rc = arm_store_put(c, a);
    if (rc == 0)
        rc = endpoint_link(c, a, model, version);
    return rc < 0 ? rc : endpoint_follow(c, a);
}
