/* SPDX-License-Identifier: Apache-2.0 */
/* Any body for the decoder without a tree: what it takes, the other one takes and sees alike. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct inner {
    const char *key;
    struct opt_f64 value;
    struct opt_i64 step;
};
SHAPE_LOCAL(shape_inner, "Inner", struct inner, FIELD(struct inner, key, T_STR, F_REQUIRED, ""),
            FIELD(struct inner, value, T_F64, F_REQUIRED | F_NONFINITE, ""),
            FIELD_MAX(struct inner, step, T_I64, 0, -5, 1000, ""));
static const char *const states[] = {"STATE_UNSPECIFIED", "READY", NULL};
struct outer {
    const char *run_id, *name, *state;
    struct opt_bool flag;
    struct inner *one;
    struct list many;
    struct strs ids;
};
static const struct field fields[] = {
    {.name = "run_id",
     .type = T_STR,
     .flags = F_REQUIRED,
     .offset = offsetof(struct outer, run_id),
     .alias = "run_uuid"},
    FIELD_MAX(struct outer, name, T_STR, F_NUMBER_TEXT, 1, 9, ""),
    FIELD_ENUM(struct outer, state, 0, states, ""),
    FIELD(struct outer, flag, T_BOOL, 0, ""),
    FIELD_SUB(struct outer, one, T_OBJ, 0, &shape_inner, ""),
    FIELD_SUB(struct outer, many, T_LIST, 0, &shape_inner, ""),
    FIELD_MAX(struct outer, ids, T_STRS, 0, 0, 4, ""),
};
static const struct shape shape_outer = {"Outer", sizeof(struct outer), fields, ARRAY_LEN(fields),
                                         true};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    struct ctx c;
    struct outer direct = {0}, tree = {0};
    struct json_t *t = NULL;
    const struct pairs none = {0};
    enum dialect d = (enum dialect)(data[0] % 5);
    ctx_begin(&c);
    c.method = "POST";
    const char *text = (const char *)data + 1;
    if (json_direct(&c, &shape_outer, text, size - 1, &direct)) {
        struct buf a = {0}, b = {0};
        if (json_parse(&c, d, text, size - 1, &t) ||
            json_decode(&c, d, &shape_outer, t, &none, &none, &tree))
            abort();
        json_encode(&a, &shape_outer, &direct);
        json_encode(&b, &shape_outer, &tree);
        if (a.len != b.len || memcmp(a.data, b.data, a.len) != 0)
            abort();
        buf_free(&a);
        buf_free(&b);
    } else if (c.err.code) {
        abort();
    }
    ctx_end(&c);
    return 0;
}
