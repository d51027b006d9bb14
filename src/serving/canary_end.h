/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_CANARY_END_H
#define QUERN_SERVING_CANARY_END_H
/* Canary end: the revision that promotes or rolls back, written with its audit row and event. */
#include <stdbool.h>
#include <stdint.h>

struct ctx;

struct canary_end {
    int64_t project;
    const char *endpoint;
    int64_t revision; /* that the decision is about; nothing is done when there is a newer one */
    bool promote;
    const char *reason;
    bool done;
};
int canary_end_op(struct ctx *c, void *end); /* a db_op */

/* After a promotion or rollback by whom ever: tells of it. */
int canary_end_tell(struct ctx *c, const char *type, const char *endpoint, const char *arm,
                    int64_t revision, const char *reason);

#endif
