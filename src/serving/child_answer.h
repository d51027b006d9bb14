/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_CHILD_ANSWER_H
#define QUERN_SERVING_CHILD_ANSWER_H
/* Child answer: what a child sent, made into tensors, or into a sentence about what is wrong. */
#include <stddef.h>

#include "quern/net/net.h"

struct child;
struct ctx;
struct tensor;

/* Lives as long as the context: strings of tensors point into it. */
struct net_answer *child_answer_new(struct ctx *c);
/* The context's failure, said of a child: ERR_UPSTREAM. */
int child_answer_wrong(struct ctx *c);
const struct tensor *child_answer_find(const struct tensor *t, size_t n, const char *name);
/* Those that are wanted, in that order; ERR_INVALID for one that is not there. */
int child_answer_pick(struct ctx *c, const char *const *wanted, struct tensor **out, size_t *nout);
/* {"predictions": ..}, a bare list, or lines of CSV, for `rows` rows. */
int child_answer_scoring(struct ctx *c, const struct child *ch, const struct net_answer *a,
                         size_t rows, struct tensor **out, size_t *nout);

#endif
