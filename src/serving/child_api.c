/* SPDX-License-Identifier: Apache-2.0 */
/* Child api: what is seen of child servers. */
#include "child_api.h"

#include <string.h>

#include "child_model.h"
#include "doors.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"

#define LOG_BYTES ((size_t)64 << 10)

SHAPE(shape_child, "ChildServer", struct child_out,
      FIELD(struct child_out, state, T_STR, F_ALWAYS,
            "starting, ready, waiting (for its next start), idle or failed"),
      FIELD(struct child_out, reason, T_STR, F_ALWAYS, "Empty, or why it is not ready"),
      FIELD(struct child_out, starts, T_I64, F_ALWAYS, "How often its command was started"),
      FIELD(struct child_out, failures, T_I64, F_ALWAYS, "Starts in a row that came to nothing"),
      FIELD(struct child_out, in_flight, T_I64, F_ALWAYS, "Predictions under way"),
      FIELD(struct child_out, waiting, T_I64, F_ALWAYS, "Predictions that wait for a connection"),
      FIELD(struct child_out, ready_ms, T_I64, 0,
            "When it became ready, milliseconds since the epoch"));

struct child_out *child_out_of(struct ctx *c, const struct model *m) {
    struct child *ch = child_of_model(m);
    if (!ch)
        return NULL;
    struct child_view v;
    child_view(ch, &v);
    struct child_out *out = ARENA_NEW(c->arena, struct child_out);
    *out = (struct child_out){.state = v.state,
                              .reason = arena_strdup(c->arena, v.reason),
                              .starts = SET_I64(v.starts),
                              .failures = SET_I64(v.restarts_in_row),
                              .in_flight = SET_I64(v.in_flight),
                              .waiting = SET_I64(v.waiting)};
    if (v.ready_ms)
        out->ready_ms = SET_I64(v.ready_ms);
    return out;
}

struct log_in {
    const char *name, *arm;
};
SHAPE(shape_child_log, "ChildLogName", struct log_in,
      FIELD(struct log_in, name, T_STR, F_PATH | F_REQUIRED, "The endpoint's name"),
      FIELD(struct log_in, arm, T_STR, F_PATH | F_REQUIRED, "The arm's name"));

int child_api_log(struct ctx *c, const void *in_, void *out) {
    const struct log_in *in = in_;
    const struct entry *e = snapshot_find(snapshot_enter(), c->project, in->name);
    struct child *ch = NULL;
    char *text = NULL;
    bool known = false;
    (void)out;
    for (size_t i = 0; e && i < e->narms; i++) {
        if (strcmp(e->arms[i].name, in->arm) != 0)
            continue;
        known = true;
        ch = child_of_model(e->arms[i].model);
        if (ch)
            child_keep(ch);
    }
    snapshot_leave();
    if (!known)
        return fail(c, ERR_NOT_FOUND, "no arm '%.64s' of an endpoint '%.128s'", in->arm, in->name);
    if (!ch)
        return fail(c, ERR_NOT_FOUND, "arm '%.64s' of endpoint '%.128s' has no child server now",
                    in->arm, in->name);
    int rc = child_log(c, ch, LOG_BYTES, &text);
    child_release(ch);
    if (rc == 0)
        reply_text(c, "text/plain; charset=utf-8", text);
    return rc;
}
