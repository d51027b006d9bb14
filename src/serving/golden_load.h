/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_GOLDEN_LOAD_H
#define QUERN_SERVING_GOLDEN_LOAD_H
/* Golden load: what came with a version to try it on, when it is loaded. */
#include <stddef.h>

#include "golden.h"

struct ctx;
struct folder;
struct golden_row;
struct model;

struct golden_file {
    char sha256[65]; /* "" when there are none */
    char *text;
    size_t n;
    struct golden golden;
};

/* Reads the document of a row; nothing when it has none. ERR_UNPROCESSABLE for one that is none. */
int golden_load(struct ctx *c, const struct golden_row *row, struct golden_file *out);
/* A model's first runs are its slowest, and zeros are not what it will see: runs the cases, else
 * MLflow's example of inputs where there is one. */
void golden_warm_up(struct ctx *c, const struct model *m, const struct folder *files,
                    const struct golden_file *cases);

#endif
