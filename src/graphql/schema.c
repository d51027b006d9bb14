/* SPDX-License-Identifier: Apache-2.0 */
#include "schema.h"

#include <stddef.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/graphql/graphql.h"
#include "quern/registry/registry.h"
#include "quern/tracking/tracking.h"

static const struct gql_read reads[] = {
    {NULL, "mlflowGetExperiment", true, false, "tracking.experiments.get", NULL, NULL, NULL},
    {NULL, "mlflowGetRun", true, false, "tracking.runs.get", NULL, NULL, NULL},
    {NULL, "mlflowGetMetricHistoryBulkInterval", true, false, "tracking.metrics.history_interval",
     NULL, NULL, NULL},
    {NULL, "mlflowListArtifacts", true, false, "tracking.artifacts.list", NULL, NULL, NULL},
    {NULL, "mlflowSearchModelVersions", true, false, "registry.versions.search", NULL, NULL, NULL},
    {NULL, "mlflowSearchRuns", true, true, "tracking.runs.search", NULL, NULL, NULL},
    {NULL, "mlflowSearchDatasets", false, true, "tracking.experiments.search_datasets", NULL, NULL,
     NULL},
    {"Run", "experiment", false, false, "tracking.experiments.get", "experiment",
     "{\"experiment_id\":\"%s\"}", "info.experiment_id"},
    {"Run", "modelVersions", false, false, "registry.versions.search", "model_versions",
     "{\"filter\":\"run_id='%s'\"}", "info.run_id"},
};

static const struct route_list *const lists[] = {&tracking_routes, &registry_routes};

const struct gql_read *gql_read(const char *parent, bool mutation, const char *name) {
    for (size_t i = 0; i < ARRAY_LEN(reads); i++) {
        bool here = parent || (mutation ? reads[i].mutation : reads[i].query);
        if (here && str_eq(reads[i].parent, parent) && str_eq(reads[i].name, name))
            return &reads[i];
    }
    return NULL;
}

const struct route *gql_route(const char *id) {
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        for (size_t r = 0; r < lists[i]->n; r++)
            if (str_eq(lists[i]->rows[r].id, id))
                return &lists[i]->rows[r];
    return NULL;
}

/* "run_id" is "runId". */
static bool is_camel_of(const char *snake, const char *camel) {
    for (; *snake; snake++, camel++) {
        if (*snake == '_' && snake[1] >= 'a' && snake[1] <= 'z') {
            snake++;
            if (*camel != *snake - 'a' + 'A')
                return false;
        } else if (*camel != *snake) {
            return false;
        }
    }
    return !*camel;
}

const struct field *gql_member(const struct shape *s, const char *name) {
    for (size_t i = 0; i < s->n; i++)
        if (is_camel_of(s->fields[i].name, name))
            return &s->fields[i];
    return NULL;
}

bool gql_absent(const struct shape *s, const char *name) {
    static const struct {
        const char *shape; /* NULL: every answer of a root field */
        const char *name;
    } rows[] = {
        {"Experiment", "effectiveTraceArchivalRetention"},
        {"Experiment", "workspace"},
        {"Metric", "datasetName"},
        {"Metric", "datasetDigest"},
        {"Metric", "modelId"},
        {"Metric", "runId"},
        {"FileInfo", "fileSize"},
        {"ModelVersion", "userId"},
        {"ModelVersion", "statusMessage"},
        {"ModelVersion", "modelId"},
        {"ModelVersion", "modelParams"},
        {"ModelVersion", "modelMetrics"},
        {"ModelVersion", "deploymentJobState"},
        {"ArtifactPage", "nextPageToken"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eq(rows[i].shape, s->name) && str_eq(rows[i].name, name))
            return true;
    return str_eq(name, "apiError");
}

const char *gql_type_name(struct ctx *c, const struct shape *parent, const char *name,
                          const struct shape *s) {
    /* Where one shape serves several of MLflow's types, and types that its page extends. */
    static const struct {
        const char *parent, *name, *type;
    } rows[] = {
        {"RunData", "params", "MlflowParam"},
        {"RunData", "tags", "MlflowRunTag"},
        {"RunData", "metrics", "MlflowMetricExtension"},
        {"Experiment", "tags", "MlflowExperimentTag"},
        {"ModelVersion", "tags", "MlflowModelVersionTag"},
        {"DatasetInput", "tags", "MlflowInputTag"},
    };
    for (size_t i = 0; parent && i < ARRAY_LEN(rows); i++)
        if (str_eq(rows[i].parent, parent->name) && str_eq(rows[i].name, name))
            return rows[i].type;
    if (!parent) /* mlflowGetRun gives MlflowGetRunResponse */
        return arena_printf(c->arena, "M%sResponse", name + 1);
    if (str_eq(s->name, "Run"))
        return "MlflowRunExtension";
    return arena_printf(c->arena, "Mlflow%s", s->name);
}
