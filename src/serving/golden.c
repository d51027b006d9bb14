/* SPDX-License-Identifier: Apache-2.0 */
#include "golden.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "golden_compare.h"
#include "model.h"
#include "oip_scan.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"
#include "tensor_print.h"

#define RTOL 1e-5
#define ATOL 1e-6
#define WARM_CASES 4

SHAPE_STRICT(shape_golden_case, "GoldenCase", struct golden_case,
             FIELD_MAX(struct golden_case, name, T_STR, F_REQUIRED, 1, 128, "What the case shows"),
             FIELD(struct golden_case, inputs, T_JSON, F_REQUIRED,
                   "Inputs as the Open Inference Protocol writes them"),
             FIELD(struct golden_case, outputs, T_JSON, 0,
                   "Outputs as the protocol writes them; those not named may be anything"),
             FIELD(struct golden_case, rtol, T_F64, 0, "Relative tolerance; default 1e-5"),
             FIELD(struct golden_case, atol, T_F64, 0, "Absolute tolerance; default 1e-6"),
             FIELD(struct golden_case, max_ms, T_F64, 0,
                   "Milliseconds that a run may take; default: any time"));
SHAPE_STRICT(shape_golden_document, "GoldenDocument", struct golden,
             FIELD_SUB(struct golden, cases, T_LIST, F_REQUIRED, &shape_golden_case, "The cases"));

static const char *field_of(struct ctx *c, size_t i, const char *member) {
    return arena_printf(c->arena, "cases/%zu/%s", i, member);
}

static int check_case(struct ctx *c, const struct golden_case *g, size_t i, bool outputs) {
    if (!json_is_array(g->inputs) || json_array_size(g->inputs) == 0)
        return fail_field(c, ERR_INVALID, field_of(c, i, "inputs"),
                          "inputs of case '%s' must be a list of Open Inference Protocol inputs",
                          g->name);
    if (outputs && (!json_is_array(g->outputs) || json_array_size(g->outputs) == 0))
        return fail_field(c, ERR_INVALID, field_of(c, i, "outputs"),
                          "outputs of case '%s' must be a list of Open Inference Protocol outputs "
                          "({name, shape, data}); golden:record makes them from the model",
                          g->name);
    const struct opt_f64 *numbers[] = {&g->rtol, &g->atol, &g->max_ms};
    static const char *const names[] = {"rtol", "atol", "max_ms"};
    for (size_t k = 0; k < ARRAY_LEN(numbers); k++)
        if (numbers[k]->set && (!isfinite(numbers[k]->v) || numbers[k]->v < 0))
            return fail_field(c, ERR_INVALID, field_of(c, i, names[k]),
                              "%s of case '%s' must be a number from 0 on", names[k], g->name);
    for (size_t k = 0; outputs && k < json_array_size(g->outputs); k++) {
        int rc = golden_want_check(c, json_array_get(g->outputs, k), g->name,
                                   arena_printf(c->arena, "cases/%zu/outputs/%zu", i, k));
        if (rc < 0)
            return rc;
    }
    return 0;
}

int golden_check(struct ctx *c, const struct golden *g, bool outputs) {
    const struct golden_case *cases = g->cases.items;
    if (g->cases.n == 0 || g->cases.n > GOLDEN_CASES)
        return fail_field(c, ERR_INVALID, "cases", "there must be 1 to %d cases, not %zu",
                          GOLDEN_CASES, g->cases.n);
    for (size_t i = 0; i < g->cases.n; i++) {
        int rc = check_case(c, &cases[i], i, outputs);
        if (rc < 0)
            return rc;
        for (size_t k = 0; k < i; k++)
            if (strcmp(cases[k].name, cases[i].name) == 0)
                return fail_field(c, ERR_INVALID, field_of(c, i, "name"),
                                  "two cases are called '%s'", cases[i].name);
    }
    return 0;
}

int golden_read(struct ctx *c, const char *text, size_t n, bool outputs, struct golden *out) {
    json_t *tree = NULL;
    *out = (struct golden){0};
    int rc = json_parse(c, DIALECT_PROBLEM, text, n, &tree);
    if (rc == 0)
        rc = json_decode(c, DIALECT_PROBLEM, &shape_golden_document, tree, NULL, NULL, out);
    return rc == 0 ? golden_check(c, out, outputs) : rc;
}

