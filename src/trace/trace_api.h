/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACE_TRACE_API_H
#define QUERN_TRACE_TRACE_API_H
/* Trace api: handlers and shapes that the list of routes names. */
#include "quern/http/route.h"

route_fn api_otlp;

extern const struct shape in_trace_create, out_trace, in_trace_id, in_trace_get, in_trace_ids,
    in_trace_infos, out_traces, out_trace_infos, in_trace_delete, out_trace_delete, in_trace_tag,
    in_trace_tag_key, in_trace_link_run, in_trace_link_prompts, in_trace_artifact;
route_fn api_trace_create, api_trace_info, api_trace_get, api_trace_batch, api_trace_infos,
    api_trace_delete, api_trace_set_tag, api_trace_delete_tag, api_trace_link_run,
    api_trace_link_prompts, api_trace_artifact, api_trace_nothing;

extern const struct shape in_trace_search, out_trace_search, in_trace_search_v2,
    out_trace_search_v2;
route_fn api_trace_search, api_trace_search_v2;

extern const struct shape in_trace_metrics, out_trace_metrics, in_trace_correlation,
    out_trace_correlation;
route_fn api_trace_metrics, api_trace_correlation;

extern const struct shape in_trace_begin_v2, in_trace_end_v2, in_trace_info_v2, out_trace_v2;
route_fn api_trace_begin_v2, api_trace_end_v2, api_trace_info_v2;

extern const struct shape in_assessment_create, in_assessment_id, in_assessment_update,
    out_assessment;
route_fn api_assessment_create, api_assessment_get, api_assessment_update, api_assessment_delete;

#endif
