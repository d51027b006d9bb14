/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_TFS_H
#define QUERN_SERVING_TFS_H
/* Tfs: TensorFlow Serving's REST protocol, which KServe's first protocol and Vertex AI's containers
 * share where they predict. Bodies and answers; the handlers are in tfs_api.c. */
#include <stdbool.h>
#include <stddef.h>

#include "payload.h"
#include "predict.h"

struct ctx;
struct model;

enum tfs_verb { TFS_PREDICT, TFS_CLASSIFY, TFS_REGRESS };

struct tfs_body {
    struct payload p;
    bool rows;         /* `instances`: answered as `predictions`, row by row */
    struct bytes more; /* text of the member `parameters`, data NULL when there is none */
};

/* Of :predict: instances or inputs; of the others: examples, with the context's features in each.
 * ERR_INVALID, in words. */
int tfs_scan(struct ctx *c, enum tfs_verb verb, const char *body, size_t n, struct tfs_body *out);

/* Puts the answer into the context's reply. ERR_INVALID when the outputs are not what the verb
 * tells: rows for `predictions`, scores for :classify, one number a row for :regress. */
int tfs_print(struct ctx *c, enum tfs_verb verb, const struct tfs_body *b, const struct tensor *t,
              size_t n);

#endif
