/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "doors.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/id.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/json/json_out.h"
#include "record.h"
#include "replay.h"
#include "replay_store.h"
#include "room.h"

#define WAITING 100 /* of a project */
#define KEPT 100    /* ended ones of an endpoint */

struct path_in {
    const char *endpoint, *id;
};
struct replay_out {
    const char *id, *endpoint, *state, *reason;
    struct json_t *spec, *report;
    struct opt_i64 seen, total, created_ms, updated_ms;
};
struct replays_out {
    struct list replays;
};

SHAPE_STRICT(shape_replay_spec, "ReplayPost", struct replay_spec,
             FIELD(struct replay_spec, endpoint, T_STR, F_PATH, "The endpoint's name"),
             FIELD_MAX(struct replay_spec, target, T_STR, 0, 1, 1024,
                       "models:/NAME/VERSION or models:/NAME@ALIAS that answers anew; this or arm"),
             FIELD_MAX(struct replay_spec, arm, T_STR, 0, 1, 64,
                       "Arm of the endpoint whose model answers anew"),
             FIELD_MAX(struct replay_spec, from_ms, T_I64, 0, 0, INT64_MAX, "Not before this time"),
             FIELD_MAX(struct replay_spec, to_ms, T_I64, 0, 0, INT64_MAX, "Not after this time"),
             FIELD_MAX(struct replay_spec, version, T_I64, 0, 1, INT64_MAX,
                       "Only what this version answered"),
             FIELD_MAX(struct replay_spec, limit, T_I64, 0, 1, 10000000, "Most records; 100000"),
             FIELD(struct replay_spec, tolerance, T_F64, 0,
                   "How far real numbers may lie apart and agree, relative above 1; 0.00001"),
             FIELD_MAX(struct replay_spec, label, T_STR, 0, 1, 64,
                       "Name of the feedback whose label is the truth; the first one"),
             FIELD_MAX(struct replay_spec, output, T_STR, 0, 1, 256,
                       "Output that is compared with the truth; the first one of plain values"),
             FIELD_MAX(struct replay_spec, reference_from_ms, T_I64, 0, 0, INT64_MAX,
                       "Begin of the window that the inputs' skew is measured against"),
             FIELD_MAX(struct replay_spec, reference_to_ms, T_I64, 0, 0, INT64_MAX, "Its end"));
SHAPE(shape_replay_path, "ReplayPath", struct path_in,
      FIELD(struct path_in, endpoint, T_STR, F_PATH | F_REQUIRED, "The endpoint's name"),
      FIELD(struct path_in, id, T_STR, F_PATH | F_REQUIRED, "The replay's id"));
SHAPE(shape_replays_path, "ReplaysPath", struct path_in,
      FIELD(struct path_in, endpoint, T_STR, F_PATH | F_REQUIRED, "The endpoint's name"));
SHAPE(shape_replay, "Replay", struct replay_out,
      FIELD(struct replay_out, id, T_STR, F_ALWAYS, "The replay's id"),
      FIELD(struct replay_out, endpoint, T_STR, F_ALWAYS, "The endpoint's name"),
      FIELD(struct replay_out, state, T_STR, F_ALWAYS,
            "pending, running, done, failed or cancelled"),
      FIELD(struct replay_out, reason, T_STR, 0, "Why it failed"),
      FIELD(struct replay_out, seen, T_I64, F_ALWAYS, "Records looked at"),
      FIELD(struct replay_out, total, T_I64, F_ALWAYS, "Records to be looked at, at most"),
      FIELD(struct replay_out, spec, T_JSON, F_ALWAYS, "What was asked for"),
      FIELD(struct replay_out, report, T_JSON, 0,
            "Agreement, deltas and changes by output, latency, truth, skew of inputs"),
      FIELD(struct replay_out, created_ms, T_I64, F_ALWAYS, "Milliseconds since the epoch"),
      FIELD(struct replay_out, updated_ms, T_I64, F_ALWAYS, "Milliseconds since the epoch"));
SHAPE(shape_replays, "Replays", struct replays_out,
      FIELD_SUB(struct replays_out, replays, T_LIST, F_ALWAYS, &shape_replay,
                "Newest first, at most 100, without their reports"));

static struct json_t *tree_of(struct ctx *c, const char *text) {
    json_t *t = *text ? json_loads(text, 0, NULL) : NULL;
    if (!t)
        return NULL;
    record_hold(c, t);
    json_decref(t);
    return t;
}

