/* SPDX-License-Identifier: Apache-2.0 */
#include "canary_end.h"

#include "endpoint.h"
#include "quern/access/access.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/core/ref.h"
#include "quern/json/json_out.h"
#include "quern/lane/lane.h"
#include "quern/rollout/rollout.h"
#include "rollout_spec.h"

static const char *detail(struct ctx *c, const char *endpoint, const char *arm, int64_t revision,
                          const char *reason) {
    struct buf text = {0};
    struct json_writer w;
    jw_init(&w, &text);
    jw_obj(&w);
    jw_key_str(&w, "endpoint", endpoint);
    jw_key_str(&w, "arm", arm);
    jw_key_i64(&w, "revision", revision);
    jw_key_str(&w, "reason", reason);
    jw_obj_end(&w);
    char *json = arena_strndup(c->arena, text.data, text.len);
    buf_free(&text);
    return json;
}

int canary_end_tell(struct ctx *c, const char *type, const char *endpoint, const char *arm,
                    int64_t revision, const char *reason) {
    return event_emit(c, type, ref_make(c, "endpoint", endpoint),
                      detail(c, endpoint, arm, revision, reason));
}

int canary_end_op(struct ctx *c, void *arg) {
    struct canary_end *end = arg;
    struct endpoint e;
    struct endpoint_spec spec;
    bool created;
    end->done = false;
    c->project = end->project;
    int rc = endpoint_get(c, end->endpoint, &e);
    if (rc < 0 || e.revision != end->revision) {
        err_clear(c); /* deleted or changed meanwhile */
        return 0;
    }
    rc = spec_read(c, e.policy, &spec);
    const char *arm = rc == 0 && spec.rollout.canary ? spec.rollout.canary->arm : NULL;
    if (rc == 0)
        rc = end->promote ? spec_promote(c, &spec, &arm) : spec_roll_back(c, &spec);
    if (rc == 0)
        rc = endpoint_put(c, end->endpoint, &spec, &e, &created);
    if (rc == 0)
        rc = revision_explain(c, end->endpoint, e.revision, end->reason, 0);
    if (rc == 0)
        rc = audit_append(c,
                          end->promote ? "serving.endpoints.promote" : "serving.endpoints.rollback",
                          ref_make(c, "endpoint", end->endpoint),
                          detail(c, end->endpoint, arm, e.revision, end->reason));
    if (rc == 0)
        rc = canary_end_tell(c, end->promote ? "endpoint.promoted" : "endpoint.rolled_back",
                             end->endpoint, arm, e.revision, end->reason);
    end->done = rc == 0;
    return rc;
}
