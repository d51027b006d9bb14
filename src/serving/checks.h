/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_CHECKS_H
#define QUERN_SERVING_CHECKS_H
/* Checks: rules that an endpoint declares for what goes into its models and what comes out. A rule
 * on inputs names a tensor, or a column of the signature of a model that takes one matrix; breaking
 * it is the caller's fault (ERR_INVALID). A rule on outputs names a tensor; breaking it is the
 * model's (ERR_UNPROCESSABLE), and may call for the degradation chain. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/core/shape.h"
#include "quern/onnx/tensor.h"

struct arena;
struct checks;
struct ctx;
struct json_t;
struct signature_column;

/* ---- as declared (checks_spec.c) ---- */

struct check_input_spec {
    const char *name;          /* tensor or column */
    struct opt_bool required;  /* it must be there; default false */
    const char *dtype;         /* OIP's name; NULL: whatever the model takes */
    struct json_t *min, *max;  /* numbers, inclusive; exact for integers */
    struct json_t *categories; /* list of texts or numbers */
    const char *nan;           /* "allow" (default) "reject" "null": it is a missing value */
};
struct check_output_spec {
    const char *name;
    const char *nan; /* "pass" (default), "null": infinities too, "error", "degrade" */
    struct json_t *min, *max;
    struct opt_f64 sum_to, tolerance; /* of each row; tolerance 0.001 by default */
    const char *action;               /* of min, max, sum_to: "error" (default) "degrade" */
};
struct checks_spec {
    struct opt_bool signature; /* rules follow from the model's signature, those below go before */
    const char *unknown;       /* columns that no input takes: "ignore" (default) "reject" */
    struct list inputs;        /* struct check_input_spec */
    struct list outputs;       /* struct check_output_spec */
};
extern const struct shape shape_checks_spec;
#define CHECK_RULES_MAX 1000

/* Refuses what makes no sense, naming the field below "checks". NULL is fine. */
int checks_spec_check(struct ctx *c, const struct checks_spec *s);

/* ---- as run ---- */

/* What a model takes. */
struct check_target {
    const struct tensor_spec *inputs;
    size_t ninputs;
    const struct signature_column *columns; /* of its signature */
    size_t ncolumns;
};
/* Compiled for one model, in the arena, with texts of the spec left where they are. Rules for what
 * the model does not take are kept for `required` alone. The spec was checked. */
struct checks *checks_make(struct arena *a, const struct checks_spec *s,
                           const struct check_target *model);

enum check_kind {
    CHECK_MISSING,
    CHECK_DTYPE,
    CHECK_BELOW,
    CHECK_ABOVE,
    CHECK_CATEGORY,
    CHECK_NAN,
    CHECK_FRACTION, /* where the signature says integer */
    CHECK_UNKNOWN,
    CHECK_OUTPUT_NAN,
    CHECK_OUTPUT_BELOW,
    CHECK_OUTPUT_ABOVE,
    CHECK_OUTPUT_SUM,
    CHECK_KINDS
};
const char *check_kind_name(enum check_kind k); /* "missing" ..., for metrics */

/* What was found; every value counts, not the first alone. */
struct check_report {
    uint64_t counts[CHECK_KINDS];
    bool degrade; /* a rule that was broken calls for the degradation chain */
};

/* Names that the request carries, asked one after the other; NULL ends them. */
typedef const char *check_name_fn(const void *request, size_t i);

/* The error names column (or input) and row, counted from 0. `names` may be NULL: the tensors are
 * all that there is. */
int check_inputs(struct ctx *c, const struct checks *k, const struct tensor *in, size_t nin,
                 check_name_fn *names, const void *request, struct check_report *report);
/* May change outputs in place ("null"). */
int check_outputs(struct ctx *c, const struct checks *k, struct tensor *out, size_t nout,
                  struct check_report *report);

#endif
