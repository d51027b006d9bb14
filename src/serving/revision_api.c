/* SPDX-License-Identifier: Apache-2.0 */
/* Revisions of endpoints, and what makes new ones of them: rollback and promotion. */
#include <inttypes.h>
#include <string.h>

#include "canary_end.h"
#include "doors.h"
#include "endpoint.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"
#include "quern/rollout/rollout.h"
#include "rollout_spec.h"

struct revisions_in {
    const char *name;
    struct opt_i64 limit;
};
struct revision_out {
    struct opt_i64 revision, restored, created_ms;
    const char *who, *reason;
    struct json_t *spec;
};
struct revisions_out {
    struct list revisions;
};
struct rollback_in {
    const char *name, *reason;
    struct opt_i64 revision;
};
struct promote_in {
    const char *name, *arm, *reason;
};

SHAPE(shape_revisions_in, "RevisionsQuery", struct revisions_in,
      FIELD(struct revisions_in, name, T_STR, F_PATH | F_REQUIRED, "The endpoint's name"),
      FIELD_MAX(struct revisions_in, limit, T_I64, F_QUERY, 1, REVISIONS_KEPT,
                "At most so many; all that are kept when absent"));
SHAPE_LOCAL(shape_revision, "EndpointRevision", struct revision_out,
            FIELD(struct revision_out, revision, T_I64, F_ALWAYS, "Its number"),
            FIELD(struct revision_out, created_ms, T_I64, F_ALWAYS, "Milliseconds since the epoch"),
            FIELD(struct revision_out, who, T_STR, F_ALWAYS, "Who made it"),
            FIELD(struct revision_out, reason, T_STR, F_ALWAYS, "Why, if that was said"),
            FIELD(struct revision_out, restored, T_I64, 0, "The revision that it took up again"),
            FIELD(struct revision_out, spec, T_JSON, F_ALWAYS, "What the endpoint was told to be"));
SHAPE(shape_revisions, "EndpointRevisions", struct revisions_out,
      FIELD_SUB(struct revisions_out, revisions, T_LIST, F_ALWAYS, &shape_revision,
                "The newest first"));
SHAPE_STRICT(shape_rollback, "EndpointRollback", struct rollback_in,
             FIELD(struct rollback_in, name, T_STR, F_PATH | F_REQUIRED, "The endpoint's name"),
             FIELD_MAX(struct rollback_in, revision, T_I64, 0, 1, INT64_MAX,
                       "The revision to take up again; the one before with another spec when "
                       "absent"),
             FIELD_MAX(struct rollback_in, reason, T_STR, F_EMPTY_OK, 0, 500, "Why"));
SHAPE_STRICT(shape_promote, "EndpointPromote", struct promote_in,
             FIELD(struct promote_in, name, T_STR, F_PATH | F_REQUIRED, "The endpoint's name"),
             FIELD_MAX(struct promote_in, arm, T_STR, 0, 1, 64,
                       "The arm that takes all; the canary's when absent"),
             FIELD_MAX(struct promote_in, reason, T_STR, F_EMPTY_OK, 0, 500, "Why"));

int endpoint_api_revisions(struct ctx *c, const void *in_, void *out_) {
    const struct revisions_in *in = in_;
    struct revisions_out *out = out_;
    struct endpoint e;
    struct revision *list;
    size_t n;
    int rc = endpoint_get(c, in->name, &e);
    if (rc == 0)
        rc = revision_list(c, in->name, in->limit.set ? in->limit.v : REVISIONS_KEPT, &list, &n);
    if (rc < 0)
        return rc;
    struct revision_out *items = ARENA_ARRAY(c->arena, struct revision_out, n ? n : 1);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        items[i] = (struct revision_out){.revision = SET_I64(list[i].number),
                                         .created_ms = SET_I64(list[i].created_ms),
                                         .who = list[i].who,
                                         .reason = list[i].reason};
        if (list[i].restored)
            items[i].restored = SET_I64(list[i].restored);
        rc = json_parse(c, DIALECT_PROBLEM, list[i].spec, strlen(list[i].spec), &items[i].spec);
    }
    out->revisions = (struct list){items, n};
    return rc;
}

/* The endpoint as it is now, with the new revision explained and told of. */
static int put_spec(struct ctx *c, const char *name, struct endpoint_spec *spec, const char *type,
                    const char *arm, const char *reason, int64_t restored, void *out) {
    struct endpoint e;
    bool created;
    int rc = endpoint_put(c, name, spec, &e, &created);
    if (rc == 0)
        rc = revision_explain(c, name, e.revision, reason, restored);
    if (rc == 0)
        rc = canary_end_tell(c, type, name, arm, e.revision, reason);
    return rc < 0 ? rc : endpoint_api_show(c, name, out);
}

int endpoint_api_rollback(struct ctx *c, const void *in_, void *out) {
    const struct rollback_in *in = in_;
    struct endpoint e;
    struct endpoint_spec spec;
    struct revision r;
    int rc = endpoint_get(c, in->name, &e);
    if (rc == 0)
        rc = in->revision.set ? revision_get(c, in->name, in->revision.v, &r)
                              : revision_before(c, in->name, &r);
    if (rc == 0)
        rc = spec_read(c, r.spec, &spec);
    if (rc < 0)
        return rc;
    const char *reason =
        in->reason && *in->reason
            ? in->reason
            : arena_printf(c->arena, "Rolled back to revision %" PRId64 ".", r.number);
    return put_spec(c, in->name, &spec, "endpoint.rolled_back", NULL, reason, r.number, out);
}

int endpoint_api_promote(struct ctx *c, const void *in_, void *out) {
    const struct promote_in *in = in_;
    struct endpoint e;
    struct endpoint_spec spec;
    const char *arm = in->arm;
    int rc = endpoint_get(c, in->name, &e);
    if (rc == 0)
        rc = spec_read(c, e.policy, &spec);
    if (rc == 0)
        rc = spec_promote(c, &spec, &arm);
    if (rc < 0)
        return rc;
    const char *reason = in->reason && *in->reason
                             ? in->reason
                             : arena_printf(c->arena, "Arm %s was promoted.", arm);
    return put_spec(c, in->name, &spec, "endpoint.promoted", arm, reason, 0, out);
}
