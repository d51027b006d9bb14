/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_PREDICT_H
#define QUERN_SERVING_PREDICT_H
/* Predict: the one call behind every protocol. A door reads its body into a request before it is
 * known which model answers; predict chooses the model by the endpoint's policy, has the door bind
 * the request to it, and runs it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "degrade.h"
#include "quern/onnx/tensor.h"
#include "quern/prediction/prediction.h"

struct ctx;
struct entry;
struct entry_arm;
struct model;

/* One prediction as its door read it; the door's own struct begins with it. */
struct request {
    const char *version;       /* that must answer; NULL: whichever the policy says */
    const char *arm;           /* that must answer, by the protocol's means; NULL */
    const char *const *wanted; /* outputs, NULL-terminated; NULL: all */
    size_t rows;               /* told by the first input */
    int64_t began_ns;          /* monotonic, when the door took it up */
    /* Text of a JSON object for the model's own use besides its inputs, as its signature wants it
     * since the last bind; NULL when there is none. In-process graphs have no use for it. */
    const char *params;
    /* Makes the tensors that the model wants, in the context's arena. May be called several times,
     * for different models; fails as the door's protocol words it. */
    int (*bind)(struct ctx *c, struct request *q, const struct model *m, struct tensor **in,
                size_t *nin);
    /* Text of the first row's value of a column or input; NULL when the request has no such, and
     * when the door cannot tell (field NULL). Keys and segments of policies are read with it. */
    const char *(*field)(struct ctx *c, const struct request *q, const char *name);
    /* Text of a request parameter, likewise. */
    const char *(*parameter)(struct ctx *c, const struct request *q, const char *name);
    /* The i-th of the columns or inputs that it carries, NULL behind the last; field NULL when they
     * all are the model's. */
    const char *(*name)(const struct request *q, size_t i);
};

struct answer {
    struct tensor *outputs; /* in the context's arena */
    size_t n;
    const struct entry_arm *arm; /* that answered, or was chosen and failed; NULL before */
    const struct model *model;   /* NULL when a constant answered */
    const char *version;         /* of the model as text; "constant" */
    const char *reason;          /* why that arm, a word: "only" "weight" "key" ... */
    char id[PREDICTION_ID_SIZE]; /* of the prediction; "" before it was answered */
    const char *key;             /* of the entity, when the spec names one */
    bool kept;                   /* in the memory of predictions */
    const struct tensor *inputs; /* that the model got */
    size_t ninputs;
    const char *cache;      /* "hit" or "miss" where answers are kept; else NULL */
    bool joined;            /* the run may have been a batch's */
    bool broken;            /* the outputs broke a rule of `checks`, */
    bool broken_degrades;   /* one that calls for the chain */
    const char *by;         /* beginning of X-Quern-Served-By, when no model answered */
    unsigned degraded;      /* 0, or the number of the chain's step that answered, from 1 */
    enum failure failure;   /* of the chosen arm, when another answered */
    int64_t run_ns, ran_ns; /* monotonic: when the last model began and ended; 0: none ran */
};

/* Between snapshot_enter and snapshot_leave. Puts the headers X-Quern-Served-By and
 * X-Quern-Prediction-Id into the reply, counts the arm, keeps the prediction, sends shadows.
 * ERR_NOT_FOUND for a version or arm that does not serve; ERR_INVALID and its kin for the request's
 * faults; when the chosen arm fails and no step of the endpoint's chain answers, ERR_NOT_READY or
 * ERR_BUSY (no model, no place), ERR_UNPROCESSABLE (the model failed), ERR_DEADLINE. */
int predict(struct ctx *c, const struct entry *e, struct request *q, struct answer *a);

/* Whether the next prediction of this thread found no place where it may block: arms that would
 * block count as unavailable to it. */
void predict_without_place(bool without);

/* One arm alone: no choice, no chain. */
int predict_arm(struct ctx *c, const struct entry *e, const struct entry_arm *arm,
                struct request *q, struct answer *a);
/* One step of the endpoint's chain, when a->arm has failed; fills a->arm with an arm that answers.
 * Negative, with or without a message, when it has no answer. */
int predict_step(struct ctx *c, const struct entry *e, const struct degrade_step *s,
                 struct request *q, struct answer *a);

#endif
