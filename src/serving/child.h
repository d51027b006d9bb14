/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_CHILD_H
#define QUERN_SERVING_CHILD_H
/* Child: a supervised command that serves one model version on a socket of this machine.
 *
 * The command gets its port or socket in its arguments ({port}, {socket}) and in the environment.
 * It is started under a keeper that is tied to the daemon: its whole tree ends with the daemon,
 * however that ends. One thread supervises all children: it starts them, asks them whether they
 * are healthy, starts those that ended again (exponential back-off with jitter, forgotten after a
 * healthy minute), ends those that hang and those that nobody used for idle_ms.
 *
 *   starting   the command runs and has not said that it is ready
 *   ready      it answers
 *   waiting    it ended, or hung and was killed; it is started again when its back-off is over
 *   idle       nobody used it; it is started by the next prediction
 *   failed     `restarts` starts in a row came to nothing: it is not tried any more
 *
 * What a child says is believed in nothing: answers are bounded in size and time, tensors are
 * checked against their own shapes, a wrong answer fails its prediction and nothing else. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/core/shape.h"
#include "quern/onnx/tensor.h"

struct buf;
struct child;
struct ctx;
struct dir;

/* As it stands in an arm's `runtime`. */
struct runtime_spec {
    const char *kind; /* "onnx" "child" "mlflow" */
    struct strs command;
    struct pairs env;
    const char *protocol; /* "oip" "mlflow" "sagemaker" "vertex" */
    const char *model;    /* the child's own name for it (oip); NULL: the model's */
    const char *health;   /* path; NULL: the usual ones in turn */
    const char *path;     /* of predictions; NULL: the protocol's */
    struct opt_i64 start_ms, timeout_ms, idle_ms, concurrency, restarts, memory_bytes, answer_bytes;
};
extern const struct shape shape_runtime;
/* What the shape cannot say; fills in the defaults. ERR_INVALID with the field below `at`. */
int runtime_check(struct ctx *c, const char *at, struct runtime_spec *s);

struct child_options {
    struct dir *data;   /* the data directory */
    const char *folder; /* below it, this room's own; emptied at every start of the daemon */
    const char *self_exe;
    const char *pass;   /* names of the daemon's environment that children see, with commas */
    const char *pyfunc; /* the operator's command for MLflow models as a JSON array; "": none */
};
int children_start(const struct child_options *o, struct buf *error); /* -1 and a sentence */
/* What waits for a child, for its start or its answer, does so for `ms` more at most. */
void children_cease(int64_t ms);
void children_stop(void); /* ends every child and waits for it; no call may be under way */

/* Makes a child for the files in `model` (an absolute folder that outlives it) and starts it. The
 * kinds are "child" and "mlflow". One reference; ERR_INVALID, ERR_NOT_READY. */
int child_new(struct ctx *c, const struct runtime_spec *spec, const char *model_folder,
              const char *model_name, const char *version, struct child **out);
void child_keep(struct child *ch);
void child_release(struct child *ch); /* the last one ends the command; NULL is allowed */

/* Waits till it is ready and its tensors are known, at most its start_ms. ERR_UNPROCESSABLE with
 * the reason and the last words of its log; loading threads only. */
int child_await(struct ctx *c, struct child *ch);

struct child_signature {
    const struct tensor_spec *inputs, *outputs;
    size_t ninputs, noutputs;
    bool columns; /* inputs are the columns of a data frame */
    bool named;   /* inputs have names that the child knows */
};
/* After child_await; good as long as the child. */
const struct child_signature *child_signature(const struct child *ch);

/* One prediction. Outputs are allocated in c's arena. Blocks: never on a network thread. Waits for
 * one of the child's `concurrency` connections and, when it was idle, for its start, until c's
 * deadline or its timeout_ms. ERR_BUSY, ERR_NOT_READY (not running; the text says why),
 * ERR_DEADLINE, ERR_UNPROCESSABLE (it refused the request), ERR_UPSTREAM (it answered rubbish, too
 * much, or broke off), ERR_INVALID for an output in
 * `wanted` that it did not give and for tensors that its protocol cannot carry. */
int child_infer(struct ctx *c, struct child *ch, const struct tensor *in, size_t nin,
                const char *const *wanted, struct tensor **out, size_t *nout);

struct child_view {
    const char *state;
    char reason[512]; /* "" or why it is not ready */
    int64_t starts, restarts_in_row, in_flight, waiting;
    int64_t ready_ms; /* wall; 0: not ready */
};
void child_view(struct child *ch, struct child_view *out);
/* The newest lines of the command's output, at most `max` bytes; "" when there are none. */
int child_log(struct ctx *c, struct child *ch, size_t max, char **text);

#endif
