/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "check_rule.h"
#include "quern/base/arena.h"
#include "signature.h"

static int name_order(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Where the model takes what the rule is about. */
static void find_home(struct check_rule *r, const struct check_target *m) {
    for (size_t i = 0; i < m->ninputs; i++)
        if (strcmp(m->inputs[i].name, r->name) == 0) {
            r->home = true;
            r->tensor = m->inputs[i].name;
            r->guess = i;
            r->dtype = m->inputs[i].dtype;
            return;
        }
    for (size_t i = 0; m->ninputs == 1 && i < m->ncolumns; i++)
        if (strcmp(m->columns[i].name, r->name) == 0) {
            r->home = r->is_column = true;
            r->tensor = m->inputs[0].name;
            r->column = i;
            r->dtype = m->inputs[0].dtype;
            return;
        }
}

/* Sorted by what they are compared with: an item may serve as both numbers. */
static void add_categories(struct arena *a, struct check_rule *r, json_t *list) {
    size_t n = json_array_size(list), k;
    json_t *item;
    r->categories = true;
    r->texts = ARENA_ARRAY(a, struct bytes, n);
    r->numbers = ARENA_ARRAY(a, double, n);
    r->integers = ARENA_ARRAY(a, int64_t, n);
    json_array_foreach(list, k, item) {
        if (json_is_string(item)) {
            r->texts[r->ntexts++] =
                (struct bytes){json_string_value(item), json_string_length(item)};
            continue;
        }
        double v = json_is_boolean(item) ? json_is_true(item) : json_number_value(item);
        r->numbers[r->nnumbers++] = r->dtype == DT_FP32 ? (double)(float)v : v;
        if (json_is_integer(item))
            r->integers[r->nintegers++] = json_integer_value(item);
        else if (v >= -9223372036854775808.0 && v < 9223372036854775808.0 &&
                 (double)(int64_t)v == v)
            r->integers[r->nintegers++] = (int64_t)v;
    }
    qsort(r->texts, r->ntexts, sizeof r->texts[0], check_text_order);
    qsort(r->numbers, r->nnumbers, sizeof r->numbers[0], check_number_order);
    qsort(r->integers, r->nintegers, sizeof r->integers[0], check_integer_order);
}

static bool is_float(enum dtype t) {
    return t == DT_FP16 || t == DT_FP32 || t == DT_FP64 || t == DT_BF16;
}

static const char *bound_text(struct arena *a, const json_t *bound) {
    if (!bound)
        return NULL;
    return json_is_integer(bound)
               ? arena_printf(a, "%" JSON_INTEGER_FORMAT, json_integer_value(bound))
               : arena_printf(a, "%.15g", json_number_value(bound));
}

static void set_range(struct arena *a, struct check_rule *r, enum dtype t, const json_t *min,
                      const json_t *max) {
    r->range = range_make(t, min, max);
    r->min_text = bound_text(a, min);
    r->max_text = bound_text(a, max);
}

static void make_input(struct arena *a, struct check_rule *r, const struct check_input_spec *s,
                       const struct check_target *m) {
    enum dtype wanted;
    *r = (struct check_rule){.name = s->name};
    find_home(r, m);
    r->required = s->required.set && s->required.v;
    r->nan_reject = s->nan && strcmp(s->nan, "reject") == 0;
    r->nan_missing = r->required && s->nan && strcmp(s->nan, "null") == 0;
    r->dtype_wanted = s->dtype;
    r->dtype_differs =
        s->dtype && r->home && dtype_parse(s->dtype, &wanted) == 0 && wanted != r->dtype;
    set_range(a, r, r->dtype, s->min, s->max);
    if (s->categories)
        add_categories(a, r, s->categories);
}

/* What MLflow's own enforcement says of a column: whole numbers stay whole and are never missing,
 * numbers with a fraction may be NaN. */
static bool from_signature(struct arena *a, struct check_rule *r,
                           const struct signature_column *col, const struct check_target *m) {
    bool small = strcmp(col->type, "integer") == 0;
    bool whole = small || strcmp(col->type, "long") == 0 || strcmp(col->type, "boolean") == 0;
    *r = (struct check_rule){.name = col->name};
    find_home(r, m);
    if (!r->home)
        return false;
    r->required = col->required;
    r->integral = whole && is_float(r->dtype);
    r->nan_missing = r->integral && col->required;
    if (small || strcmp(col->type, "boolean") == 0) {
        bool yes_no = !small;
        json_t *lo = json_integer(yes_no ? 0 : INT32_MIN),
               *hi = json_integer(yes_no ? 1 : INT32_MAX);
        set_range(a, r, r->dtype == DT_FP32 ? DT_FP64 : r->dtype, lo, hi);
        json_decref(lo);
        json_decref(hi);
    }
    return r->integral || r->range.set || r->required;
}

static bool declared(const struct checks_spec *s, const char *name) {
    const struct check_input_spec *in = s->inputs.items;
    for (size_t i = 0; i < s->inputs.n; i++)
        if (strcmp(in[i].name, name) == 0)
            return true;
    return false;
}

static void make_output(struct check_rule *r, const struct check_output_spec *s) {
    *r = (struct check_rule){.name = s->name, .tensor = s->name};
    const char *nan = s->nan ? s->nan : "pass";
    r->to_null = strcmp(nan, "null") == 0;
    r->nan_degrade = strcmp(nan, "degrade") == 0;
    r->nan_bad = r->nan_degrade || strcmp(nan, "error") == 0;
    r->degrade = s->action && strcmp(s->action, "degrade") == 0;
    r->range.set = s->min || s->max;
    r->sums = s->sum_to.set;
    r->sum_to = s->sum_to.v;
    r->tolerance = s->tolerance.set ? s->tolerance.v : 1e-3;
}

static void make_known(struct arena *a, struct checks *k, const struct check_target *m) {
    k->known = ARENA_ARRAY(a, const char *, m->ninputs + m->ncolumns + 1);
    for (size_t i = 0; i < m->ninputs; i++)
        k->known[k->nknown++] = m->inputs[i].name;
    for (size_t i = 0; i < m->ncolumns; i++)
        k->known[k->nknown++] = m->columns[i].name;
    qsort(k->known, k->nknown, sizeof k->known[0], name_order);
}

struct checks *checks_make(struct arena *a, const struct checks_spec *s,
                           const struct check_target *m) {
    struct checks *k = ARENA_NEW(a, struct checks);
    bool signature = s->signature.set && s->signature.v;
    k->inputs = ARENA_ARRAY(a, struct check_rule, s->inputs.n + m->ncolumns + 1);
    k->outputs = ARENA_ARRAY(a, struct check_rule, s->outputs.n + 1);
    for (size_t i = 0; i < s->inputs.n; i++)
        make_input(a, &k->inputs[k->ninputs++],
                   &((const struct check_input_spec *)s->inputs.items)[i], m);
    for (size_t i = 0; signature && i < m->ncolumns; i++)
        if (!declared(s, m->columns[i].name))
            k->ninputs += from_signature(a, &k->inputs[k->ninputs], &m->columns[i], m);
    for (size_t i = 0; i < s->outputs.n; i++) {
        const struct check_output_spec *out =
            &((const struct check_output_spec *)s->outputs.items)[i];
        struct check_rule *r = &k->outputs[k->noutputs++];
        make_output(r, out);
        set_range(a, r, DT_FP64, out->min, out->max);
    }
    if (s->unknown && strcmp(s->unknown, "reject") == 0)
        make_known(a, k, m);
    return k;
}
