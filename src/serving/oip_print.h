/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_OIP_PRINT_H
#define QUERN_SERVING_OIP_PRINT_H
/* Oip print: inference answers, as JSON or with raw tensors behind it. */
#include <stddef.h>

#include "oip_scan.h"

struct ctx;
struct text;

struct oip_answer {
    const char *model_name, *model_version;
    struct tensor *outputs; /* replaced where classes are asked for */
    size_t n;
};
/* Puts the answer into the context's reply. */
int oip_print(struct ctx *c, const struct oip_request *q, const struct oip_answer *a);
/* The list of outputs alone, as JSON. */
int oip_print_outputs(struct ctx *c, struct text *o, const struct tensor *outputs, size_t n);

#endif
