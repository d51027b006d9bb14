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

/* What a path belongs to, by a part of it. The first that fits. */
static const struct {
    const char *part, *feature;
} features[] = {
    {"/gateway", "The gateway to language models"},
    {"/prompt-optimization", "Prompt optimization"},
    {"/label-schemas", "Label schemas"},
    {"/review-queues", "Review queues"},
    {"/scorer", "Running scorers on the server"},
    {"/issues/invoke", "Finding issues on the server"},
    {"/genai/evaluate", "Evaluation on the server"},
    {"/promptlab", "The prompt lab"},
    {"/create-promptlab", "The prompt lab"},
    {"/demo", "The demo data"},
    {"/jobs", "MLflow's job runner"},
};

static int refuse(struct ctx *c, const void *in, void *out) {
    size_t i = 0;
    (void)in;
    (void)out;
    while (i < ARRAY_LEN(features) && !strstr(c->path, features[i].part))
        i++;
    return fail(c, ERR_NOT_IMPLEMENTED, "%s is not implemented by this server.",
                i < ARRAY_LEN(features) ? features[i].feature : "This feature");
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
#define NOT_HERE "Is not implemented, and says so."
#define REFUSED(ident, verb, where, takes)                                                         \
    DOOR(ident, verb, "/api/3.0/mlflow/" where, takes, ROUTE_MLFLOW_AJAX, refuse, NOT_HERE)
#define REFUSED_PAGE(ident, verb, where, takes)                                                    \
    DOOR(ident, verb, "/ajax-api/" where, takes, 0, refuse, NOT_HERE)
#define EMPTY(ident, verb, where)                                                                  \
    DOOR(ident, verb, "/api/3.0/mlflow/" where, NULL, ROUTE_MLFLOW_AJAX, empty,                    \
         "Lists nothing: the feature is not there.")
#define PAGE(ident, verb, where, handler, says)                                                    \
    DOOR(ident, verb, "/ajax-api/" where, NULL, 0, handler, says)
#define WORKSPACE(ident, verb, where, takes)                                                       \
    DOOR(ident, verb, "/api/3.0/mlflow/workspaces" where, takes, ROUTE_MLFLOW_AJAX, workspaces,    \
         "Tells that workspaces are off.")

static const struct route rows[] = {
    REFUSED("post.gateway.secrets.create", "POST", "gateway/secrets/create", NULL),
    REFUSED("get.gateway.secrets.get", "GET", "gateway/secrets/get", NULL),
    REFUSED("post.gateway.secrets.update", "POST", "gateway/secrets/update", NULL),
    REFUSED("delete.gateway.secrets.delete", "DELETE", "gateway/secrets/delete", NULL),
    REFUSED("post.gateway.endpoints.create", "POST", "gateway/endpoints/create", NULL),
    REFUSED("get.gateway.endpoints.get", "GET", "gateway/endpoints/get", NULL),
    REFUSED("post.gateway.endpoints.update", "POST", "gateway/endpoints/update", NULL),
    REFUSED("delete.gateway.endpoints.delete", "DELETE", "gateway/endpoints/delete", NULL),
    REFUSED("post.gateway.model_definitions.create", "POST", "gateway/model-definitions/create",
            NULL),
    REFUSED("get.gateway.model_definitions.get", "GET", "gateway/model-definitions/get", NULL),
    REFUSED("post.gateway.model_definitions.update", "POST", "gateway/model-definitions/update",
            NULL),
    REFUSED("delete.gateway.model_definitions.delete", "DELETE", "gateway/model-definitions/delete",
            NULL),
    REFUSED("post.gateway.endpoints.models.attach", "POST", "gateway/endpoints/models/attach",
            NULL),
    REFUSED("post.gateway.endpoints.models.detach", "POST", "gateway/endpoints/models/detach",
            NULL),
    REFUSED("post.gateway.endpoints.bindings.create", "POST", "gateway/endpoints/bindings/create",
            NULL),
    REFUSED("delete.gateway.endpoints.bindings.delete", "DELETE",
            "gateway/endpoints/bindings/delete", NULL),
    REFUSED("post.gateway.endpoints.set_tag", "POST", "gateway/endpoints/set-tag", NULL),
    REFUSED("delete.gateway.endpoints.delete_tag", "DELETE", "gateway/endpoints/delete-tag", NULL),
    REFUSED("post.gateway.budgets.create", "POST", "gateway/budgets/create", NULL),
    REFUSED("get.gateway.budgets.get", "GET", "gateway/budgets/get", NULL),
    REFUSED("post.gateway.budgets.update", "POST", "gateway/budgets/update", NULL),
    REFUSED("delete.gateway.budgets.delete", "DELETE", "gateway/budgets/delete", NULL),
    REFUSED("post.gateway.guardrails.create", "POST", "gateway/guardrails/create", NULL),
    REFUSED("get.gateway.guardrails.get", "GET", "gateway/guardrails/get", NULL),
    REFUSED("delete.gateway.guardrails.delete", "DELETE", "gateway/guardrails/delete", NULL),
    REFUSED("post.gateway.guardrails.add_to_endpoint", "POST", "gateway/guardrails/add-to-endpoint",
            NULL),
    REFUSED("delete.gateway.guardrails.remove_from_endpoint", "DELETE",
            "gateway/guardrails/remove-from-endpoint", NULL),
    REFUSED("patch.gateway.guardrails.update_config", "PATCH", "gateway/guardrails/update-config",
            NULL),
    REFUSED("post.prompt_optimization.jobs", "POST", "prompt-optimization/jobs", NULL),
    REFUSED("get.prompt_optimization.jobs.one", "GET", "prompt-optimization/jobs/{id}", &in_one),
    REFUSED("post.prompt_optimization.jobs.one.cancel", "POST",
            "prompt-optimization/jobs/{id}/cancel", &in_one),
    REFUSED("delete.prompt_optimization.jobs.one", "DELETE", "prompt-optimization/jobs/{id}",
            &in_one),
    REFUSED("post.label_schemas.create", "POST", "label-schemas/create", NULL),
    REFUSED("get.label_schemas.get", "GET", "label-schemas/get", NULL),
    REFUSED("get.label_schemas.get_by_name", "GET", "label-schemas/get-by-name", NULL),
    REFUSED("patch.label_schemas.update", "PATCH", "label-schemas/update", NULL),
    REFUSED("delete.label_schemas.delete", "DELETE", "label-schemas/delete", NULL),
    REFUSED("post.review_queues.create", "POST", "review-queues/create", NULL),
    REFUSED("post.review_queues.get_or_create_user", "POST", "review-queues/get-or-create-user",
            NULL),
    REFUSED("get.review_queues.get", "GET", "review-queues/get", NULL),
    REFUSED("get.review_queues.get_by_name", "GET", "review-queues/get-by-name", NULL),
    REFUSED("post.review_queues.update", "POST", "review-queues/update", NULL),
    REFUSED("post.review_queues.delete", "POST", "review-queues/delete", NULL),
    REFUSED("post.review_queues.items.add", "POST", "review-queues/items/add", NULL),
    REFUSED("get.review_queues.items.list", "GET", "review-queues/items/list", NULL),
    REFUSED("post.review_queues.items.remove", "POST", "review-queues/items/remove", NULL),
    REFUSED("post.review_queues.items.set_status", "POST", "review-queues/items/set-status", NULL),
    REFUSED("put.scorers.online_config", "PUT", "scorers/online-config", NULL),
    REFUSED_PAGE("post.scorer.invoke", "POST", "3.0/mlflow/scorer/invoke", NULL),
    REFUSED_PAGE("post.issues.invoke", "POST", "3.0/mlflow/issues/invoke", NULL),
    REFUSED_PAGE("post.genai.evaluate.invoke", "POST", "3.0/mlflow/genai/evaluate/invoke", NULL),
    REFUSED_PAGE("post.demo.generate", "POST", "3.0/mlflow/demo/generate", NULL),
    REFUSED_PAGE("post.demo.delete", "POST", "3.0/mlflow/demo/delete", NULL),
    REFUSED_PAGE("get.jobs.one", "GET", "3.0/mlflow/jobs/{id}", &in_one),
    REFUSED_PAGE("patch.jobs.cancel.one", "PATCH", "3.0/mlflow/jobs/cancel/{id}", &in_one),
    REFUSED_PAGE("get.gateway.provider_config", "GET", "3.0/mlflow/gateway/provider-config", NULL),
    REFUSED_PAGE("get.gateway.supported_models", "GET", "3.0/mlflow/gateway/supported-models",
                 NULL),
    REFUSED_PAGE("post.promptlab", "POST", "2.0/mlflow/runs/create-promptlab-run", NULL),
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
    PAGE("get.ui_telemetry", "GET", "3.0/mlflow/ui-telemetry", telemetry,
         "Tells the page to send none."),
    PAGE("post.ui_telemetry", "POST", "3.0/mlflow/ui-telemetry", taken,
         "Drops what the page reports."),
    PAGE("get.gateway_proxy", "GET", "2.0/mlflow/gateway-proxy", no_endpoints,
         "Lists no endpoints of a gateway."),
    REFUSED_PAGE("post.gateway_proxy", "POST", "2.0/mlflow/gateway-proxy", NULL),
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
