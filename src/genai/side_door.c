/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/genai/genai.h"

struct one {
    const char *id;
};
SHAPE_LOCAL(in_one, "SideDoorId", struct one,
            FIELD(struct one, id, T_STR, F_REQUIRED | F_PATH, "Id."));
struct tag {
    const char *id, *key;
};
SHAPE_LOCAL(in_tag, "SideDoorTag", struct tag,
            FIELD(struct tag, id, T_STR, F_REQUIRED | F_PATH, "Id."),
            FIELD(struct tag, key, T_STR, F_REQUIRED | F_PATH, "Key."));

/* What a path belongs to, by a part of it. The first that fits. */
static const struct {
    const char *part, *feature;
} features[] = {
    {"/gateway", "The gateway to language models"},
    {"/prompt-optimization", "Prompt optimization"},
    {"/label-schemas", "Label schemas"},
    {"/review-queues", "Review queues"},
    {"/scorers", "A registry of scorers"},
    {"/scorer", "Running scorers on the server"},
    {"/issues/invoke", "Finding issues on the server"},
    {"/issues", "Issues of traces"},
    {"/datasets", "Evaluation datasets on the server"},
    {"/genai/evaluate", "Evaluation on the server"},
    {"/promptlab", "The prompt lab"},
    {"/create-promptlab", "The prompt lab"},
    {"/demo", "The demo data"},
    {"/jobs", "MLflow's job runner"},
};

static int refuse(struct ctx *c, const void *in, void *out) {
    const char *feature = "This feature";
    (void)in;
    (void)out;
    for (size_t i = ARRAY_LEN(features); i-- > 0;)
        if (strstr(c->path, features[i].part))
            feature = features[i].feature;
    return fail(c, ERR_NOT_IMPLEMENTED, "%s is not implemented by this server.", feature);
}

static int empty(struct ctx *c, const void *in, void *out) {
    (void)c;
    (void)in;
    (void)out;
    return 0;
}

#define TELLS(name, text)                                                                          \
    static int name(struct ctx *c, const void *in, void *out) {                                    \
        (void)in;                                                                                  \
        (void)out;                                                                                 \
        reply_text(c, "application/json", text);                                                   \
        return 0;                                                                                  \
    }
TELLS(telemetry,
      "{\"disable_ui_events\":[],\"disable_ui_telemetry\":true,\"ui_rollout_percentage\":0}")
TELLS(taken, "{\"status\":\"success\"}")
TELLS(no_endpoints, "{\"endpoints\":[]}")
TELLS(no_assistant, "{\"providers\":{},\"projects\":{},\"remote_access_allowed\":false}")
TELLS(no_providers, "{\"providers\":[]}")
TELLS(no_secrets, "{\"secrets_available\":false,\"using_default_passphrase\":false}")

static int workspaces(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    reply_status(c, 503);
    reply_text(c, "text/plain; charset=utf-8",
               "Workspaces are off: this server has projects instead (GET /api/v1/projects), which "
               "the header X-MLFLOW-WORKSPACE selects.\n");
    return 0;
}

#define DOOR(ident, verb, where, takes, more, handler, says)                                       \
    {                                                                                              \
        .id = "side_door." ident, .method = (verb), .path = (where), .in = (takes),                \
        .perm = PERM_READ, .lane = LANE_CALL, .dialect = DIALECT_MLFLOW,                           \
        .flags = (more) | ROUTE_MEMBER, .fn = (handler), .summary = (says)                         \
    }
#define REFUSED(ident, verb, where, takes, more)                                                   \
    DOOR(ident, verb, where, takes, more, refuse, "Is not implemented, and says so.")
#define EMPTY(ident, verb, where)                                                                  \
    DOOR(ident, verb, "/api/3.0/mlflow/" where, NULL, ROUTE_MLFLOW_AJAX, empty,                    \
         "Lists nothing: the feature is not there.")
#define PAGE(ident, verb, where, handler, says)                                                    \
    DOOR(ident, verb, "/ajax-api/" where, NULL, 0, handler, says)
#define WORKSPACE(ident, verb, where, takes)                                                       \
    DOOR(ident, verb, "/api/3.0/mlflow/workspaces" where, takes, ROUTE_MLFLOW_AJAX, workspaces,    \
         "Tells that workspaces are off.")

