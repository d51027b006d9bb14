/* SPDX-License-Identifier: Apache-2.0 */
#include "checks.h"

#include <stdlib.h>
#include <string.h>

#include "check_rule.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"

static const char *const kind_names[CHECK_KINDS] = {[CHECK_MISSING] = "missing",
                                                    [CHECK_DTYPE] = "dtype",
                                                    [CHECK_BELOW] = "below",
                                                    [CHECK_ABOVE] = "above",
                                                    [CHECK_CATEGORY] = "category",
                                                    [CHECK_NAN] = "nan",
                                                    [CHECK_FRACTION] = "fraction",
                                                    [CHECK_UNKNOWN] = "unknown",
                                                    [CHECK_OUTPUT_NAN] = "output_nan",
                                                    [CHECK_OUTPUT_BELOW] = "output_below",
                                                    [CHECK_OUTPUT_ABOVE] = "output_above",
                                                    [CHECK_OUTPUT_SUM] = "output_sum"};

const char *check_kind_name(enum check_kind k) {
    return kind_names[k];
}

/* The one rule that is looked at, and where its breach goes. */
struct breach {
    struct ctx *c;
    const struct check_rule *r;
    struct slice s;
    struct check_report *report;
    int code;
    const char *what; /* "column" "input" "output" */
};

static const char *place(const struct breach *b, size_t at) {
    size_t i = b->s.first + at * b->s.stride;
    size_t rows = b->s.t->rank ? (size_t)b->s.t->shape[0] : 1;
    size_t width = rows ? b->s.t->count / rows : 1;
    if (b->r->is_column || width <= 1)
        return arena_printf(b->c->arena, "%s '%s', row %zu", b->what, b->r->name,
                            width ? i / width : i);
    return arena_printf(b->c->arena, "%s '%s', row %zu, element %zu", b->what, b->r->name,
                        i / width, i % width);
}

/* Counts, and tells of the first: "column 'age', row 3: 131 is above the maximum". */
static int broken(const struct breach *b, enum check_kind kind, struct found f, bool degrade,
                  const char *says) {
    if (f.n == 0)
        return 0;
    b->report->counts[kind] += f.n;
    b->report->degrade |= degrade;
    return fail_field(b->c, b->code, b->r->name, "%s: %s %s", place(b, f.at),
                      value_text(b->c, b->s.t, b->s.first + f.at * b->s.stride), says);
}

static int first_of(int rc, int next) {
    return rc < 0 ? rc : next;
}

static const struct tensor *find(const struct check_rule *r, const struct tensor *in, size_t nin) {
    if (!r->tensor)
        return NULL;
    if (r->guess < nin && strcmp(in[r->guess].name, r->tensor) == 0)
        return &in[r->guess];
    for (size_t i = 0; i < nin; i++)
        if (strcmp(in[i].name, r->tensor) == 0)
            return &in[i];
    return NULL;
}

/* Empty when the tensor has no such column. */
static struct slice slice_of(const struct check_rule *r, const struct tensor *t) {
    struct slice s = {.t = t, .stride = 1, .n = t->count};
    if (!r->is_column)
        return s;
    size_t rows = t->rank ? (size_t)t->shape[0] : 1;
    s.stride = rows ? t->count / rows : 0;
    s.first = r->column;
    s.n = r->column < s.stride ? rows : 0;
    return s;
}

static const char *bound_text(const struct breach *b, bool high) {
    return arena_printf(b->c->arena, "%s of %s",
                        high ? "is above the maximum" : "is below the minimum",
                        high ? b->r->max_text : b->r->min_text);
}

/* Texts of bounds are made for a breach alone. */
static int check_range(const struct breach *b, enum check_kind low, enum check_kind high,
                       bool degrade) {
    if (!b->r->range.set)
        return 0;
    struct found f = scan_below(b->s, &b->r->range);
    int rc = f.n ? broken(b, low, f, degrade, bound_text(b, false)) : 0;
    f = scan_above(b->s, &b->r->range);
    return f.n ? first_of(rc, broken(b, high, f, degrade, bound_text(b, true))) : rc;
}

static int missing(struct ctx *c, const struct check_rule *r, struct check_report *report) {
    report->counts[CHECK_MISSING]++;
    return fail_field(c, ERR_INVALID, r->name, "input '%s' is missing", r->name);
}