static void put_out(struct ctx *c, const struct replay *r, bool report, struct replay_out *out) {
    *out = (struct replay_out){.id = r->id,
                               .endpoint = r->endpoint,
                               .state = r->state,
                               .reason = *r->reason ? r->reason : NULL,
                               .spec = tree_of(c, r->spec),
                               .report = report ? tree_of(c, r->report) : NULL,
                               .seen = SET_I64(r->seen),
                               .total = SET_I64(r->total),
                               .created_ms = SET_I64(r->created_ms),
                               .updated_ms = SET_I64(r->updated_ms)};
}

static int check(struct ctx *c, const struct replay_spec *s) {
    if (!s->target == !s->arm)
        return fail_field(c, ERR_INVALID, "target", "target or arm must be given, and not both");
    if (s->target && !str_starts(s->target, "models:/"))
        return fail_field(c, ERR_INVALID, "target",
                          "target must be models:/NAME@ALIAS or models:/NAME/VERSION");
    if (s->to_ms.set && s->from_ms.v > s->to_ms.v)
        return fail_field(c, ERR_INVALID, "to_ms", "to_ms is before from_ms");
    if (s->reference_to_ms.set && !s->reference_from_ms.set)
        return fail_field(c, ERR_INVALID, "reference_from_ms",
                          "reference_to_ms needs reference_from_ms");
    if (s->reference_to_ms.set && s->reference_from_ms.v > s->reference_to_ms.v)
        return fail_field(c, ERR_INVALID, "reference_to_ms",
                          "reference_to_ms is before reference_from_ms");
    if (s->tolerance.set && !(s->tolerance.v >= 0 && isfinite(s->tolerance.v)))
        return fail_field(c, ERR_INVALID, "tolerance", "tolerance is a number from 0 on");
    return 0;
}

/* On the writer. */
int replay_api_post(struct ctx *c, const void *in, void *out) {
    struct replay_spec s = *(const struct replay_spec *)in;
    const char *endpoint = s.endpoint;
    struct replay r = {.endpoint = endpoint};
    struct buf text = {0};
    int64_t waiting;
    bool found;
    char id[37];
    int rc = check(c, &s);
    if (rc == 0)
        rc = room_endpoint_here(c, endpoint);
    if (rc == 0)
        rc = replay_store_waiting(c, &waiting);
    if (rc == 0 && waiting >= WAITING)
        rc = fail(c, ERR_BUSY, "%d replays wait already", WAITING);
    if (rc < 0)
        return rc;
    id_uuid(id);
    s.endpoint = NULL;
    json_encode(&text, &shape_replay_spec, &s);
    r.id = arena_strdup(c->arena, id);
    r.spec = arena_strndup(c->arena, text.data, text.len);
    buf_free(&text);
    rc = replay_store_add(c, &r);
    if (rc == 0)
        rc = replay_store_trim(c, endpoint, KEPT);
    if (rc == 0)
        rc = replay_store_get(c, endpoint, r.id, &r, &found);
    if (rc < 0)
        return rc;
    db_after_commit(c, replay_wake, NULL);
    put_out(c, &r, false, out);
    reply_status(c, 202);
    return 0;
}

static int find(struct ctx *c, const struct path_in *in, struct replay *r) {
    bool found = false;
    int rc = replay_store_get(c, in->endpoint, in->id, r, &found);
    if (rc == 0 && !found)
        rc = fail(c, ERR_NOT_FOUND, "endpoint '%s' has no replay '%.64s'", in->endpoint, in->id);
    return rc;
}

int replay_api_get(struct ctx *c, const void *in, void *out) {
    struct replay r;
    int rc = find(c, in, &r);
    if (rc == 0)
        put_out(c, &r, true, out);
    return rc;
}

int replay_api_list(struct ctx *c, const void *in_, void *out_) {
    const struct path_in *in = in_;
    struct replays_out *out = out_;
    struct replay *rows;
    size_t n;
    int rc = room_endpoint_here(c, in->endpoint);
    if (rc == 0)
        rc = replay_store_list(c, in->endpoint, &rows, &n);
    if (rc < 0)
        return rc;
    struct replay_out *items = ARENA_ARRAY(c->arena, struct replay_out, n ? n : 1);
    for (size_t i = 0; i < n; i++)
        put_out(c, &rows[i], false, &items[i]);
    out->replays = (struct list){items, n};
    return 0;
}

int replay_api_cancel(struct ctx *c, const void *in_, void *out) {
    const struct path_in *in = in_;
    struct replay r;
    bool changed = false;
    int rc = find(c, in, &r);
    if (rc < 0)
        return rc;
    if (strcmp(r.state, "pending") != 0 && strcmp(r.state, "running") != 0)
        return fail(c, ERR_GONE_STATE, "the replay is %s already", r.state);
    rc = replay_store_move(c, r.id, r.state, "cancelled", "", "", &changed);
    if (rc == 0)
        rc = find(c, in, &r);
    if (rc == 0)
        put_out(c, &r, true, out);
    return rc;
}
