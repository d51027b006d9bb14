/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "checks.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"

static const char *const unknown_names[] = {"ignore", "reject", NULL};
static const char *const nan_names[] = {"allow", "reject", "null", NULL};
static const char *const nan_out_names[] = {"pass", "null", "error", "degrade", NULL};
static const char *const action_names[] = {"error", "degrade", NULL};

SHAPE_STRICT(shape_check_input_spec, "InputCheck", struct check_input_spec,
             FIELD_MAX(struct check_input_spec, name, T_STR, F_REQUIRED, 1, 256,
                       "An input of the model, or a column of its signature"),
             FIELD(struct check_input_spec, required, T_BOOL, 0,
                   "The request must carry it, and no row may lack it where nan is null"),
             FIELD(struct check_input_spec, dtype, T_STR, 0,
                   "Datatype that the model must take it as: FP32, INT64, BYTES, ..."),
             FIELD(struct check_input_spec, min, T_JSON, 0, "Smallest allowed number"),
             FIELD(struct check_input_spec, max, T_JSON, 0, "Largest allowed number"),
             FIELD(struct check_input_spec, categories, T_JSON, 0,
                   "The allowed values: a list of texts or numbers"),
             FIELD_ENUM(struct check_input_spec, nan, 0, nan_names,
                        "allow (default), reject, or null: NaN is a missing value"));
SHAPE_STRICT(shape_check_output_spec, "OutputCheck", struct check_output_spec,
             FIELD_MAX(struct check_output_spec, name, T_STR, F_REQUIRED, 1, 256,
                       "An output of the model"),
             FIELD_ENUM(struct check_output_spec, nan, 0, nan_out_names,
                        "NaN and infinities: pass (default), null (infinities become NaN), error, "
                        "or degrade"),
             FIELD(struct check_output_spec, min, T_JSON, 0, "Smallest allowed number"),
             FIELD(struct check_output_spec, max, T_JSON, 0, "Largest allowed number"),
             FIELD(struct check_output_spec, sum_to, T_F64, 0, "What each row must add up to"),
             FIELD(struct check_output_spec, tolerance, T_F64, 0,
                   "Allowed distance from sum_to; default 0.001"),
             FIELD_ENUM(struct check_output_spec, action, 0, action_names,
                        "What a broken min, max or sum_to leads to: error (default) or degrade"));
SHAPE_STRICT(
    shape_checks_spec, "Checks", struct checks_spec,
    FIELD(struct checks_spec, signature, T_BOOL, 0,
          "Rules follow from the signature in the model's MLmodel file; those in inputs go "
          "before"),
    FIELD_ENUM(struct checks_spec, unknown, 0, unknown_names,
               "Columns that the model does not take: ignore (default) or reject"),
    FIELD_SUB(struct checks_spec, inputs, T_LIST, 0, &shape_check_input_spec,
              "Rules for what goes in"),
    FIELD_SUB(struct checks_spec, outputs, T_LIST, 0, &shape_check_output_spec,
              "Rules for what comes out"));

static const char *below(struct ctx *c, const char *list, size_t i, const char *member) {
    return arena_printf(c->arena, "checks/%s/%zu/%s", list, i, member);
}

static int check_bounds(struct ctx *c, const char *list, size_t i, const json_t *min,
                        const json_t *max) {
    if (min && !json_is_number(min))
        return fail_field(c, ERR_INVALID, below(c, list, i, "min"), "min must be a number");
    if (max && !json_is_number(max))
        return fail_field(c, ERR_INVALID, below(c, list, i, "max"), "max must be a number");
    if (!min || !max)
        return 0;
    bool integers = json_is_integer(min) && json_is_integer(max);
    bool ordered = integers ? json_integer_value(min) <= json_integer_value(max)
                            : json_number_value(min) <= json_number_value(max);
    return ordered ? 0
                   : fail_field(c, ERR_INVALID, below(c, list, i, "max"),
                                "max must not be less than min");
}

static int check_categories(struct ctx *c, size_t i, const json_t *list) {
    size_t k;
    json_t *item;
    if (!list)
        return 0;
    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > 100000)
        return fail_field(c, ERR_INVALID, below(c, "inputs", i, "categories"),
                          "categories must be a list of 1 to 100000 texts, numbers or booleans");
    json_array_foreach((json_t *)list, k, item) if (
        !json_is_string(item) && !json_is_number(item) &&
        !json_is_boolean(
            item)) return fail_field(c, ERR_INVALID, below(c, "inputs", i, "categories"),
                                     "category %zu is neither a text nor a number nor a boolean",
                                     k);
    return 0;
}

static int check_input(struct ctx *c, const struct checks_spec *s, size_t i) {
    const struct check_input_spec *all = s->inputs.items, *in = &all[i];
    enum dtype unused;
    for (size_t k = 0; k < i; k++)
        if (strcmp(all[k].name, in->name) == 0)
            return fail_field(c, ERR_INVALID, below(c, "inputs", i, "name"),
                              "two rules are for the input '%s'", in->name);
    if (in->dtype && dtype_parse(in->dtype, &unused) < 0)
        return fail_field(c, ERR_INVALID, below(c, "inputs", i, "dtype"),
                          "'%.40s' is no datatype; there are BOOL, UINT8 to UINT64, INT8 to INT64, "
                          "FP16, FP32, FP64, BF16 and BYTES",
                          in->dtype);
    int rc = check_bounds(c, "inputs", i, in->min, in->max);
    return rc == 0 ? check_categories(c, i, in->categories) : rc;
}

static int check_output(struct ctx *c, const struct checks_spec *s, size_t i) {
    const struct check_output_spec *all = s->outputs.items, *out = &all[i];
    for (size_t k = 0; k < i; k++)
        if (strcmp(all[k].name, out->name) == 0)
            return fail_field(c, ERR_INVALID, below(c, "outputs", i, "name"),
                              "two rules are for the output '%s'", out->name);
    if (out->tolerance.set && !out->sum_to.set)
        return fail_field(c, ERR_INVALID, below(c, "outputs", i, "tolerance"),
                          "tolerance is for sum_to, which is not given");
    if (out->tolerance.set && !(out->tolerance.v >= 0))
        return fail_field(c, ERR_INVALID, below(c, "outputs", i, "tolerance"),
                          "tolerance must be a number from 0 on");
    return check_bounds(c, "outputs", i, out->min, out->max);
}

int checks_spec_check(struct ctx *c, const struct checks_spec *s) {
    int rc = 0;
    if (!s)
        return 0;
    if (s->inputs.n > CHECK_RULES_MAX || s->outputs.n > CHECK_RULES_MAX)
        return fail_field(c, ERR_INVALID,
                          s->inputs.n > CHECK_RULES_MAX ? "checks/inputs" : "checks/outputs",
                          "at most %d rules are kept", CHECK_RULES_MAX);
    for (size_t i = 0; rc == 0 && i < s->inputs.n; i++)
        rc = check_input(c, s, i);
    for (size_t i = 0; rc == 0 && i < s->outputs.n; i++)
        rc = check_output(c, s, i);
    return rc;
}
