/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a prediction request. The first byte chooses the door: OIP JSON, OIP with raw
 * tensors behind it, MLflow's JSON forms, CSV, an ONNX file's wire form. What is understood must be
 * consistent, what is refused must say why. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "oip_scan.h"
#include "payload.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/onnx/onnx.h"
#include "tensor_print.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct tensor_spec matrix[] = {
    {.name = "X", .dtype = DT_FP32, .rank = 2, .shape = {-1, 2}}};
static const struct tensor_spec columns[] = {
    {.name = "a", .dtype = DT_INT64, .rank = 2, .shape = {-1, 1}},
    {.name = "b", .dtype = DT_BYTES, .rank = 2, .shape = {-1, 1}}};
static const char *const names[] = {"a", "b"};
static const struct model_inputs models[] = {
    {matrix, 1, NULL, 0}, {matrix, 1, names, 2}, {columns, 2, NULL, 0}};

static void must(bool holds) {
    if (!holds)
        abort();
}

/* Every element is read: one that was never written shows under the sanitizers. */
static void check_tensor(struct ctx *c, const struct tensor *t) {
    struct text o;
    size_t count = 1;
    for (size_t i = 0; i < t->rank; i++)
        count *= (size_t)t->shape[i];
    must(count == t->count);
    text_init(&o, c->arena, 64);
    text_flat(&o, t);
    text_put(&o, "", 1);
    struct tensor again = *t;
    again.classes = NULL;
    must(text_nested(&o, &again, 0, 0) == t->count);
}

static void oip(struct ctx *c, const char *text, size_t n, size_t json) {
    struct oip_request q;
    int rc = oip_scan(c, text, json, text + json, n - json, &q);
    must(rc == 0 || (rc == -ERR_INVALID && c->err.message));
    for (size_t i = 0; rc == 0 && i < q.ninputs; i++) {
        must(q.inputs[i].name != NULL);
        check_tensor(c, &q.inputs[i]);
    }
}

static void scoring(struct ctx *c, const char *type, const char *text, size_t n) {
    struct payload p;
    int rc = payload_scan(c, type, text, n, &p);
    must(rc == 0 || c->err.message);
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(models); i++) {
        struct tensor *t;
        err_clear(c);
        if (payload_bind(c, &p, &models[i], &t) < 0)
            must(c->err.message != NULL);
        else
            for (size_t k = 0; k < models[i].n; k++)
                check_tensor(c, &t[k]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ctx c;
    struct onnx_scan scan;
    if (size < 2)
        return 0;
    ctx_begin(&c);
    size_t n = size - 2;
    char *text = arena_alloc(c.arena, n + 1);
    memcpy(text, data + 2, n);
    switch (data[0] % 5) {
    case 0:
        oip(&c, text, n, n);
        break;
    case 1:
        oip(&c, text, n, n - (data[1] < n ? data[1] : n));
        break;
    case 2:
        scoring(&c, "application/json", text, n);
        break;
    case 3:
        scoring(&c, "text/csv", text, n);
        break;
    default:
        must(onnx_scan(&c, text, n, &scan) == 0 || c.err.code == ERR_UNPROCESSABLE);
    }
    ctx_end(&c);
    return 0;
}
