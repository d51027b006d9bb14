/* SPDX-License-Identifier: Apache-2.0 */
#include "column.h"
#include "tracking_api.h"

static const char *const kinds[] = {"metric", "param", "tag", NULL};
static const char *const types[] = {"number", "integer", "boolean", "string", NULL};

SHAPE(in_columns, "ColumnQuery", struct column_search,
      FIELD(struct column_search, experiment_id, T_STR, F_PATH | F_REQUIRED, "Experiment."),
      FIELD_ENUM(struct column_search, kind, F_QUERY, kinds, "All when absent."),
      FIELD(struct column_search, prefix, T_STR, F_QUERY, "Beginning of the names."),
      FIELD(struct column_search, distinct, T_BOOL, F_QUERY,
            "false leaves the number of different values out, which is faster."),
      FIELD_MAX(struct column_search, max_results, T_I64, F_QUERY, 1, 10000, "1000 when absent."),
      FIELD(struct column_search, page_token, T_STR, F_QUERY, "From the page before."));

SHAPE(wire_column, "Column", struct column,
      FIELD_ENUM(struct column, kind, F_ALWAYS, kinds, "What the runs have it as."),
      FIELD(struct column, name, T_STR, F_ALWAYS, "Name."),
      FIELD_ENUM(struct column, type, 0, types,
                 "What the values looked at are; absent for params and tags without distinct."),
      FIELD(struct column, count, T_I64, F_ALWAYS,
            "Runs that have it, those among them that are deleted and can be restored."),
      FIELD(struct column, min, T_F64, 0, "Least number of a metric, NaN left out."),
      FIELD(struct column, max, T_F64, 0, "Greatest number of a metric, NaN left out."),
      FIELD_AS(struct column, least, "min_text", T_STR, 0,
               "First text of a param or tag; at most 100 characters of it."),
      FIELD_AS(struct column, greatest, "max_text", T_STR, 0,
               "Last text of a param or tag; at most 100 characters of it."),
      FIELD(struct column, distinct, T_I64, 0, "Different values."),
      FIELD_AS(struct column, estimated, "distinct_estimated", T_BOOL, 0,
               "Whether the number of different values is an estimate."));
SHAPE(out_columns, "ColumnPage", struct column_page,
      FIELD_SUB(struct column_page, columns, T_LIST, F_ALWAYS, &wire_column,
                "Metrics, then params, then tags, each by name."),
      FIELD(struct column_page, next_page_token, T_STR, 0, "Absent on the last page."));

int api_columns(struct ctx *c, const void *in, void *out) {
    return column_search(c, in, out);
}
