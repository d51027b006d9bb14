/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_CHILD_PROBE_H
#define QUERN_SERVING_CHILD_PROBE_H
/* Child probe: one GET to a child that never blocks, so that a single thread can ask all children.
 * Only the status is of interest. */
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum probe_result {
    PROBE_PENDING,
    PROBE_OK,      /* 2xx */
    PROBE_MISSING, /* there is no such path */
    PROBE_NOT_YET, /* any other status: it lives, but does not serve */
    PROBE_DEAD,    /* nobody listens, no answer in time, or no HTTP */
};

struct probe {
    int fd; /* -1: none under way */
    int64_t until_ms;
    char out[512], in[4096];
    size_t nout, sent, nin;
};

/* PROBE_PENDING, or PROBE_DEAD at once. `socket` is used when port is 0. */
enum probe_result probe_start(struct probe *p, unsigned port, const char *socket, const char *path,
                              int64_t now_ms, int64_t ms);
struct pollfd probe_poll(const struct probe *p);
/* To be called when its descriptor is ready and when its time is over; closes it at the end. */
enum probe_result probe_step(struct probe *p, int64_t now_ms);
void probe_drop(struct probe *p);

#endif