int golden_text(struct ctx *c, const struct golden *g, const char **text) {
    struct buf out = {0};
    json_encode(&out, &shape_golden_document, g);
    if (out.len > GOLDEN_BYTES) {
        size_t n = out.len;
        buf_free(&out);
        return fail(c, ERR_TOO_LARGE, "the golden cases take %zu bytes; at most %zu are kept", n,
                    GOLDEN_BYTES);
    }
    *text = arena_strndup(c->arena, out.data, out.len);
    buf_free(&out);
    return 0;
}

static int run_case(struct ctx *c, const struct model *m, const struct golden_case *g,
                    struct tensor **out, size_t *n) {
    struct oip_request q;
    const char *list = json_text(c->arena, g->inputs, JSON_TIGHT);
    const char *text = arena_printf(c->arena, "{\"inputs\":%s}", list);
    int rc = oip_scan(c, text, strlen(text), "", 0, &q);
    if (rc == 0)
        rc = model_run(c, m, q.inputs, q.ninputs, NULL, out, n);
    if (rc == 0)
        return 0;
    const char *why = c->err.message ? c->err.message : "it cannot be run";
    err_clear(c);
    return fail(c, ERR_UNPROCESSABLE, "golden case '%s': %s", g->name, why);
}

int golden_replay(struct ctx *c, const struct model *m, const struct golden *g) {
    const struct golden_case *cases = g->cases.items;
    for (size_t i = 0; i < g->cases.n; i++) {
        const struct golden_case *one = &cases[i];
        struct tolerance t = {one->rtol.set ? one->rtol.v : RTOL,
                              one->atol.set ? one->atol.v : ATOL};
        struct tensor *out = NULL;
        size_t n = 0;
        int64_t began = clock_mono_ns();
        int rc = run_case(c, m, one, &out, &n);
        double ms = (double)(clock_mono_ns() - began) / 1e6;
        if (rc == 0)
            rc = golden_compare(c, one->name, one->outputs, out, n, t);
        if (rc == 0 && one->max_ms.set && ms > one->max_ms.v)
            rc = fail(c, ERR_UNPROCESSABLE,
                      "golden case '%s': the run took %.3f ms, the case allows %.3f", one->name, ms,
                      one->max_ms.v);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void print_output(struct text *o, const struct tensor *t) {
    text_puts(o, "{\"name\":");
    text_string(o, t->name, strlen(t->name));
    text_puts(o, ",\"datatype\":\"");
    text_puts(o, dtype_name(t->dtype));
    text_puts(o, "\",\"shape\":");
    text_shape(o, t->shape, t->rank);
    if (t->classes) {
        text_puts(o, ",\"parameters\":{\"labels\":");
        struct text list;
        text_init(&list, o->arena, 128);
        text_put(&list, "[", 1);
        for (int64_t i = 0; i < t->shape[t->rank - 1]; i++) {
            if (i)
                text_put(&list, ",", 1);
            text_string(&list, t->classes[i], strlen(t->classes[i]));
        }
        text_put(&list, "]", 1);
        text_string(o, list.data, list.len);
        text_puts(o, "}");
    }
    text_puts(o, ",\"data\":");
    text_flat(o, t);
    text_puts(o, "}");
}

int golden_record(struct ctx *c, const struct model *m, struct golden *g) {
    struct golden_case *cases = g->cases.items;
    for (size_t i = 0; i < g->cases.n; i++) {
        struct tensor *out = NULL;
        struct text o;
        size_t n = 0;
        int rc = run_case(c, m, &cases[i], &out, &n);
        if (rc < 0)
            return rc;
        text_init(&o, c->arena, 1024);
        text_put(&o, "[", 1);
        for (size_t k = 0; k < n; k++) {
            if (k)
                text_put(&o, ",", 1);
            print_output(&o, &out[k]);
        }
        text_put(&o, "]", 1);
        rc = json_parse(c, DIALECT_PROBLEM, arena_strndup(c->arena, o.data, o.len), o.len,
                        &cases[i].outputs);
        if (rc < 0)
            return rc;
    }
    return 0;
}

void golden_warm(struct ctx *c, const struct model *m, const struct golden *g) {
    const struct golden_case *cases = g->cases.items;
    struct tensor *out = NULL;
    size_t n = 0;
    for (size_t i = 0; i < g->cases.n && i < WARM_CASES; i++)
        if (run_case(c, m, &cases[i], &out, &n) < 0)
            err_clear(c);
}
