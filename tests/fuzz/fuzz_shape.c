/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies and query strings against a shape that has every kind of field. What decodes must encode
 * to JSON; what does not must leave a message and the name of a field or none. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_error.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct inner {
    const char *key;
    struct opt_f64 value;
    struct opt_i64 step;
};
SHAPE(shape_inner, "Inner", struct inner, FIELD_MAX(struct inner, key, T_STR, F_REQUIRED, 1, 8, ""),
      FIELD(struct inner, value, T_F64, F_NONFINITE, ""),
      FIELD_MAX(struct inner, step, T_I64, 0, -5, 5, ""));

static const char *const states[] = {"STATE_UNSPECIFIED", "READY", "GONE", NULL};
struct outer {
    const char *run_id, *version, *state, *where;
    struct opt_i64 limit;
    struct opt_f64 ratio;
    struct opt_bool flag;
    struct inner *one;
    struct list many;
    struct strs ids;
    json_t *any;
    struct pairs tags;
    struct fpairs scores;
};
static const struct field fields[] = {
    {.name = "run_id",
     .type = T_STR,
     .offset = offsetof(struct outer, run_id),
     .alias = "run_uuid"},
    FIELD(struct outer, version, T_STR, F_NUMBER_TEXT, ""),
    FIELD_ENUM(struct outer, state, 0, states, ""),
    FIELD(struct outer, where, T_STR, F_QUERY, ""),
    FIELD_MAX(struct outer, limit, T_I64, F_QUERY, 1, 100, ""),
    FIELD(struct outer, ratio, T_F64, 0, ""),
    FIELD(struct outer, flag, T_BOOL, 0, ""),
    FIELD_SUB(struct outer, one, T_OBJ, 0, &shape_inner, ""),
    FIELD_SUB(struct outer, many, T_LIST, 0, &shape_inner, ""),
    FIELD(struct outer, ids, T_STRS, 0, ""),
    FIELD(struct outer, any, T_JSON, 0, ""),
    FIELD(struct outer, tags, T_MAP, 0, ""),
    FIELD(struct outer, scores, T_FMAP, F_NONFINITE, ""),
};
static const struct shape shape_outer = {"Outer", sizeof(struct outer), fields, ARRAY_LEN(fields),
                                         true};

static void check_written(struct buf *b) {
    json_t *t = json_loadb(b->data, b->len, JSON_ALLOW_NUL, NULL);
    if (!t)
        abort();
    json_decref(t);
    buf_free(b);
}

/* key=value&..., decoded as the server does it. */
static struct pairs query_of(struct arena *a, const char *text) {
    struct pairs q = {ARENA_ARRAY(a, struct pair, strlen(text) + 1), 0};
    while (*text) {
        size_t n = strcspn(text, "&"), k = strcspn(text, "=&");
        char *key = url_decode(a, text, k, true);
        char *value = k < n ? url_decode(a, text + k + 1, n - k - 1, true) : arena_strdup(a, "");
        if (key && value)
            q.items[q.n++] = (struct pair){key, value};
        text += n;
        text += *text == '&';
    }
    return q;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    struct ctx c;
    struct buf b = {0};
    json_t *tree = NULL;
    struct outer out = {0};
    enum dialect d = (enum dialect)(data[0] % 5);
    ctx_begin(&c);
    c.method = data[1] & 1 ? "GET" : "POST";
    /* The first line is the query string, the rest the body. */
    char *text = arena_dup(c.arena, data + 2, size - 2);
    const char *line = memchr(text, '\n', size - 2);
    size_t head = line ? (size_t)(line - text) : 0;
    struct pairs query = query_of(c.arena, arena_strndup(c.arena, text, head));
    const char *body = line ? line + 1 : text;
    size_t body_len = size - 2 - (line ? head + 1 : 0);
    int r = json_parse(&c, d, body, body_len, &tree);
    if (r == 0)
        r = json_decode(&c, d, &shape_outer, tree, &query, NULL, &out);
    if (r == 0) {
        json_encode(&b, &shape_outer, &out);
        check_written(&b);
    } else {
        if (!c.err.message || !utf8_valid(c.err.message, strlen(c.err.message)) ||
            r != -ERR_INVALID)
            abort();
        json_error(DIALECT_PROBLEM, &c, &b);
        check_written(&b);
    }
    ctx_end(&c);
    return 0;
}
