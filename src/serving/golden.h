/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_GOLDEN_H
#define QUERN_SERVING_GOLDEN_H
/* Golden: inputs of a model version and the outputs that it must give for them. The document is
 * {"cases": [{"name", "inputs", "outputs", "rtol", "atol", "max_ms"}]} with inputs and outputs as
 * the Open Inference Protocol writes them. Numbers with a fraction may differ by atol + rtol *
 * |wanted|; everything else (integers, texts, truth values, shapes, class labels) must be equal;
 * null stands for what is not finite. Cases are replayed by whatever runs the model. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/core/shape.h"

struct ctx;
struct json_t;
struct model;

#define GOLDEN_BYTES ((size_t)4 << 20) /* of a document */
#define GOLDEN_CASES 256
#define GOLDEN_FILE "golden.json" /* among a version's artifacts */

struct golden_case {
    const char *name;
    struct json_t *inputs, *outputs;
    struct opt_f64 rtol, atol, max_ms;
};
struct golden {
    struct list cases; /* struct golden_case */
};
extern const struct shape shape_golden_case;

/* Reads a document; ERR_INVALID naming the member. Without `outputs` they may be missing. */
int golden_read(struct ctx *c, const char *text, size_t n, bool outputs, struct golden *out);
/* The same of cases that were decoded already: names, number and what must be there. */
int golden_check(struct ctx *c, const struct golden *g, bool outputs);
/* As a document, in the arena. ERR_TOO_LARGE. */
int golden_text(struct ctx *c, const struct golden *g, const char **text);

/* Runs every case. ERR_UNPROCESSABLE names case, output and element, what came and what is wanted.
 */
int golden_replay(struct ctx *c, const struct model *m, const struct golden *g);
/* Runs every case and puts the outputs that came into it. */
int golden_record(struct ctx *c, const struct model *m, struct golden *g);
/* Runs a few of the cases and forgets what came: a model's first runs are its slowest. */
void golden_warm(struct ctx *c, const struct model *m, const struct golden *g);

#endif
