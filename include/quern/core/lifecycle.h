/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_CORE_LIFECYCLE_H
#define QUERN_CORE_LIFECYCLE_H
/* Lifecycle: the states of a thing and the moves between them, as rows. */
#include <stdbool.h>
#include <stddef.h>

struct ctx;

struct state_row {
    const char *name;
    bool terminal;
    const char *doc;
};
struct move_row {
    const char *from, *to;
    const char *cause;
};
struct lifecycle {
    const char *noun;
    const struct state_row *states;
    size_t nstates;
    const struct move_row *moves;
    size_t nmoves;
};

bool lifecycle_known(const struct lifecycle *l, const char *state);
bool lifecycle_terminal(const struct lifecycle *l, const char *state);
/* 0, or ERR_GONE_STATE "step is succeeded; only running or queued can become cancelled". */
int lifecycle_check(struct ctx *c, const struct lifecycle *l, const char *from, const char *to);

#endif
