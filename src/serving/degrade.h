/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_DEGRADE_H
#define QUERN_SERVING_DEGRADE_H
/* Degrade: the declared chain of what answers in place of an arm that failed. */
#include <stdbool.h>
#include <stddef.h>

#include "quern/onnx/tensor.h"

struct ctx;
struct degrade_spec;

/* Why the chosen arm did not answer. Faults of the request are no failures: nothing else is asked.
 */
enum failure {
    FAILURE_NONE,
    FAILURE_UNAVAILABLE, /* no model, or no place */
    FAILURE_FAILED,      /* the model or its server failed */
    FAILURE_DEADLINE,
    FAILURE_OUTPUT, /* the answer broke a rule of checks.outputs */
};
enum failure failure_of(const struct ctx *c); /* of the context's error */
const char *failure_name(enum failure f);
int failure_parse(const char *name, enum failure *out); /* 0 or -1 */

/* One step, made ready. */
struct degrade_step {
    unsigned when; /* bit per failure */
    int arm;       /* place in the spec, -1: none */
    bool last;
    struct tensor *outputs; /* of one row each; NULL: none */
    size_t noutputs;
};
/* Fails naming the field when the outputs of a constant answer cannot be read. */
int degrade_make(struct ctx *c, const struct degrade_spec *spec, size_t place,
                 const char *const *arms, size_t narms, struct degrade_step *out);
/* The outputs of a constant answer from their JSON text; fails naming `field`. */
int degrade_constant_read(struct ctx *c, const char *outputs, const char *field,
                          struct degrade_step *out);
/* A constant answer for so many rows, in c's arena. ERR_TOO_LARGE above 128 MiB. */
int degrade_constant(struct ctx *c, const struct degrade_step *s, size_t rows, struct tensor **out,
                     size_t *n);

#endif
