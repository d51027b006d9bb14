/* SPDX-License-Identifier: Apache-2.0 */
#include "doors.h"
#include "quern/base/arena.h"
#include "quern/prediction/prediction.h"

#define ENDPOINT "/api/v1/endpoints/{endpoint}"

static const struct route rows[] = {
    {.id = "prediction.feedback",
     .method = "POST",
     .path = ENDPOINT "/feedback",
     .in = &shape_feedback,
     .out = &shape_feedback_out,
     .perm = PERM_WRITE,
     .lane = LANE_WORK,
     .fn = feedback_api,
     .summary = "Tells rewards and labels of predictions, one or many, as often as needed."},
    {.id = "prediction.list",
     .method = "GET",
     .path = ENDPOINT "/predictions",
     .in = &shape_predictions_query,
     .out = &shape_predictions,
     .perm = PERM_READ,
     .lane = LANE_WORK,
     .fn = predictions_api_list,
     .summary = "Lists the logged predictions of an endpoint, newest first."},
    {.id = "prediction.export",
     .method = "GET",
     .path = ENDPOINT "/predictions/export",
     .in = &shape_export,
     .perm = PERM_READ,
     .lane = LANE_WORK,
     .fn = export_api,
     .summary = "Exports logged predictions with their feedback as JSON lines, CSV or Parquet."},
    {.id = "prediction.get",
     .method = "GET",
     .path = ENDPOINT "/predictions/{id}",
     .in = &shape_prediction_path,
     .out = &shape_prediction_record,
     .perm = PERM_READ,
     .lane = LANE_WORK,
     .fn = predictions_api_get,
     .summary = "Shows one logged prediction, its feedback and its shadows."},
};
const struct route_list prediction_routes = {.rows = rows, .n = ARRAY_LEN(rows)};
