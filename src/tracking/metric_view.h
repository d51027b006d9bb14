/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_METRIC_VIEW_H
#define QUERN_TRACKING_METRIC_VIEW_H
/* Metric view: a series as readers see it, in segments that share no point: blocks, stretches of
 * old rows, the tail. What a segment says of itself is enough to pass it over unread. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metric_block.h"
#include "metric_store.h"

struct ctx;

enum segment_kind { SEGMENT_BLOCK, SEGMENT_ROWS, SEGMENT_TAIL };

struct segment {
    enum segment_kind kind;
    int64_t id; /* of a block */
    size_t n;
    struct point first, last;           /* in the order of point_order */
    int64_t min_step, max_step, stride; /* stride: of points_stride */
    bool valued;                        /* has a value that is not NaN; then: */
    double min_value, max_value;
};

struct view {
    int64_t run, key;
    struct segment *segments; /* by first */
    size_t n;
    int64_t points;
    struct points *tail;
};

int view_open(struct ctx *c, int64_t run, int64_t key, struct view *v);
/* Appends the segment's points in order. */
int view_read(struct ctx *c, const struct view *v, const struct segment *s, struct points *out);
/* Appends the points at positions skip .. skip + take - 1 of the series, in order. */
int view_slice(struct ctx *c, const struct view *v, int64_t skip, int64_t take, struct points *out);
/* A heap of points that the arena releases. */
struct points *view_room(struct ctx *c);

/* For the writer: the pieces of the above. */
int block_read(struct ctx *c, int64_t id, int64_t run, int64_t key, struct points *out);
int rows_read(struct ctx *c, int64_t run, int64_t key, const struct point *from, int64_t most,
              struct points *out);
/* Drops from sorted `p` what blocks (or old rows) hold already. */
int metric_drop_known(struct ctx *c, int64_t run, int64_t key, struct points *p, bool blocks);
int metric_damaged(struct ctx *c, int64_t run, int64_t key);

#endif
