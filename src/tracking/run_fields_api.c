/* SPDX-License-Identifier: Apache-2.0 */
#include "run_fields.h"

#include "quern/core/ctx.h"
#include "tracking_api.h"

struct wish {
    struct run_search search;
    const char *experiment_id;
    struct strs fields;
};

#define WISH(fl)                                                                                   \
    FIELD_AS(struct wish, search.filter, "filter", T_STR, fl,                                      \
             "Filter over metrics, params, tags, attributes."),                                    \
        FIELD_AS(struct wish, search.order_by, "order_by", T_STRS, fl, "Keys with ASC or DESC."),  \
        {.name = "run_view_type",                                                                  \
         .type = T_ENUM,                                                                           \
         .flags = (fl),                                                                            \
         .offset = offsetof(struct wish, search.run_view_type),                                    \
         .names = view_type_names,                                                                 \
         .doc = "Which; ACTIVE_ONLY when absent."},                                                \
        FIELD_AS(struct wish, search.max_results, "max_results", T_I64, fl,                        \
                 "At most 50000; 1000 when absent."),                                              \
        FIELD_AS(struct wish, search.page_token, "page_token", T_STR, fl,                          \
                 "From the page before."),                                                         \
        FIELD(struct wish, fields, T_STRS, fl,                                                     \
              "info, metrics, params, tags, or one as metrics.loss; info when absent.")

SHAPE(in_runs_find, "FindRuns", struct wish,
      FIELD_AS(struct wish, search.experiment_ids, "experiment_ids", T_STRS, F_REQUIRED,
               "Experiments to look in."),
      WISH(0));
SHAPE(in_runs_find_of, "FindRunsOfExperiment", struct wish,
      FIELD(struct wish, experiment_id, T_STR, F_PATH | F_REQUIRED, "Experiment."), WISH(F_QUERY));

SHAPE(wire_run_found, "RunFields", struct run_fields,
      FIELD(struct run_fields, run_id, T_STR, F_ALWAYS, "Run."),
      FIELD_SUB(struct run_fields, info, T_OBJ, 0, &wire_run_info, "What it is."),
      FIELD(struct run_fields, metrics, T_FMAP, 0, "Latest values by name."),
      FIELD(struct run_fields, params, T_MAP, 0, "Texts by name."),
      FIELD(struct run_fields, tags, T_MAP, 0, "Texts by name."));
SHAPE(out_runs_found, "RunFieldsPage", struct run_fields_page,
      FIELD_SUB(struct run_fields_page, runs, T_LIST, F_ALWAYS, &wire_run_found, "Runs."),
      FIELD(struct run_fields_page, next_page_token, T_STR, 0, "Absent on the last page."));

int api_run_fields(struct ctx *c, const void *in, void *out) {
    const struct wish *w = in;
    return run_fields_search(c, &w->search, &w->fields, out);
}

int api_run_fields_of(struct ctx *c, const void *in, void *out) {
    struct wish w = *(const struct wish *)in;
    w.search.experiment_ids = (struct strs){.items = &w.experiment_id, .n = 1};
    return run_fields_search(c, &w.search, &w.fields, out);
}
