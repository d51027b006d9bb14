/* SPDX-License-Identifier: Apache-2.0 */
#include "replay_model.h"

#include <inttypes.h>
#include <string.h>

#include "arm.h"
#include "endpoint.h"
#include "load.h"
#include "model.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/lane/lane.h"
#include "quern/prediction/prediction.h"

static struct lanes *lanes;

/* What an arm serves, as a target of its own. */
static int of_arm(struct ctx *c, const char *endpoint, const char *name, const char **target) {
    struct endpoint e;
    struct arm *arms;
    size_t n = 0;
    int rc = db_read_begin(lanes_db(lanes), c);
    if (rc < 0)
        return rc;
    rc = endpoint_get(c, endpoint, &e);
    if (rc == 0)
        rc = arm_list(c, c->project, endpoint, &arms, &n);
    db_read_end(c);
    *target = NULL;
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (strcmp(arms[i].name, name) == 0)
            *target = arms[i].version ? arena_printf(c->arena, "models:/%s/%" PRId64, arms[i].model,
                                                     arms[i].version)
                                      : arms[i].target;
    if (rc == 0 && !*target)
        rc =
            fail_field(c, ERR_NOT_FOUND, "arm", "endpoint '%s' has no arm '%.64s'", endpoint, name);
    return rc;
}

static int open_model(struct ctx *c, const char *endpoint, const char *target, const char *arm,
                      struct replay_model *out) {
    struct model *m;
    int rc = target ? 0 : of_arm(c, endpoint, arm, &target);
    if (rc == 0)
        rc = load_now(c, target, &m);
    if (rc == 0)
        *out = (struct replay_model){.name = m->name,
                                     .version = m->version,
                                     .inputs = m->inputs,
                                     .ninputs = m->ninputs,
                                     .features = m->features,
                                     .nfeatures = m->nfeatures,
                                     .handle = m};
    return rc;
}

static int run_model(struct ctx *c, const struct replay_model *r, const struct tensor *in,
                     size_t nin, struct tensor **out, size_t *nout) {
    return model_run(c, r->handle, in, nin, NULL, out, nout);
}

static void close_model(struct replay_model *r) {
    model_free(r->handle);
    r->handle = NULL;
}

static const struct replay_ops ops = {.open = open_model, .run = run_model, .close = close_model};

void replay_models_use(struct lanes *l) {
    if (l)
        lanes = l;
    prediction_replay_with(l ? &ops : NULL);
}
