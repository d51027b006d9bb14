/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/serving/serving.h"

#include <stdbool.h>

#include "batch.h"
#include "child.h"
#include "deploy.h"
#include "endpoint.h"
#include "gate.h"
#include "loader.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/lane/lane.h"
#include "quern/prediction/prediction.h"
#include "replay_model.h"
#include "rollout_control.h"
#include "shadow.h"
#include "slot.h"

#define THREAD_IDLE_MS 30000
#define GATE_DRAIN_MS 2000 /* after the doors' own drain */

static void on_event(const char *type, const char *subject, int64_t seq, void *arg) {
    (void)subject;
    (void)seq;
    (void)arg;
    if (str_starts(type, "model."))
        loader_wake(NULL);
}

static int endpoint_known(struct ctx *c, const char *name) {
    struct endpoint e;
    return endpoint_get(c, name, &e);
}

int serving_start(const struct serving_options *o, struct buf *error) {
    static bool listening;
    /* Nothing that tells of a model has been written yet: the doors open after this. */
    if (!listening)
        event_listen(on_event, NULL);
    listening = true;
    deploy_use(o->lanes);
    slots_threads((unsigned)o->threads);
    prediction_endpoint_known(endpoint_known);
    gates_start(o->threads, THREAD_IDLE_MS);
    const struct child_options children = {.data = o->data,
                                           .folder = "children",
                                           .self_exe = o->self_exe,
                                           .pass = o->child_env,
                                           .pyfunc = o->pyfunc_command};
    if (children_start(&children, error) < 0)
        return -1;
    if (shadows_start() < 0) {
        buf_puts(error, "no thread for shadows");
        children_stop();
        return -1;
    }
    int rc = loader_start(o, error);
    if (rc == 0 && (rc = batches_start(o, error)) < 0)
        loader_stop();
    if (rc < 0) {
        shadows_stop();
        children_stop();
        return rc;
    }
    replay_models_use(o->lanes);
    prediction_on_reward(rollout_reward);
    if (rollout_control_start(lanes_db(o->lanes)) == 0)
        return 0;
    buf_puts(error, "no thread for rollouts");
    serving_stop();
    return -1;
}

void serving_cease(void) {
    replay_models_use(NULL);
    deploy_use(NULL);
    children_cease(GATE_DRAIN_MS);
    gates_stop(GATE_DRAIN_MS);
}

void serving_stop(void) {
    serving_cease();
    batches_stop();
    shadows_stop();
    rollout_control_stop();
    loader_stop();
    children_stop();
}
