/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PREDICTION_CAPTURE_H
#define QUERN_PREDICTION_CAPTURE_H
/* Capture: one prediction in one block of memory, as the answering thread leaves it in the ring;
 * and its text, as the recorder writes it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/prediction/prediction.h"

struct buf;

/* Tensors of more than this are not kept; the record says so. */
#define CAPTURE_MOST ((size_t)1 << 20)

struct capture {
    struct capture *next;
    size_t bytes; /* of the block */
    char id[PREDICTION_ID_SIZE];
    struct prediction_fact f; /* its pointers lead into the block */
    const char **redacted;    /* names left out */
    size_t nredacted;
    bool too_large;
};

/* NULL when the ring has no room for it; else it counts as inside. */
struct capture *capture_new(const struct prediction_log *log, const char *id,
                            const struct prediction_fact *f);
void capture_free(struct capture *k);
/* One line of JSON and its line feed. */
void capture_print(const struct capture *k, struct buf *out);

/* Tensors as the members of an object. */
void capture_print_tensors(const struct tensor *t, size_t n, struct buf *out);

/* ---- ring: what waits for the recorder. Any thread puts, one takes. ---- */

void ring_bound(size_t bytes);
bool ring_reserve(size_t bytes);  /* false: full */
void ring_put(struct capture *k); /* reserved before */
struct capture *ring_take(void);  /* all that is there, oldest first; bytes still count as inside */
void ring_gone(size_t bytes);     /* what was taken is not in memory any more */
size_t ring_bytes(void);

#endif
