/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/base/arena.h"
#include "trace_api.h"
#include "trace_search.h"
#include "trace_store.h"
#include "trace_wire.h"

#define DEFAULT_RESULTS 100
#define MAX_RESULTS 500

static int limit(struct ctx *c, struct opt_i64 asked, int64_t *out) {
    *out = asked.set ? asked.v : DEFAULT_RESULTS;
    if (*out > MAX_RESULTS)
        return fail_field(c, ERR_INVALID, "max_results",
                          "Invalid value %lld for parameter 'max_results' supplied:  Hint: Value "
                          "was of type 'int'. It must be at most %d. See the API docs for more "
                          "information about request parameters.",
                          (long long)*out, MAX_RESULTS);
    if (*out <= 0)
        return fail_field(c, ERR_INVALID, "max_results",
                          "Invalid value %lld for parameter 'max_results' supplied. It must be a "
                          "positive integer",
                          (long long)*out);
    return 0;
}

static int find(struct ctx *c, struct trace_search *s, struct opt_i64 most,
                struct trace_info **infos, struct trace_found *found) {
    int rc = limit(c, most, &s->max_results);
    rc = rc ? rc : trace_search(c, s, found);
    if (rc != 0)
        return rc;
    *infos = ARENA_ARRAY(c->arena, struct trace_info, found->n ? found->n : 1);
    return trace_load(c, found->rows, found->n, *infos);
}

/* ------------------------------------------------------------------ 3.0 */

struct search {
    struct list locations; /* struct trace_location */
    const char *filter, *page_token;
    struct opt_i64 max_results;
    struct strs order_by;
};
struct place_experiment {
    const char *experiment_id;
};
struct place {
    const char *type;
    struct place_experiment *mlflow_experiment;
};
SHAPE_LOCAL(in_place_experiment, "TraceSearchExperiment", struct place_experiment,
            FIELD(struct place_experiment, experiment_id, T_STR, F_REQUIRED, "Experiment."));
SHAPE_LOCAL(in_place, "TraceSearchLocation", struct place,
            FIELD(struct place, type, T_STR, 0, "MLFLOW_EXPERIMENT."),
            FIELD_SUB(struct place, mlflow_experiment, T_OBJ, 0, &in_place_experiment, "Which."));
SHAPE(in_trace_search, "SearchTracesV3", struct search,
      FIELD_SUB(struct search, locations, T_LIST, F_REQUIRED, &in_place, "Experiments to look in."),
      FIELD(struct search, filter, T_STR, F_EMPTY_OK,
            "Filter over attributes, tags, metadata, feedback, expectations and spans."),
      FIELD(struct search, max_results, T_I64, 0, "Per page, at most 500; default 100."),
      FIELD(struct search, order_by, T_STRS, 0, "Orders, as timestamp_ms DESC."),
      FIELD(struct search, page_token, T_STR, F_EMPTY_OK, "next_page_token of the page before."));
struct page {
    struct list traces;
    const char *next_page_token;
};
SHAPE(out_trace_search, "TracePageV3", struct page,
      FIELD_SUB(struct page, traces, T_LIST, 0, &wire_trace_info, "Traces of this page."),
      FIELD(struct page, next_page_token, T_STR, 0, "Absent on the last page."));

int api_trace_search(struct ctx *c, const void *in, void *out) {
    const struct search *s = in;
    const struct place *p = s->locations.items;
    struct trace_search q = {
        .filter = s->filter, .order_by = s->order_by, .page_token = s->page_token};
    struct trace_info *infos = NULL;
    struct trace_found found;
    q.experiment_ids.items = ARENA_ARRAY(c->arena, const char *, s->locations.n + 1);
    for (size_t i = 0; i < s->locations.n; i++)
        if (p[i].mlflow_experiment)
            q.experiment_ids.items[q.experiment_ids.n++] = p[i].mlflow_experiment->experiment_id;
    int rc = find(c, &q, s->max_results, &infos, &found);
    struct page *o = out;
    if (rc == 0)
        *o = (struct page){{infos, found.n}, found.next_page_token};
    return rc;
}

/* ------------------------------------------------------------------ 2.0 */

struct search_v2 {
    struct strs experiment_ids, order_by;
    const char *filter, *page_token;
    struct opt_i64 max_results;
};
SHAPE(in_trace_search_v2, "SearchTraces", struct search_v2,
      FIELD(struct search_v2, experiment_ids, T_STRS, F_QUERY, "Experiments to look in."),
      FIELD(struct search_v2, filter, T_STR, F_QUERY | F_EMPTY_OK, "Filter, as in 3.0."),
      FIELD(struct search_v2, max_results, T_I64, F_QUERY, "Per page, at most 500; default 100."),
      FIELD(struct search_v2, order_by, T_STRS, F_QUERY, "Orders, as timestamp_ms DESC."),
      FIELD(struct search_v2, page_token, T_STR, F_QUERY | F_EMPTY_OK,
            "next_page_token of the page before."));
SHAPE(out_trace_search_v2, "TracePage", struct page,
      FIELD_SUB(struct page, traces, T_LIST, 0, &wire_trace_info_v2, "Traces of this page."),
      FIELD(struct page, next_page_token, T_STR, 0, "Absent on the last page."));

int api_trace_search_v2(struct ctx *c, const void *in, void *out) {
    const struct search_v2 *s = in;
    struct trace_search q = {.experiment_ids = s->experiment_ids,
                             .filter = s->filter,
                             .order_by = s->order_by,
                             .page_token = s->page_token};
    struct trace_info *infos = NULL;
    struct trace_found found;
    struct page *o = out;
    int rc = find(c, &q, s->max_results, &infos, &found);
    if (rc != 0)
        return rc;
    struct trace_info_v2 *v2 = ARENA_ARRAY(c->arena, struct trace_info_v2, found.n + 1);
    for (size_t i = 0; i < found.n; i++)
        trace_info_to_v2(c, &infos[i], &v2[i]);
    *o = (struct page){{v2, found.n}, found.next_page_token};
    return 0;
}
