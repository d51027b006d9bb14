/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PREDICTION_DOORS_H
#define QUERN_PREDICTION_DOORS_H
/* Doors: this room's handlers; their rows are in prediction_doors.c. */
#include "quern/http/route.h"

extern const struct shape shape_feedback, shape_feedback_out;
extern const struct shape shape_predictions_query, shape_predictions, shape_prediction_path,
    shape_prediction_record;
extern const struct shape shape_export;
route_fn feedback_api, predictions_api_list, predictions_api_get, export_api;

#endif
