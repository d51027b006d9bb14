/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_BATCHER_H
#define QUERN_SERVING_BATCHER_H
/* Batcher: makes one run out of the requests that wait for a model at the same time. Callers block:
 * one of them runs the batch, and each cuts its rows out of the result. Rows are counted, not
 * requests. Only requests with equal names, types, shapes behind the first axis and wanted outputs
 * meet in a batch; the first axis of every input and output is the rows.
 *
 * With a delay of 0 batches form only while the model is busy, so nobody waits for company. For
 * batches to form, a gate in front must let more calls in than there are instances: its
 * `concurrency` counts the callers that wait here.
 *
 * A batch that fails is run again request by request, so that one bad input fails alone. A model
 * whose answer has not the batch's rows in front is found out and never batched again. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/onnx/tensor.h"

struct batcher;
struct ctx;

/* The model: called by one caller for the whole batch, with a context that has the latest deadline
 * of those in it; outputs live in that context's arena. */
typedef int batch_fn(struct ctx *c, void *model, const struct tensor *in, size_t nin,
                     const char *const *wanted, struct tensor **out, size_t *nout);

#define BATCH_PREFERRED_MAX 16

struct batch_limits {
    size_t max_rows;                       /* of a batch; requests with as many or more run alone */
    int64_t max_delay_us;                  /* that the oldest request waits for company */
    unsigned instances;                    /* runs at once, 1 at least */
    size_t preferred[BATCH_PREFERRED_MAX]; /* sizes sent without further delay, ascending */
    size_t npreferred;
};

struct batcher *batcher_new(const struct batch_limits *limits, batch_fn *run, void *model);
void batcher_free(struct batcher *b); /* nobody may be inside; NULL is allowed */

/* Why a model with these inputs and outputs cannot be batched, as a sentence about it ("input 'x'
 * has ..."), NULL when it can. */
const char *batch_refusal(struct ctx *c, const struct tensor_spec *in, size_t nin,
                          const struct tensor_spec *out, size_t nout);

/* As the model's own run; outputs live in c's arena. ERR_DEADLINE when c's deadline passes while
 * the call waits for its turn or for the batch that it is in. */
int batch_run(struct batcher *b, struct ctx *c, const struct tensor *in, size_t nin,
              const char *const *wanted, struct tensor **out, size_t *nout);

struct batch_figures {
    uint64_t runs, requests, rows; /* runs of the model, and what was in those that succeeded */
    uint64_t batched;              /* of the requests: in a run with others */
    uint64_t retried;              /* requests run again alone after their batch had failed */
    uint64_t expired;              /* left by deadline */
    unsigned waiting, running;
    bool unfit; /* the model's answers have not the rows in front */
};
struct batch_figures batch_figures(struct batcher *b);

#endif
