/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_METRIC_SERIES_H
#define QUERN_TRACKING_METRIC_SERIES_H
/* Metric series: one run's points of one key, as they come in. New points join the tail; a tail
 * beyond TAIL_BYTES goes into the open block, a full block is followed by another. Exact duplicates
 * of tail points are dropped at once, those of points in blocks when the tail is emptied; readers
 * leave them out until then (metric_view.h). */
#include <stddef.h>
#include <stdint.h>

struct ctx;
struct points;

#define TAIL_BYTES 900   /* with its row's head still within a leaf of the clustered table */
#define BLOCK_BYTES 3900 /* with its header just within a page */
#define ROWS_AT_ONCE 4096

/* Inside a write. Takes the points over: sorts `p` and drops duplicates. */
int series_add(struct ctx *c, int64_t run, int64_t key, struct points *p);
/* Inside a write. Packs rows of metric_point, at most `most`; the number packed, or negative. */
int64_t series_pack_rows(struct ctx *c, int64_t most);
/* Inside a write. Removes every point of a run, at most `most` rows; 1 when more are left. */
int series_erase(struct ctx *c, int64_t run, int64_t most);

#endif
