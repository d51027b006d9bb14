/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PREDICTION_PREDICTION_H
#define QUERN_PREDICTION_PREDICTION_H
/* Prediction: the memory of what was answered. Every answer has an id; those that an endpoint's
 * `log` samples are kept with inputs and outputs in compressed segments beneath the data directory,
 * and feedback (rewards, labels) joins them later by id or by the entity's key. Nothing here delays
 * an answer: what does not fit into the ring is dropped and counted. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/core/shape.h"
#include "quern/http/route.h"
#include "quern/onnx/tensor.h"

struct arena;
struct buf;
struct ctx;
struct dir;
struct lanes;

/* ---- ids ---- */

/* An id is 128 bits in the form of a UUID of version 7, so that its text sorts by time: 48 bits of
 * milliseconds, 8 of the arm's number, 12 of the bandit's context, 54 random bits. */
#define PREDICTION_ID_SIZE 37
#define PREDICTION_ARMS 256
#define PREDICTION_CONTEXTS 4096

struct prediction_parts {
    int64_t ms;
    unsigned arm;     /* below PREDICTION_ARMS */
    unsigned context; /* below PREDICTION_CONTEXTS */
};

void prediction_id(const struct prediction_parts *p, char out[PREDICTION_ID_SIZE]);
/* False for a text that is no such id. Upper case is taken as well. */
bool prediction_id_read(const char *text, struct prediction_parts *p);

/* ---- what an endpoint keeps ---- */

/* The member `log` of an endpoint's spec. */
struct prediction_log {
    struct opt_f64 sample;           /* 0 to 1; absent: 1 */
    struct opt_bool inputs, outputs; /* absent: true */
    struct strs redact;              /* columns or tensors whose values are never kept */
    const char *key;          /* column, or "header:NAME", that names the entity; NULL: none */
    struct opt_f64 keep_days; /* absent: 30 */
    struct opt_i64 max_bytes; /* compressed; absent: 1 GiB */
};
extern const struct shape shape_prediction_log;

/* Rules that the shape cannot tell; the error names the field as "log.sample". A header's name is
 * made lower case. */
int prediction_log_check(struct ctx *c, struct prediction_log *log);
/* Inside a write: how long the endpoint's records stay. NULL: the defaults. */
int prediction_keep(struct ctx *c, const char *endpoint, const struct prediction_log *log);

/* ---- recording ---- */

struct prediction_fact {
    int64_t project;
    const char *endpoint, *model;
    int64_t version;
    const char *arm, *reason; /* NULL as "" */
    const char *kind;         /* "answer"; "shadow" for one that nobody was given */
    const char *key;          /* of the entity; NULL: none */
    int status;               /* HTTP's */
    int64_t latency_us;
    const struct tensor *inputs, *outputs;
    size_t ninputs, noutputs;
    const char *const *columns; /* names along the last axis of a lone 2-D input; NULL: none */
    size_t ncolumns;
};

/* Whether the answer of that id is one of the sampled ones: told from the id's random bits, so that
 * an answer and its shadows are kept together. `log` NULL: nothing is. */
bool prediction_sampled(const struct prediction_log *log, const char *id);
/* Copies what the log keeps and returns; false when it was dropped, which is counted. Any thread;
 * takes no lock. Both may go as soon as it returns. */
bool prediction_record(const struct prediction_log *log, const char *id,
                       const struct prediction_fact *f);

/* ---- feedback ---- */

/* Told of every reward that is new, inside the transaction that keeps it (so it touches the
 * database alone and may run twice). Set before the doors open. */
typedef int prediction_reward_fn(struct ctx *c, const char *endpoint, unsigned arm,
                                 unsigned context, double reward, int64_t made_ms);
void prediction_on_reward(prediction_reward_fn *fn);
/* Answers ERR_NOT_FOUND when the project has no such endpoint; set by serving. */
typedef int prediction_endpoint_fn(struct ctx *c, const char *endpoint);
void prediction_endpoint_known(prediction_endpoint_fn *fn);

/* ---- replay: logged requests against another model ---- */

/* A model that serving made ready. Run and closed on the thread that opened it. */
struct replay_model {
    const char *name; /* of the registered model */
    int64_t version;
    const struct tensor_spec *inputs;
    size_t ninputs;
    const char *const *features; /* columns along the last axis of a lone 2-D input; NULL: none */
    size_t nfeatures;
    void *handle;
};
struct replay_ops {
    /* Of `target` (models:/NAME/VERSION, models:/NAME@ALIAS), or NULL: of the endpoint's arm. On a
     * thread without a connection. */
    int (*open)(struct ctx *c, const char *endpoint, const char *target, const char *arm,
                struct replay_model *out);
    int (*run)(struct ctx *c, const struct replay_model *m, const struct tensor *in, size_t nin,
               struct tensor **out, size_t *nout);
    void (*close)(struct replay_model *m);
};
/* From then on replays are run; NULL: no more, and none is under way any more. */
void prediction_replay_with(const struct replay_ops *ops);

/* ---- the room ---- */

struct prediction_options {
    struct lanes *lanes;
    struct dir *data;
    uint64_t ring_bytes; /* most memory of records not yet written */
    int64_t sweep_ms;    /* between looks at what is too old or too much */
};
int prediction_start(const struct prediction_options *o, struct buf *error);
void prediction_stop(void); /* writes what is in the ring */
/* Waits until everything recorded before is on the disk and can be read, at most `ms`. */
int prediction_flush(struct ctx *c, int64_t ms);

extern const struct route_list prediction_routes;

#endif
