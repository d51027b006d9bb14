/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACE_TRACE_STORE_H
#define QUERN_TRACE_TRACE_STORE_H
/* Trace store: rows of traces, their tags and metadata. Everything is within c->project. */
#include <stdbool.h>

#include "trace_wire.h"

struct ctx;

/* The trace's own columns, without tags, metadata and assessments: 1 found, 0 not. */
int trace_find(struct ctx *c, const char *trace_id, struct trace_info *out);
/* Whole descriptions by row number, in the order given; four statements for any number. */
int trace_load(struct ctx *c, const int64_t *rows, size_t n, struct trace_info *out);

/* Fills t->row. ERR_CONFLICT when the id belongs to another project. */
int trace_insert(struct ctx *c, struct trace_info *t);
/* Writes the columns as they are in t. `told`: a client described it. */
int trace_update(struct ctx *c, const struct trace_info *t, bool told);
int trace_put_tag(struct ctx *c, int64_t row, const char *key, const char *value);
int trace_drop_tag(struct ctx *c, int64_t row, const char *key, bool *was);
int trace_put_metadata(struct ctx *c, int64_t row, const char *key, const char *value);
int trace_has(struct ctx *c, int64_t row, bool tag, const char *key, bool *yes);
/* At most `most` traces of an experiment that began at or before `before_ms`, oldest first. */
int trace_delete_old(struct ctx *c, int64_t experiment, int64_t before_ms, int64_t most,
                     int64_t *gone);
int trace_delete_one(struct ctx *c, int64_t experiment, const char *trace_id, int64_t *gone);
int trace_link_run(struct ctx *c, int64_t row, const char *run_id);

/* [1,2,3] for json_each. */
const char *trace_row_list(struct ctx *c, const int64_t *rows, size_t n);

#endif
