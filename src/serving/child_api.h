/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_CHILD_API_H
#define QUERN_SERVING_CHILD_API_H
/* Child api: what is seen of child servers from outside. */
#include "quern/core/shape.h"
#include "quern/http/route.h"

struct ctx;
struct model;

struct child_out {
    const char *state, *reason;
    struct opt_i64 starts, failures, in_flight, waiting, ready_ms;
};
extern const struct shape shape_child, shape_child_log;
/* In c's arena; NULL when the model is no child's. Inside a snapshot. */
struct child_out *child_out_of(struct ctx *c, const struct model *m);
route_fn child_api_log;

#endif
