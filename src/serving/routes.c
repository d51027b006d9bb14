/* SPDX-License-Identifier: Apache-2.0 */
#include "child_api.h"
#include "divert.h"
#include "doors.h"
#include "quern/base/arena.h"
#include "quern/serving/serving.h"
#include "spec.h"

#define ENDPOINTS "/api/v1/endpoints"
#define MODEL "/v2/models/{model}"
#define VERSION MODEL "/versions/{version}"

#define OIP_GET(ident, where, shape, who, handler, prose, waits)                                   \
    {                                                                                              \
        .id = "inference." ident, .method = "GET", .path = (where), .in = (shape), .perm = (who),  \
        .lane = LANE_CALL, .dialect = DIALECT_OIP, .flags = ROUTE_NO_LOG, .fn = (handler),         \
        .summary = (prose), waits                                                                  \
    }
/* Those that need the model wait for it where it is not in memory. */
#define LOADED .divert = divert_oip
#define AS_IT_IS .divert = NULL
#define OIP_POST(ident, where, shape, handler, prose)                                              \
    {                                                                                              \
        .id = "inference." ident, .method = "POST", .path = (where), .in = (shape),                \
        .perm = PERM_READ, .lane = LANE_CALL, .dialect = DIALECT_OIP,                              \
        .flags = ROUTE_RAW_BODY | ROUTE_PACKED | ROUTE_NO_LOG, .fn = (handler),                    \
        .summary = (prose), .divert = divert_oip                                                   \
    }
#define OIP_VERB(verb, handler, prose)                                                             \
    {                                                                                              \
        .id = "inference." verb, .method = "POST", .path = "/v2/repository/models/{model}/" verb,  \
        .in = &shape_oip_model, .perm = PERM_WRITE, .lane = LANE_WORK, .dialect = DIALECT_OIP,     \
        .flags = ROUTE_RAW_BODY | ROUTE_PACKED, .fn = (handler), .summary = (prose)                \
    }
#define SCORE(ident, where, shape)                                                                 \
    {                                                                                              \
        .id = "scoring." ident, .method = "POST", .path = (where), .in = (shape),                  \
        .perm = PERM_READ, .lane = LANE_CALL, .dialect = DIALECT_SCORING,                          \
        .flags = ROUTE_RAW_BODY | ROUTE_PACKED | ROUTE_NO_LOG, .fn = scoring_invocations,          \
        .summary = "Predicts: MLflow's scoring protocol, JSON or CSV.", .divert = divert_scoring   \
    }

/* TensorFlow Serving's paths: a model, one of its versions, one of its labels. */
#define V1 "/v1/models/{model}"
#define V1_VERSION V1 "/versions/{version}"
#define V1_LABEL V1 "/labels/{label}"
#define TFS_GET(ident, where, shape, handler, prose, waits)                                        \
    {                                                                                              \
        .id = "tfs." ident, .method = "GET", .path = (where), .in = (shape), .perm = PERM_READ,    \
        .lane = LANE_CALL, .dialect = DIALECT_OIP, .flags = ROUTE_NO_LOG, .fn = (handler),         \
        .summary = (prose), waits                                                                  \
    }
#define TFS_POST(ident, where, shape, handler, prose)                                              \
    {                                                                                              \
        .id = "tfs." ident, .method = "POST", .path = (where), .in = (shape), .perm = PERM_READ,   \
        .lane = LANE_CALL, .dialect = DIALECT_OIP,                                                 \
        .flags = ROUTE_RAW_BODY | ROUTE_PACKED | ROUTE_NO_LOG, .fn = (handler),                    \
        .summary = (prose), .divert = divert_tfs                                                   \
    }
#define TFS_LOADED .divert = divert_tfs

