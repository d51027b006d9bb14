/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PREDICTION_DOORS_H
#define QUERN_PREDICTION_DOORS_H
/* Doors: this room's handlers; their rows are in prediction_doors.c. */
#include "quern/http/route.h"

extern const struct shape shape_feedback, shape_feedback_out;
extern const struct shape shape_predictions_query, shape_predictions, shape_prediction_path,
    shape_prediction_record;
extern const struct shape shape_export;
extern const struct shape shape_replay_path, shape_replays_path, shape_replay, shape_replays;
extern const struct shape shape_shadow_query, shape_shadow_report;
route_fn feedback_api, predictions_api_list, predictions_api_get, export_api;
route_fn replay_api_post, replay_api_get, replay_api_list, replay_api_cancel, shadow_report_api;

#endif
