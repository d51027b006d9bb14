/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_CHECK_RULE_H
#define QUERN_SERVING_CHECK_RULE_H
/* Check rule: one rule as compiled for one model, and the loops over values. */
#include "checks.h"

/* Inclusive, in the form that the type is compared in: floats as double, signed and unsigned
 * integers exactly. FP32 bounds are rounded to FP32: 0.1 is not above a maximum of 0.1. */
struct range {
    bool set;
    double flo, fhi;
    int64_t ilo, ihi;
    uint64_t ulo, uhi;
};

struct check_rule {
    const char *name; /* as the caller knows it */
    const char *tensor;
    size_t guess;   /* where the tensor likely is */
    bool home;      /* the model takes it */
    bool is_column; /* one column of a matrix */
    size_t column;
    enum dtype dtype; /* of the tensor */
    bool required, dtype_differs, nan_reject, nan_missing, integral;
    const char *dtype_wanted;
    struct range range;
    const char *min_text, *max_text; /* of its bounds, as declared */
    struct bytes *texts;             /* categories, sorted; NULL: none */
    double *numbers;
    int64_t *integers;
    size_t ntexts, nnumbers, nintegers;
    bool categories;
    /* outputs */
    bool to_null, nan_bad, nan_degrade, degrade, sums;
    double sum_to, tolerance;
};

struct checks {
    struct check_rule *inputs, *outputs;
    size_t ninputs, noutputs;
    const char **known; /* names that the model takes, sorted; NULL: unknown ones are ignored */
    size_t nknown;
};

/* Every stride-th element from first on. */
struct slice {
    const struct tensor *t;
    size_t first, stride, n;
};
struct found {
    size_t n;
    size_t at; /* of the first, in the slice */
};

struct found scan_nan(struct slice s);
struct found scan_infinite(struct slice s); /* NaN too */
struct found scan_below(struct slice s, const struct range *r);
struct found scan_above(struct slice s, const struct range *r);
struct found scan_fraction(struct slice s);
struct found scan_category(struct slice s, const struct check_rule *r);
/* Rows whose sum is not within the tolerance (a NaN is not); at is the first such row. */
struct found scan_sum(const struct tensor *t, double sum, double tolerance);
void null_infinities(struct tensor *t);

/* Orders of the categories, as qsort and bsearch want them. */
int check_text_order(const void *a, const void *b);
int check_number_order(const void *a, const void *b);
int check_integer_order(const void *a, const void *b);

struct range range_make(enum dtype t, const struct json_t *min, const struct json_t *max);
const char *value_text(struct ctx *c, const struct tensor *t, size_t i); /* numbers alone */

#endif