static const struct route rows[] = {
    {.id = "serving.endpoints.list",
     .method = "GET",
     .path = ENDPOINTS,
     .out = &shape_endpoints,
     .perm = PERM_READ,
     .lane = LANE_READ,
     .fn = endpoint_api_list,
     .summary = "Lists the project's endpoints."},
    {.id = "serving.endpoints.put",
     .method = "PUT",
     .path = ENDPOINTS "/{name}",
     .in = &shape_endpoint_spec,
     .out = &shape_endpoint,
     .perm = PERM_WRITE,
     .lane = LANE_WRITE,
     .flags = ROUTE_AUDIT,
     .fn = endpoint_api_put,
     .twin = "serving.endpoints.get",
     .summary = "Binds an endpoint to a model, which is then vetted and loaded in the background."},
    {.id = "serving.endpoints.get",
     .method = "GET",
     .path = ENDPOINTS "/{name}",
     .in = &shape_endpoint_name,
     .out = &shape_endpoint,
     .perm = PERM_READ,
     .lane = LANE_READ,
     .fn = endpoint_api_get,
     .twin = "serving.endpoints.get",
     .summary = "Shows an endpoint, its state and reason."},
    {.id = "serving.endpoints.log",
     .method = "GET",
     .path = ENDPOINTS "/{name}/arms/{arm}/log",
     .in = &shape_child_log,
     .perm = PERM_READ,
     .lane = LANE_WORK,
     .fn = child_api_log,
     .summary =
         "The newest lines that an arm's child server wrote, at most 64 KiB of text: a stamp, "
         "o or e for its output or errors, k for its keeper's words."},
    {.id = "serving.endpoints.rehearse",
     .method = "POST",
     .path = ENDPOINTS "/{name}:rehearse",
     .in = &shape_rehearse,
     .out = &shape_rehearsed,
     .perm = PERM_READ,
     .lane = LANE_WORK,
     .fn = endpoint_api_rehearse,
     .summary = "Goes down an endpoint's chain as if its arm had failed, and tells what each step "
                "would answer."},
    {.id = "serving.endpoints.revisions",
     .method = "GET",
     .path = ENDPOINTS "/{name}/revisions",
     .in = &shape_revisions_in,
     .out = &shape_revisions,
     .perm = PERM_READ,
     .lane = LANE_READ,
     .fn = endpoint_api_revisions,
     .summary = "Lists what an endpoint was told to be, by whom and why, the newest first."},
    {.id = "serving.endpoints.rollback",
     .method = "POST",
     .path = ENDPOINTS "/{name}:rollback",
     .in = &shape_rollback,
     .out = &shape_endpoint,
     .perm = PERM_WRITE,
     .lane = LANE_WRITE,
     .flags = ROUTE_AUDIT,
     .fn = endpoint_api_rollback,
     .twin = "serving.endpoints.get",
     .summary = "Takes up an earlier revision again, as a new one."},
    {.id = "serving.endpoints.promote",
     .method = "POST",
     .path = ENDPOINTS "/{name}:promote",
     .in = &shape_promote,
     .out = &shape_endpoint,
     .perm = PERM_WRITE,
     .lane = LANE_WRITE,
     .flags = ROUTE_AUDIT,
     .fn = endpoint_api_promote,
     .twin = "serving.endpoints.get",
     .summary = "Gives one arm all requests and ends canary and bandit."},
    {.id = "serving.endpoints.dry_run",
     .method = "POST",
     .path = ENDPOINTS "/{name}:dry-run",
     .in = &shape_dry_run,
     .out = &shape_dry_run_out,
     .perm = PERM_READ,
     .lane = LANE_READ,
     .fn = endpoint_api_dry_run,
     .summary = "Tells which arm would answer and why, by an endpoint's spec or another."},
    {.id = "serving.endpoints.rollout",
     .method = "GET",
     .path = ENDPOINTS "/{name}/rollout",
     .in = &shape_endpoint_name,
     .out = &shape_rollout_out,
     .perm = PERM_READ,
     .lane = LANE_READ,
     .fn = endpoint_api_rollout,
     .summary = "Shows the canary's state, counts by arm and what bandits know."},
    {.id = "serving.endpoints.monitor",
     .method = "PUT",
     .path = ENDPOINTS "/{name}/monitors/{monitor}",
     .in = &shape_monitor_value,
     .perm = PERM_WRITE,
     .lane = LANE_CALL,
     .fn = endpoint_api_monitor,
     .summary = "Tells a monitor's value, by which canaries may be held or rolled back."},
    {.id = "serving.endpoints.delete",
     .method = "DELETE",
     .path = ENDPOINTS "/{name}",
     .in = &shape_endpoint_name,
     .perm = PERM_WRITE,
     .lane = LANE_WRITE,
     .flags = ROUTE_AUDIT,
     .fn = endpoint_api_delete,
     .twin = "serving.endpoints.get",
     .summary = "Takes an endpoint away; requests under way are answered."},

    OIP_GET("server", "/v2", NULL, PERM_PUBLIC, oip_server, "Names server and extensions.",
            AS_IT_IS),
    OIP_GET("live", "/v2/health/live", NULL, PERM_PUBLIC, oip_live, "Says that the server runs.",
            AS_IT_IS),
    OIP_GET("ready", "/v2/health/ready", NULL, PERM_PUBLIC, oip_ready,
            "Says whether every endpoint was looked at after the start.", AS_IT_IS),
    OIP_GET("models", "/v2/models", NULL, PERM_READ, oip_models, "Names the endpoints.", AS_IT_IS),
    OIP_GET("model", MODEL, &shape_oip_model, PERM_READ, oip_metadata,
            "Describes inputs and outputs of the model that serves.", LOADED),
    OIP_GET("version", VERSION, &shape_oip_version, PERM_READ, oip_metadata,
            "Describes one version, if it is the one that serves.", LOADED),
    OIP_GET("model.ready", MODEL "/ready", &shape_oip_model, PERM_READ, oip_model_ready,
            "Says whether an endpoint answers.", AS_IT_IS),
    OIP_GET("version.ready", VERSION "/ready", &shape_oip_version, PERM_READ, oip_model_ready,
            "Says whether an endpoint answers with that version.", LOADED),
    OIP_GET("config", MODEL "/config", &shape_oip_model, PERM_READ, oip_config,
            "Shows the configuration of the model that serves, in Triton's form.", LOADED),
    OIP_GET("version.config", VERSION "/config", &shape_oip_version, PERM_READ, oip_config,
            "Shows the configuration of one version.", LOADED),
    OIP_GET("stats", "/v2/models/stats", NULL, PERM_READ, oip_stats,
            "Counts requests and time of every endpoint's arms.", AS_IT_IS),
    OIP_GET("model.stats", MODEL "/stats", &shape_oip_model, PERM_READ, oip_stats,
            "Counts requests and time of an endpoint's arms.", AS_IT_IS),
    OIP_GET("version.stats", VERSION "/stats", &shape_oip_version, PERM_READ, oip_stats,
            "Counts requests and time of one version.", AS_IT_IS),
    OIP_POST("infer", MODEL "/infer", &shape_oip_model, oip_infer,
             "Predicts: Open Inference Protocol, JSON or binary tensors."),
    OIP_POST("version.infer", VERSION "/infer", &shape_oip_version, oip_infer,
             "Predicts with one version, if it is the one that serves."),
    OIP_POST("index", "/v2/repository/index", NULL, oip_index,
             "Lists endpoints with state and reason, as model repositories do."),
    OIP_VERB("load", oip_load, "Brings an endpoint's models into memory."),
    OIP_VERB("unload", oip_unload,
             "Takes an endpoint's models out of memory until a load or a PUT."),

    SCORE("invocations", "/invocations", &shape_scoring_query),
    SCORE("endpoint", "/endpoints/{endpoint}/invocations", &shape_scoring_path),
    {.id = "scoring.ping",
     .method = "GET",
     .path = "/ping",
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .dialect = DIALECT_SCORING,
     .flags = ROUTE_NO_LOG,
     .fn = scoring_ping,
     .summary = "Says whether an endpoint answers, as MLflow's scoring server does."},

    TFS_GET("models", "/v1/models", NULL, oip_models, "Names the endpoints, as KServe does.",
            AS_IT_IS),
    TFS_GET("status", V1, &shape_tfs_model, tfs_status, "Says how an endpoint is.", AS_IT_IS),
    TFS_GET("metadata", V1 "/metadata", &shape_tfs_model, tfs_metadata,
            "Describes inputs and outputs of an endpoint.", TFS_LOADED),
    TFS_POST("predict", V1 ":predict", &shape_tfs_model, tfs_predict,
             "Predicts with an endpoint: instances or inputs."),
    TFS_POST("classify", V1 ":classify", &shape_tfs_model, tfs_classify,
             "Scores classes with an endpoint: examples."),
    TFS_POST("regress", V1 ":regress", &shape_tfs_model, tfs_regress,
             "One number per example with an endpoint."),
    TFS_GET("version.status", V1_VERSION, &shape_tfs_version, tfs_status,
            "Says how one version is.", AS_IT_IS),
    TFS_GET("version.metadata", V1_VERSION "/metadata", &shape_tfs_version, tfs_metadata,
            "Describes inputs and outputs of one version.", TFS_LOADED),
    TFS_POST("version.predict", V1_VERSION ":predict", &shape_tfs_version, tfs_predict,
             "Predicts with one version: instances or inputs."),
    TFS_POST("version.classify", V1_VERSION ":classify", &shape_tfs_version, tfs_classify,
             "Scores classes with one version: examples."),
    TFS_POST("version.regress", V1_VERSION ":regress", &shape_tfs_version, tfs_regress,
             "One number per example with one version."),
    TFS_GET("label.status", V1_LABEL, &shape_tfs_label, tfs_status, "Says how one arm is.",
            AS_IT_IS),
    TFS_GET("label.metadata", V1_LABEL "/metadata", &shape_tfs_label, tfs_metadata,
            "Describes inputs and outputs of one arm.", TFS_LOADED),
    TFS_POST("label.predict", V1_LABEL ":predict", &shape_tfs_label, tfs_predict,
             "Predicts with one arm: instances or inputs."),
    TFS_POST("label.classify", V1_LABEL ":classify", &shape_tfs_label, tfs_classify,
             "Scores classes with one arm: examples."),
    TFS_POST("label.regress", V1_LABEL ":regress", &shape_tfs_label, tfs_regress,
             "One number per example with one arm."),
};
const struct route_list serving_routes = {.rows = rows, .n = ARRAY_LEN(rows)};
