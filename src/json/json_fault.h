/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_JSON_JSON_FAULT_H
#define QUERN_JSON_JSON_FAULT_H
/* Where in the request the decoder stands, and its complaints in each dialect's wording. */
#include <stdbool.h>
#include <stddef.h>

#include "quern/core/dialect.h"
#include "quern/core/shape.h"

struct ctx;
struct json_t;

/* One step of the way from the body's root; built on the stack. */
struct place {
    const struct place *up;
    const char *name; /* member, or NULL for an item */
    size_t index;
};

/* The value at fault: a tree, or the text of a query or path parameter. */
struct given {
    const struct json_t *tree;
    const char *text;
};

int fault_missing(struct ctx *c, enum dialect d, const struct place *at);
/* wanted: "a string", "an integer between 1 and 5": used outside MLflow's dialect. */
int fault_value(struct ctx *c, enum dialect d, const struct place *at, struct given got,
                const char *wanted);
int fault_long(struct ctx *c, enum dialect d, const struct place *at, long long limit,
               const char *unit);
int fault_unknown(struct ctx *c, enum dialect d, const struct place *at, const struct shape *shape);

#endif
