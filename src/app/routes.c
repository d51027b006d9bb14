/* SPDX-License-Identifier: Apache-2.0 */
/* The whole wire surface of the daemon, room by room. */
#include "house.h"
#include "page.h"
#include "quern/access/access.h"
#include "quern/artifact/artifact.h"
#include "quern/artifact/grant.h"
#include "quern/base/arena.h"
#include "quern/genai/genai.h"
#include "quern/graphql/graphql.h"
#include "quern/lineage/lineage.h"
#include "quern/pipeline/pipeline.h"
#include "quern/prediction/prediction.h"
#include "quern/registry/registry.h"
#include "quern/serving/serving.h"
#include "quern/trace/trace.h"
#include "quern/tracking/tracking.h"
#include "quern/trash/trash.h"
#include "quern/webhook/webhook.h"

static const struct route_list *const rooms[] = {
    &guide_routes,      &page_routes,     &ops_routes,        &backup_routes,    &principal_routes,
    &token_routes,      &user_routes,     &permission_routes, &project_routes,   &artifact_routes,
    &upload_routes,     &grant_routes,    &lineage_routes,    &tracking_routes,  &trace_routes,
    &assessment_routes, &registry_routes, &pipeline_routes,   &serving_routes,   &graphql_routes,
    &dataset_routes,    &scorer_routes,   &issue_routes,      &side_door_routes, &webhook_routes,
    &trash_routes,      &quota_routes,    &prediction_routes, &golden_routes,    &batch_routes,
    &bundle_routes,
};

const struct route_list *house_routes(void) {
    static struct route_list lists[ARRAY_LEN(rooms) + 1];
    if (!lists[0].n) {
        for (size_t i = 0; i < ARRAY_LEN(rooms); i++) {
            lists[i] = *rooms[i];
        }
    }
    return lists;
}