static const struct route rows[] = {
    REFUSED("post.gateway.secrets.create", "POST", "/api/3.0/mlflow/gateway/secrets/create", NULL,
            ROUTE_MLFLOW_AJAX),
    REFUSED("get.gateway.secrets.get", "GET", "/api/3.0/mlflow/gateway/secrets/get", NULL,
            ROUTE_MLFLOW_AJAX),
    REFUSED("post.gateway.secrets.update", "POST", "/api/3.0/mlflow/gateway/secrets/update", NULL,
            ROUTE_MLFLOW_AJAX),
    REFUSED("delete.gateway.secrets.delete", "DELETE", "/api/3.0/mlflow/gateway/secrets/delete",
            NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("post.gateway.endpoints.create", "POST", "/api/3.0/mlflow/gateway/endpoints/create",
            NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("get.gateway.endpoints.get", "GET", "/api/3.0/mlflow/gateway/endpoints/get", NULL,
            ROUTE_MLFLOW_AJAX),
    REFUSED("post.gateway.endpoints.update", "POST", "/api/3.0/mlflow/gateway/endpoints/update",
            NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("delete.gateway.endpoints.delete", "DELETE", "/api/3.0/mlflow/gateway/endpoints/delete",
            NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("post.gateway.model_definitions.create", "POST",
            "/api/3.0/mlflow/gateway/model-definitions/create", NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("get.gateway.model_definitions.get", "GET",
            "/api/3.0/mlflow/gateway/model-definitions/get", NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("post.gateway.model_definitions.update", "POST",
            "/api/3.0/mlflow/gateway/model-definitions/update", NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("delete.gateway.model_definitions.delete", "DELETE",
            "/api/3.0/mlflow/gateway/model-definitions/delete", NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("post.gateway.endpoints.models.attach", "POST",
            "/api/3.0/mlflow/gateway/endpoints/models/attach", NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("post.gateway.endpoints.models.detach", "POST",
            "/api/3.0/mlflow/gateway/endpoints/models/detach", NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("post.gateway.endpoints.bindings.create", "POST",
            "/api/3.0/mlflow/gateway/endpoints/bindings/create", NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("delete.gateway.endpoints.bindings.delete", "DELETE",
            "/api/3.0/mlflow/gateway/endpoints/bindings/delete", NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("post.gateway.endpoints.set_tag", "POST", "/api/3.0/mlflow/gateway/endpoints/set-tag",
            NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("delete.gateway.endpoints.delete_tag", "DELETE",
            "/api/3.0/mlflow/gateway/endpoints/delete-tag", NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("post.gateway.budgets.create", "POST", "/api/3.0/mlflow/gateway/budgets/create", NULL,
            ROUTE_MLFLOW_AJAX),
    REFUSED("get.gateway.budgets.get", "GET", "/api/3.0/mlflow/gateway/budgets/get", NULL,
            ROUTE_MLFLOW_AJAX),
    REFUSED("post.gateway.budgets.update", "POST", "/api/3.0/mlflow/gateway/budgets/update", NULL,
            ROUTE_MLFLOW_AJAX),
    REFUSED("delete.gateway.budgets.delete", "DELETE", "/api/3.0/mlflow/gateway/budgets/delete",
            NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("post.gateway.guardrails.create", "POST", "/api/3.0/mlflow/gateway/guardrails/create",
            NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("get.gateway.guardrails.get", "GET", "/api/3.0/mlflow/gateway/guardrails/get", NULL,
            ROUTE_MLFLOW_AJAX),
    REFUSED("delete.gateway.guardrails.delete", "DELETE",
            "/api/3.0/mlflow/gateway/guardrails/delete", NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("post.gateway.guardrails.add_to_endpoint", "POST",
            "/api/3.0/mlflow/gateway/guardrails/add-to-endpoint", NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("delete.gateway.guardrails.remove_from_endpoint", "DELETE",
            "/api/3.0/mlflow/gateway/guardrails/remove-from-endpoint", NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("patch.gateway.guardrails.update_config", "PATCH",
            "/api/3.0/mlflow/gateway/guardrails/update-config", NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("post.prompt_optimization.jobs", "POST", "/api/3.0/mlflow/prompt-optimization/jobs",
            NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("get.prompt_optimization.jobs.one", "GET",
            "/api/3.0/mlflow/prompt-optimization/jobs/{id}", &in_one, ROUTE_MLFLOW_AJAX),
    REFUSED("post.prompt_optimization.jobs.one.cancel", "POST",
            "/api/3.0/mlflow/prompt-optimization/jobs/{id}/cancel", &in_one, ROUTE_MLFLOW_AJAX),
    REFUSED("delete.prompt_optimization.jobs.one", "DELETE",
            "/api/3.0/mlflow/prompt-optimization/jobs/{id}", &in_one, ROUTE_MLFLOW_AJAX),
    REFUSED("post.label_schemas.create", "POST", "/api/3.0/mlflow/label-schemas/create", NULL,
            ROUTE_MLFLOW_AJAX),
    REFUSED("get.label_schemas.get", "GET", "/api/3.0/mlflow/label-schemas/get", NULL,
            ROUTE_MLFLOW_AJAX),
    REFUSED("get.label_schemas.get_by_name", "GET", "/api/3.0/mlflow/label-schemas/get-by-name",
            NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("patch.label_schemas.update", "PATCH", "/api/3.0/mlflow/label-schemas/update", NULL,
            ROUTE_MLFLOW_AJAX),
    REFUSED("delete.label_schemas.delete", "DELETE", "/api/3.0/mlflow/label-schemas/delete", NULL,
            ROUTE_MLFLOW_AJAX),
    REFUSED("post.review_queues.create", "POST", "/api/3.0/mlflow/review-queues/create", NULL,
            ROUTE_MLFLOW_AJAX),
    REFUSED("post.review_queues.get_or_create_user", "POST",
            "/api/3.0/mlflow/review-queues/get-or-create-user", NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("get.review_queues.get", "GET", "/api/3.0/mlflow/review-queues/get", NULL,
            ROUTE_MLFLOW_AJAX),
    REFUSED("get.review_queues.get_by_name", "GET", "/api/3.0/mlflow/review-queues/get-by-name",
            NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("post.review_queues.update", "POST", "/api/3.0/mlflow/review-queues/update", NULL,
            ROUTE_MLFLOW_AJAX),
    REFUSED("post.review_queues.delete", "POST", "/api/3.0/mlflow/review-queues/delete", NULL,
            ROUTE_MLFLOW_AJAX),
    REFUSED("post.review_queues.items.add", "POST", "/api/3.0/mlflow/review-queues/items/add", NULL,
            ROUTE_MLFLOW_AJAX),
    REFUSED("get.review_queues.items.list", "GET", "/api/3.0/mlflow/review-queues/items/list", NULL,
            ROUTE_MLFLOW_AJAX),
    REFUSED("post.review_queues.items.remove", "POST", "/api/3.0/mlflow/review-queues/items/remove",
            NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("post.review_queues.items.set_status", "POST",
            "/api/3.0/mlflow/review-queues/items/set-status", NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("put.scorers.online_config", "PUT", "/api/3.0/mlflow/scorers/online-config", NULL,
            ROUTE_MLFLOW_AJAX),
    REFUSED("post.scorer.invoke", "POST", "/ajax-api/3.0/mlflow/scorer/invoke", NULL, 0),
    REFUSED("post.issues.invoke", "POST", "/ajax-api/3.0/mlflow/issues/invoke", NULL, 0),
    REFUSED("post.genai.evaluate.invoke", "POST", "/ajax-api/3.0/mlflow/genai/evaluate/invoke",
            NULL, 0),
    REFUSED("post.demo.generate", "POST", "/ajax-api/3.0/mlflow/demo/generate", NULL, 0),
    REFUSED("post.demo.delete", "POST", "/ajax-api/3.0/mlflow/demo/delete", NULL, 0),
    REFUSED("get.jobs.one", "GET", "/ajax-api/3.0/mlflow/jobs/{id}", &in_one, 0),
    REFUSED("patch.jobs.cancel.one", "PATCH", "/ajax-api/3.0/mlflow/jobs/cancel/{id}", &in_one, 0),
    REFUSED("get.gateway.provider_config", "GET", "/ajax-api/3.0/mlflow/gateway/provider-config",
            NULL, 0),
    REFUSED("get.gateway.supported_models", "GET", "/ajax-api/3.0/mlflow/gateway/supported-models",
            NULL, 0),
    REFUSED("post.promptlab", "POST", "/ajax-api/2.0/mlflow/runs/create-promptlab-run", NULL, 0),
    REFUSED("post.datasets.create", "POST", "/api/3.0/mlflow/datasets/create", NULL,
            ROUTE_MLFLOW_AJAX),
    REFUSED("get.datasets.one", "GET", "/api/3.0/mlflow/datasets/{id}", &in_one, ROUTE_MLFLOW_AJAX),
    REFUSED("delete.datasets.one", "DELETE", "/api/3.0/mlflow/datasets/{id}", &in_one,
            ROUTE_MLFLOW_AJAX),
    REFUSED("post.datasets.add_experiments", "POST",
            "/api/3.0/mlflow/datasets/{id}/add-experiments", &in_one, ROUTE_MLFLOW_AJAX),
    REFUSED("get.datasets.experiment_ids", "GET", "/api/3.0/mlflow/datasets/{id}/experiment-ids",
            &in_one, ROUTE_MLFLOW_AJAX),
    REFUSED("get.datasets.records", "GET", "/api/3.0/mlflow/datasets/{id}/records", &in_one,
            ROUTE_MLFLOW_AJAX),
    REFUSED("post.datasets.records", "POST", "/api/3.0/mlflow/datasets/{id}/records", &in_one,
            ROUTE_MLFLOW_AJAX),
    REFUSED("delete.datasets.records", "DELETE", "/api/3.0/mlflow/datasets/{id}/records", &in_one,
            ROUTE_MLFLOW_AJAX),
    REFUSED("post.datasets.remove_experiments", "POST",
            "/api/3.0/mlflow/datasets/{id}/remove-experiments", &in_one, ROUTE_MLFLOW_AJAX),
    REFUSED("patch.datasets.tags", "PATCH", "/api/3.0/mlflow/datasets/{id}/tags", &in_one,
            ROUTE_MLFLOW_AJAX),
    REFUSED("delete.datasets.tag", "DELETE", "/api/3.0/mlflow/datasets/{id}/tags/{key}", &in_tag,
            ROUTE_MLFLOW_AJAX),
    REFUSED("post.issues", "POST", "/api/3.0/mlflow/issues", NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("get.issues.one", "GET", "/api/3.0/mlflow/issues/{id}", &in_one, ROUTE_MLFLOW_AJAX),
    REFUSED("patch.issues.one", "PATCH", "/api/3.0/mlflow/issues/{id}", &in_one, ROUTE_MLFLOW_AJAX),
    REFUSED("post.scorers.register", "POST", "/api/3.0/mlflow/scorers/register", NULL,
            ROUTE_MLFLOW_AJAX),
    REFUSED("get.scorers.get", "GET", "/api/3.0/mlflow/scorers/get", NULL, ROUTE_MLFLOW_AJAX),
    REFUSED("get.scorers.versions", "GET", "/api/3.0/mlflow/scorers/versions", NULL,
            ROUTE_MLFLOW_AJAX),
    REFUSED("delete.scorers.delete", "DELETE", "/api/3.0/mlflow/scorers/delete", NULL,
            ROUTE_MLFLOW_AJAX),
    EMPTY("get.gateway.secrets.list", "GET", "gateway/secrets/list"),
    EMPTY("get.gateway.endpoints.list", "GET", "gateway/endpoints/list"),
    EMPTY("get.gateway.model_definitions.list", "GET", "gateway/model-definitions/list"),
    EMPTY("get.gateway.endpoints.bindings.list", "GET", "gateway/endpoints/bindings/list"),
    EMPTY("get.gateway.budgets.list", "GET", "gateway/budgets/list"),
    EMPTY("get.gateway.budgets.windows", "GET", "gateway/budgets/windows"),
    EMPTY("get.gateway.guardrails.list", "GET", "gateway/guardrails/list"),
    EMPTY("get.gateway.guardrails.list_for_endpoint", "GET",
          "gateway/guardrails/list-for-endpoint"),
    EMPTY("get.prompt_optimization.jobs.search", "GET", "prompt-optimization/jobs/search"),
    EMPTY("post.prompt_optimization.jobs.search", "POST", "prompt-optimization/jobs/search"),
    EMPTY("get.label_schemas.list", "GET", "label-schemas/list"),
    EMPTY("get.review_queues.list", "GET", "review-queues/list"),
    EMPTY("get.datasets.search", "GET", "datasets/search"),
    EMPTY("post.datasets.search", "POST", "datasets/search"),
    EMPTY("post.issues.search", "POST", "issues/search"),
    EMPTY("get.scorers.list", "GET", "scorers/list"),
    EMPTY("get.scorers.online_configs", "GET", "scorers/online-configs"),
    PAGE("get.ui_telemetry", "GET", "3.0/mlflow/ui-telemetry", telemetry,
         "Tells the page to send none."),
    PAGE("post.ui_telemetry", "POST", "3.0/mlflow/ui-telemetry", taken,
         "Drops what the page reports."),
    PAGE("get.gateway_proxy", "GET", "2.0/mlflow/gateway-proxy", no_endpoints,
         "Lists no endpoints of a gateway."),
    PAGE("post.gateway_proxy", "POST", "2.0/mlflow/gateway-proxy", refuse,
         "Is not implemented, and says so."),
    PAGE("get.assistant.config", "GET", "3.0/mlflow/assistant/config", no_assistant,
         "Tells that there is no assistant."),
    PAGE("get.assistant.providers", "GET", "3.0/mlflow/assistant/providers", no_providers,
         "Lists no assistants."),
    PAGE("get.gateway.supported_providers", "GET", "3.0/mlflow/gateway/supported-providers",
         no_providers, "Lists no providers."),
    PAGE("get.gateway.secrets.config", "GET", "3.0/mlflow/gateway/secrets/config", no_secrets,
         "Tells that the gateway has no secrets."),
    WORKSPACE("get.workspaces", "GET", "", NULL),
    WORKSPACE("post.workspaces", "POST", "", NULL),
    WORKSPACE("get.workspaces.one", "GET", "/{id}", &in_one),
    WORKSPACE("patch.workspaces.one", "PATCH", "/{id}", &in_one),
    WORKSPACE("delete.workspaces.one", "DELETE", "/{id}", &in_one),
};

const struct route_list side_door_routes = {.rows = rows, .n = ARRAY_LEN(rows)};
