/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_GATE_H
#define QUERN_SERVING_GATE_H
/* Gate: what stands between predictions that may block and the threads that run them. One pool of
 * serving threads for the whole daemon, made as they are needed and ended when they idle; one gate
 * per endpoint (or model) with a bound on calls that run and on calls that wait. Calls of a gate
 * start first in, first out, urgent ones before the others; gates take turns. A call that has no
 * place is refused at once, and one whose deadline passes while it waits is ended without having
 * run. Functions may be called from any thread. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "expiry.h"

struct gate;
struct metric_cell;

/* ---- the pool ---- */

/* `most` threads at once; one that had nothing to do for `idle_ms` ends. */
void gates_start(unsigned most, int64_t idle_ms);
/* Refuses new calls, lets those inside run for up to `drain_ms`, ends the ones that still wait then
 * with -ERR_BUSY, and returns when no thread is left. */
void gates_stop(int64_t drain_ms);
unsigned gates_threads(void);

/* ---- gates ---- */

struct gate_limits {
    unsigned concurrency; /* calls that run at once, 1 at least; of the pool's threads three
                             quarters at most */
    unsigned queue;       /* calls that wait besides */
};

struct gate *gate_new(struct gate_limits limits);
void gate_set(struct gate *g, struct gate_limits limits); /* calls inside stay */
/* Histogram of the seconds that calls waited which then ran; NULL: none. */
void gate_metric(struct gate *g, struct metric_cell *queue_seconds);
void gate_ref(struct gate *g);
void gate_unref(struct gate *g); /* freed with the last user; calls inside are users */

struct gate_figures {
    unsigned in_flight, waiting;
    uint64_t ran;       /* ended after having run */
    uint64_t shed;      /* refused, the gate or the pool being full or stopped */
    uint64_t expired;   /* ended by their deadline without having run */
    int64_t service_ns; /* smoothed time of a run; 0 before the first */
};
struct gate_figures gate_figures(struct gate *g);
/* Seconds after which a refused caller may find a place, from what is inside and the observed time
 * of a run; 1 to 60. */
int gate_retry_after(struct gate *g);

/* ---- calls ---- */

/* Lives with its caller until `run` was called, which happens exactly once unless the call was
 * refused or cancelled. With rc 0 on a serving thread, where it may block; it may free the call.
 * With -ERR_DEADLINE or -ERR_BUSY on any thread: it must not block and only passes the failure on.
 */
struct gate_call {
    void (*run)(void *arg, int rc);
    void *arg;
    int64_t deadline_ns; /* monotonic; 0: none */
    bool urgent;
    /* Below: the gate's. */
    int64_t began_ns; /* when it was submitted */
    struct gate *gate;
    struct gate_call *before, *after;
    struct expiry_item expiry;
};

/* 0, -ERR_BUSY (no place) or -ERR_DEADLINE (already past). */
int gate_submit(struct gate *g, struct gate_call *call);
/* True when the call still waited: it is out and will not be run. */
bool gate_cancel(struct gate_call *call); /* never once `run` may have freed it */

/* A place for a run on the caller's own thread: true when nothing waits and fewer than
 * `concurrency` run; to be given back with the time that it began. */
bool gate_try(struct gate *g);
void gate_done(struct gate *g, int64_t began_ns);

#endif
