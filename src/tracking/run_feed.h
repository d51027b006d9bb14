/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_RUN_FEED_H
#define QUERN_TRACKING_RUN_FEED_H
/* Run feed: what is written to runs, told after its commit to those who watch them.
 *
 * Writers tell from inside their transaction; watchers get the text on their own thread. A watcher
 * that falls behind by more than 256 KiB loses what waits and is told so with one event "lagged"
 * {"lost": events}: it reads histories again. Events, as server-sent events: "metrics" a list of
 * {key, value, timestamp, step}; "params" and "tags" lists of {key, value}; "untags" a list of
 * {key}; "status" {status, end_time}; "deleted" {deleted}. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "entity.h"

struct buf;
struct ctx;
struct run_watch;

struct run_watch *run_watch_open(const char *run_id);
void run_watch_close(struct run_watch *w);
/* What waits, appended to `out` as server-sent events; *ended when the run came to its end. */
void run_watch_take(struct run_watch *w, struct buf *out, bool *ended);
bool run_watched(void); /* somebody watches some run */

/* Inside a write, after it succeeded. What the pointers lead to lives as long as the request. */
void run_feed_metrics(struct ctx *c, const char *run_id, const struct metric_value *m, size_t n);
void run_feed_pairs(struct ctx *c, const char *run_id, const char *event, const struct pair *p,
                    size_t n);
void run_feed_pair(struct ctx *c, const char *run_id, const char *event, const char *key,
                   const char *value); /* value NULL: left out */
void run_feed_status(struct ctx *c, const char *run_id, const struct run_info *now);
void run_feed_deleted(struct ctx *c, const char *run_id, bool deleted);
bool run_status_ends(const char *status); /* FINISHED, FAILED or KILLED */

#endif
