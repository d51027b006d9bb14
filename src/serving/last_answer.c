/* SPDX-License-Identifier: Apache-2.0 */
#include "last_answer.h"

#include "cache.h"
#include "lastgood.h"
#include "limit_spec.h"
#include "model.h"
#include "plan.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/rollout/spec.h"
#include "snapshot.h"

static const char *header(const struct ctx *c, const char *name) {
    for (size_t i = 0; i < c->header_count; i++)
        if (str_ieq(c->headers[i].name, name))
            return c->headers[i].value;
    return NULL;
}

static const char *attribute(struct ctx *c, const struct request *q, const struct key_spec *key) {
    if (key->header)
        return header(c, key->header);
    if (key->parameter)
        return q->parameter ? q->parameter(c, q, key->parameter) : NULL;
    return q->field ? q->field(c, q, key->field) : NULL;
}

/* The inputs as another arm's model takes them may differ: then they are another key. */
static const char *key_of(struct ctx *c, const struct entry *e, const struct request *q,
                          const struct tensor *in, size_t nin) {
    const struct last_spec *s = e->plan->spec.last;
    if (s && s->key)
        return attribute(c, q, s->key);
    if (!nin)
        return NULL;
    struct digest128 d = cache_digest(NULL, NULL, in, nin, NULL);
    char hex[2 * sizeof d + 1];
    hex_encode(&d, sizeof d, hex);
    return arena_strdup(c->arena, hex);
}

void last_answer_keep(struct ctx *c, const struct entry *e, const struct request *q,
                      const struct answer *a) {
    const char *key = key_of(c, e, q, a->inputs, a->ninputs);
    if (!key || !a->model)
        return;
    struct kept_answer kept = {
        .outputs = a->outputs, .n = a->n, .arm = a->arm->name, .version = a->version};
    lastgood_put(e->plan->lastgood, key, q->wanted, &kept);
}

/* An arm that found no place, or whose time was over, has not read the inputs yet. */
static void bind_inputs(struct ctx *c, struct request *q, const struct answer *a,
                        struct tensor **in, size_t *nin) {
    const struct model *m = a->arm ? a->arm->model : NULL;
    if (!m || q->bind(c, q, m, in, nin) < 0)
        *nin = 0;
    err_clear(c);
}

int last_answer_take(struct ctx *c, const struct entry *e, struct request *q, struct answer *a) {
    const struct last_spec *s = e->plan->spec.last;
    const struct tensor *in = a->inputs;
    struct tensor *bound = NULL;
    size_t nin = a->ninputs;
    if (!nin && !(s && s->key)) {
        bind_inputs(c, q, a, &bound, &nin);
        in = bound;
    }
    const char *key = key_of(c, e, q, in, nin);
    struct kept_answer kept;
    if (!key || !lastgood_get(e->plan->lastgood, c, key, q->wanted, q->rows,
                              s && s->max_age_ms.set ? s->max_age_ms.v : 0, &kept))
        return -ERR_NOT_FOUND;
    a->outputs = kept.outputs;
    a->n = kept.n;
    a->model = NULL;
    a->version = kept.version;
    a->by = arena_printf(c->arena, "%s; version=%s; last=?1; age_ms=%lld; reason=", kept.arm,
                         kept.version, (long long)(kept.age_ns / 1000000));
    return 0;
}
