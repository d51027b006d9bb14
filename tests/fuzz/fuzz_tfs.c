/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a request of TensorFlow Serving's protocol. The first byte chooses the verb. What is
 * understood is bound to models and printed; what is refused says why. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "params.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "tfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct tensor_spec matrix[] = {
    {.name = "X", .dtype = DT_FP32, .rank = 2, .shape = {-1, 2}}};
static const struct tensor_spec columns[] = {
    {.name = "a", .dtype = DT_FP64, .rank = 2, .shape = {-1, 1}},
    {.name = "b_bytes", .dtype = DT_BYTES, .rank = 2, .shape = {-1, 1}}};
static const struct model_inputs models[] = {{matrix, 1, NULL, 0}, {columns, 2, NULL, 0}};

static void must(bool holds) {
    if (!holds)
        abort();
}

/* The inputs as they were bound stand for outputs: every element is read. */
static void answer(struct ctx *c, enum tfs_verb verb, const struct tfs_body *b,
                   const struct model_inputs *m) {
    struct tensor *t;
    err_clear(c);
    if (payload_bind(c, &b->p, m, &t) < 0) {
        must(c->err.message != NULL);
        return;
    }
    int rc = tfs_print(c, verb, b, t, m->n);
    must(rc == 0 ? c->reply.len > 2 : c->err.message != NULL);
    payload_field(c, &b->p, "a");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char schema[] = "[{\"name\":\"n\",\"type\":\"long\",\"default\":1},"
                                 "{\"name\":\"w\",\"type\":\"string\",\"shape\":[-1]}]";
    struct ctx c;
    struct tfs_body b;
    if (size < 1)
        return 0;
    ctx_begin(&c);
    enum tfs_verb verb = data[0] % 3;
    char *text = arena_strndup(c.arena, (const char *)data + 1, size - 1);
    int rc = tfs_scan(&c, verb, text, strlen(text), &b);
    must(rc == 0 || c.err.message != NULL);
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(models); i++)
        answer(&c, verb, &b, &models[i]);
    if (rc == 0 && b.more.data) {
        const char *resolved;
        must(params_resolve(&c, schema, b.more, &resolved) == 0 ? resolved != NULL
                                                                : c.err.message != NULL);
        params_text(&c, b.more, "n");
    }
    ctx_end(&c);
    return 0;
}
