/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PREDICTION_SKEW_H
#define QUERN_PREDICTION_SKEW_H
/* Skew: what the inputs of a window look like, column by column, and how far they are from those of
 * another window. */
#include <stdbool.h>

struct json_t;
struct json_writer;
struct map;

struct skew {
    struct map *columns; /* struct column of skew.c; NULL until the first record */
    bool referred;       /* a reference was added */
};

void skew_add(struct skew *s, const struct json_t *inputs, bool reference);
void skew_write(struct skew *s, struct json_writer *w); /* the member "inputs" */
void skew_free(struct skew *s);

#endif
