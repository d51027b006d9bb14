/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_RUN_SEARCH_STREAM_H
#define QUERN_TRACKING_RUN_SEARCH_STREAM_H
/* Run search stream: runs in the order of an index, with what orders them. Several streams, one per
 * experiment, are merged into one. A stage is a stretch of the answer that one kind of stream
 * gives: started   by start_ms status    as started, of the runs of one status number    by the
 * numbers of a metric        nan    the runs where it is NaN, in no order text      by the texts of
 * a param or tag any       as started or status, in no order */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "run_search.h"
#include "run_search_set.h"

struct buf;
struct stmt;

enum stage_kind { STAGE_STARTED, STAGE_NUMBER, STAGE_NAN, STAGE_TEXT, STAGE_ANY };

struct stage {
    enum stage_kind kind;
    const struct search_order *order; /* numbers and texts */
    bool desc;
    const char *status; /* NULL: of any */
};

struct stream_value {
    int64_t integer;
    double real;
    const void *text; /* valid until the stream moves */
    size_t len;
};

struct stream {
    struct stmt *st;
    int64_t run;
    struct stream_value value;
    bool passes;
};

struct streams {
    struct ctx *c;
    const struct stage *stage;
    struct stream *items; /* a heap, the next run first */
    size_t n;
};

#define STREAMS_MAX 1000
size_t streams_count(const struct search_plan *p, const struct stage *stage);
/* conds are probed; set is asked first. from: no run before this value is wanted. */
int streams_open(struct ctx *c, struct streams *s, const struct search_plan *p,
                 const struct stage *stage, const struct search_cond *const *conds, size_t nconds,
                 const struct run_set *set, const struct stream_value *from);
int streams_next(struct streams *s); /* items[0] moves on; n falls when it ends */
void streams_close(struct streams *s);
int stream_compare(const struct stage *stage, const struct stream_value *a,
                   const struct stream_value *b);

#endif
