/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a body, in every dialect. What parses must, written and parsed again, be equal. */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(json_t *tree) {
    struct buf b = {0};
    struct json_writer w;
    json_error_t e;
    jw_init(&w, &b);
    jw_tree(&w, tree);
    json_t *again =
        json_loadb(b.data, b.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);
    if (!again || !json_equal(tree, again)) {
        fprintf(stderr, "written as %s: %s\n", b.data, again ? "not equal" : e.text);
        abort();
    }
    json_decref(again);
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (int d = DIALECT_PROBLEM; d <= DIALECT_SCORING; d++) {
        struct ctx c;
        json_t *tree = NULL;
        ctx_begin(&c);
        int r = json_parse(&c, (enum dialect)d, (const char *)data, size, &tree);
        if (r == 0 && tree)
            round_trip(tree);
        if (r != 0 && (c.err.code != ERR_INVALID || !c.err.message))
            abort();
        if (r == 0 && c.err.code)
            abort();
        ctx_end(&c);
    }
    return 0;
}
