/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/genai/genai.h"
#include "scorer.h"

struct wish {
    const char *experiment_id, *name, *serialized_scorer;
    struct opt_i64 version;
    struct strs experiment_ids, scorer_ids;
};
#define EXPERIMENT FIELD(struct wish, experiment_id, T_STR, F_REQUIRED, "Experiment.")
#define NAME FIELD_MAX(struct wish, name, T_STR, F_REQUIRED, 0, SCORER_NAME_MAX, "Name.")

SHAPE_LOCAL(in_register, "RegisterScorer", struct wish, EXPERIMENT, NAME,
            FIELD(struct wish, serialized_scorer, T_STR, F_REQUIRED, "A JSON object as text."));
SHAPE_LOCAL(in_list, "ListScorers", struct wish,
            FIELD(struct wish, experiment_id, T_STR, F_EMPTY_OK, "Experiment."),
            FIELD_MAX(struct wish, experiment_ids, T_STRS, 0, 0, 10000,
                      "Several; without either, all that may be read."));
SHAPE_LOCAL(in_versions, "ListScorerVersions", struct wish, EXPERIMENT, NAME);
SHAPE_LOCAL(in_version, "GetScorer", struct wish, EXPERIMENT, NAME,
            FIELD(struct wish, version, T_I64, 0, "The latest when absent."));
SHAPE_LOCAL(in_delete, "DeleteScorer", struct wish, EXPERIMENT, NAME,
            FIELD(struct wish, version, T_I64, 0, "All when absent."));
SHAPE_LOCAL(in_configs, "GetOnlineScoringConfigs", struct wish,
            FIELD(struct wish, scorer_ids, T_STRS, F_REQUIRED, "Ids of scorers."));

SHAPE_LOCAL(wire_scorer, "Scorer", struct scorer,
            FIELD(struct scorer, experiment_id, T_I64, 0, "Experiment."),
            FIELD(struct scorer, scorer_name, T_STR, 0, "Name."),
            FIELD(struct scorer, scorer_version, T_I64, 0, "Version, from 1."),
            FIELD(struct scorer, serialized_scorer, T_STR, 0, "A JSON object as text."),
            FIELD(struct scorer, creation_time, T_I64, 0, "Of this version, in ms."),
            FIELD(struct scorer, scorer_id, T_STR, 0, "The same for all versions."));

struct registered { /* names the same things otherwise, and the experiment as text */
    const char *scorer_id, *experiment_id, *name, *serialized_scorer;
    struct opt_i64 version, creation_time;
};
SHAPE_LOCAL(out_registered, "RegisteredScorer", struct registered,
            FIELD(struct registered, version, T_I64, 0, "Version, from 1."),
            FIELD(struct registered, scorer_id, T_STR, 0, "The same for all versions."),
            FIELD(struct registered, experiment_id, T_STR, 0, "Experiment."),
            FIELD(struct registered, name, T_STR, 0, "Name."),
            FIELD(struct registered, serialized_scorer, T_STR, 0, "As it was sent."),
            FIELD(struct registered, creation_time, T_I64, 0, "Of this version, in ms."));
struct answer {
    struct scorer *scorer;
    struct list scorers;
    struct strs configs;
};
SHAPE_LOCAL(out_scorer, "OneScorer", struct answer,
            FIELD_SUB(struct answer, scorer, T_OBJ, 0, &wire_scorer, "The scorer."));
SHAPE_LOCAL(out_scorers, "ScorerList", struct answer,
            FIELD_SUB(struct answer, scorers, T_LIST, 0, &wire_scorer, "The scorers."));
SHAPE_LOCAL(out_configs, "OnlineScoringConfigs", struct answer,
            FIELD(struct answer, configs, T_STRS, F_ALWAYS, "None."));

static int api_register(struct ctx *c, const void *in, void *out) {
    const struct wish *w = in;
    struct scorer s = {0};
    int rc = scorer_register(c, w->experiment_id, w->name, w->serialized_scorer, &s);
    if (rc == 0)
        *(struct registered *)out = (struct registered){
            .scorer_id = s.scorer_id,
            .experiment_id = arena_printf(c->arena, "%lld", (long long)s.experiment_id.v),
            .name = s.scorer_name,
            .serialized_scorer = s.serialized_scorer,
            .version = s.scorer_version,
            .creation_time = s.creation_time};
    return rc;
}

static int api_list(struct ctx *c, const void *in, void *out) {
    const struct wish *w = in;
    return scorer_list(c, w->experiment_id, &w->experiment_ids, &((struct answer *)out)->scorers);
}

static int api_versions(struct ctx *c, const void *in, void *out) {
    const struct wish *w = in;
    return scorer_list_versions(c, w->experiment_id, w->name, &((struct answer *)out)->scorers);
}

static int api_get(struct ctx *c, const void *in, void *out) {
    const struct wish *w = in;
    struct answer *a = out;
    a->scorer = ARENA_NEW(c->arena, struct scorer);
    return scorer_get(c, w->experiment_id, w->name, w->version, a->scorer);
}

static int api_delete(struct ctx *c, const void *in, void *out) {
    const struct wish *w = in;
    (void)out;
    return scorer_delete(c, w->experiment_id, w->name, w->version);
}

/* No scorer is run by the server, so none has a configuration for that. */
static int api_configs(struct ctx *c, const void *in, void *out) {
    (void)c;
    (void)in;
    (void)out;
    return 0;
}

#define ROW(ident, verb, where, takes, gives, level, on, more, handler, says)                      \
    {                                                                                              \
        .id = "scorers." ident, .method = (verb), .path = "/api/3.0/mlflow/scorers/" where,        \
        .in = (takes), .out = (gives), .perm = (level), .lane = (on), .dialect = DIALECT_MLFLOW,   \
        .flags = ROUTE_MLFLOW_AJAX | (more), .fn = (handler), .summary = (says)                    \
    }

static const struct route rows[] = {
    ROW("register", "POST", "register", &in_register, &out_registered, PERM_WRITE, LANE_WRITE,
        ROUTE_OBJECT | ROUTE_AUDIT, api_register, "Adds a version of a scorer to an experiment."),
    ROW("list", "GET", "list", &in_list, &out_scorers, PERM_READ, LANE_READ, ROUTE_OBJECT, api_list,
        "Lists the latest versions of scorers."),
    ROW("versions", "GET", "versions", &in_versions, &out_scorers, PERM_READ, LANE_READ,
        ROUTE_OBJECT, api_versions, "Lists all versions of a scorer."),
    ROW("get", "GET", "get", &in_version, &out_scorer, PERM_READ, LANE_READ, ROUTE_OBJECT, api_get,
        "Gives one version of a scorer."),
    ROW("delete", "DELETE", "delete", &in_delete, NULL, PERM_WRITE, LANE_WRITE,
        ROUTE_OBJECT | ROUTE_AUDIT, api_delete, "Deletes a version of a scorer, or all."),
    ROW("online_configs", "GET", "online-configs", &in_configs, &out_configs, PERM_READ, LANE_CALL,
        ROUTE_MEMBER, api_configs, "Tells that no scorer is run by the server."),
};

const struct route_list scorer_routes = {.rows = rows, .n = ARRAY_LEN(rows)};