static int check_values(struct breach *b) {
    const struct check_rule *r = b->r;
    int rc = 0;
    if (r->nan_missing)
        rc = broken(b, CHECK_MISSING, scan_nan(b->s), false, "stands for a value that is missing");
    if (r->nan_reject)
        rc = first_of(rc, broken(b, CHECK_NAN, scan_nan(b->s), false, "is not accepted"));
    if (r->integral)
        rc = first_of(rc, broken(b, CHECK_FRACTION, scan_fraction(b->s), false,
                                 "is not a whole number, which the model's signature wants"));
    rc = first_of(rc, check_range(b, CHECK_BELOW, CHECK_ABOVE, false));
    if (r->categories)
        rc = first_of(rc, broken(b, CHECK_CATEGORY, scan_category(b->s, r), false,
                                 "is none of the allowed categories"));
    return rc;
}

static bool has_name(check_name_fn *names, const void *request, const char *name) {
    const char *got;
    for (size_t i = 0; names && (got = names(request, i)); i++)
        if (strcmp(got, name) == 0)
            return true;
    return false;
}

static int check_input(struct ctx *c, const struct check_rule *r, const struct tensor *in,
                       size_t nin, check_name_fn *names, const void *request,
                       struct check_report *report) {
    const struct tensor *t = find(r, in, nin);
    if (!t)
        return r->required && !has_name(names, request, r->name) ? missing(c, r, report) : 0;
    if (r->dtype_differs) {
        report->counts[CHECK_DTYPE]++;
        return fail_field(c, ERR_INVALID, r->name,
                          "input '%s' must be %s; the model takes it as %s", r->name,
                          r->dtype_wanted, dtype_name(t->dtype));
    }
    struct breach b = {.c = c,
                       .r = r,
                       .s = slice_of(r, t),
                       .report = report,
                       .code = ERR_INVALID,
                       .what = r->is_column ? "column" : "input"};
    return check_values(&b);
}

static int by_name(const void *a, const void *b) {
    return strcmp(a, *(const char *const *)b);
}

static int check_unknown(struct ctx *c, const struct checks *k, check_name_fn *names,
                         const void *request, struct check_report *report) {
    const char *name;
    int rc = 0;
    for (size_t i = 0; k->known && names && (name = names(request, i)); i++) {
        if (bsearch(name, k->known, k->nknown, sizeof k->known[0], by_name))
            continue;
        report->counts[CHECK_UNKNOWN]++;
        rc = fail_field(c, ERR_INVALID, name, "the model takes no column '%.200s'", name);
    }
    return rc;
}

int check_inputs(struct ctx *c, const struct checks *k, const struct tensor *in, size_t nin,
                 check_name_fn *names, const void *request, struct check_report *report) {
    int rc = check_unknown(c, k, names, request, report);
    for (size_t i = 0; i < k->ninputs; i++)
        rc = first_of(rc, check_input(c, &k->inputs[i], in, nin, names, request, report));
    return rc;
}

static int check_sum(const struct breach *b, const struct tensor *t) {
    const struct check_rule *r = b->r;
    if (!r->sums || (t->dtype != DT_FP32 && t->dtype != DT_FP64))
        return 0;
    struct found f = scan_sum(t, r->sum_to, r->tolerance);
    if (f.n == 0)
        return 0;
    b->report->counts[CHECK_OUTPUT_SUM] += f.n;
    b->report->degrade |= r->degrade;
    return fail_field(b->c, b->code, r->name, "output '%s', row %zu: does not add up to %g +- %g",
                      r->name, f.at, r->sum_to, r->tolerance);
}

static int check_output(struct ctx *c, const struct check_rule *rule, struct tensor *t,
                        struct check_report *report) {
    struct check_rule r = *rule; /* only the answer tells the type that bounds are compared in */
    if (t->dtype == DT_FP32) {
        r.range.flo = (double)(float)r.range.flo;
        r.range.fhi = (double)(float)r.range.fhi;
    }
    struct breach b = {.c = c,
                       .r = &r,
                       .s = slice_of(&r, t),
                       .report = report,
                       .code = ERR_UNPROCESSABLE,
                       .what = "output"};
    struct found f = scan_infinite(b.s);
    int rc = 0;
    if (f.n && r.nan_bad)
        rc = broken(&b, CHECK_OUTPUT_NAN, f, r.nan_degrade, "is no number that can be used");
    else
        report->counts[CHECK_OUTPUT_NAN] += f.n;
    if (f.n && r.to_null)
        null_infinities(t);
    rc = first_of(rc, check_range(&b, CHECK_OUTPUT_BELOW, CHECK_OUTPUT_ABOVE, r.degrade));
    return first_of(rc, check_sum(&b, t));
}

int check_outputs(struct ctx *c, const struct checks *k, struct tensor *out, size_t nout,
                  struct check_report *report) {
    int rc = 0;
    for (size_t i = 0; i < k->noutputs; i++) {
        struct tensor *t = (struct tensor *)find(&k->outputs[i], out, nout);
        if (t)
            rc = first_of(rc, check_output(c, &k->outputs[i], t, report));
    }
    return rc;
}
