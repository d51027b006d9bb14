/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "tensor_print.h"
#include "tfs.h"

/* Outputs whose names end so hold bytes rather than text. */
static bool is_bytes(const struct tensor *t) {
    size_t n = strlen(t->name);
    return t->dtype == DT_BYTES && n >= 6 && strcmp(t->name + n - 6, "_bytes") == 0;
}

static size_t put_value(struct text *o, const struct tensor *t, bool b64, size_t axis,
                        size_t index) {
    if (!b64) {
        struct tensor plain = *t;
        plain.classes = NULL; /* the protocol knows no maps */
        return text_nested(o, &plain, axis, index);
    }
    if (axis < t->rank) {
        text_put(o, "[", 1);
        for (int64_t i = 0; i < t->shape[axis]; i++) {
            if (i)
                text_put(o, ",", 1);
            index = put_value(o, t, b64, axis + 1, index);
        }
        text_put(o, "]", 1);
        return index;
    }
    const struct bytes *b = (const struct bytes *)t->data + index;
    text_puts(o, "{\"b64\":\"");
    text_puts(o, base64_encode(o->arena, b->data, b->len));
    text_puts(o, "\"}");
    return index + 1;
}

static void put_named(struct text *o, const struct tensor *t, bool first) {
    text_puts(o, first ? "" : ",");
    text_string(o, t->name, strlen(t->name));
    text_put(o, ":", 1);
}

static int print_rows(struct ctx *c, struct text *o, const struct tensor *t, size_t n,
                      size_t rows) {
    for (size_t i = 0; i < n; i++)
        if (t[i].rank == 0 || t[i].shape[0] != (int64_t)rows)
            return fail_field(c, ERR_INVALID, t[i].name,
                              "output '%s' has not one entry for each instance; send inputs in "
                              "place of instances",
                              t[i].name);
    text_puts(o, "{\"predictions\":[");
    for (size_t r = 0; r < rows; r++) {
        text_puts(o, r ? "," : "");
        if (n > 1)
            text_put(o, "{", 1);
        for (size_t i = 0; i < n; i++) {
            if (n > 1)
                put_named(o, &t[i], i == 0);
            put_value(o, &t[i], is_bytes(&t[i]), 1, r * (t[i].count / rows));
        }
        if (n > 1)
            text_put(o, "}", 1);
    }
    text_puts(o, "]}");
    return 0;
}

static void print_columns(struct text *o, const struct tensor *t, size_t n) {
    text_puts(o, "{\"outputs\":");
    if (n != 1)
        text_put(o, "{", 1);
    for (size_t i = 0; i < n; i++) {
        if (n != 1)
            put_named(o, &t[i], i == 0);
        put_value(o, &t[i], is_bytes(&t[i]), 0, 0);
    }
    text_puts(o, n != 1 ? "}}" : "}");
}

static bool is_float(const struct tensor *t) {
    return t->dtype == DT_FP32 || t->dtype == DT_FP64 || t->dtype == DT_FP16;
}

/* The first output with scores of every class for each row, or with one number for each. */
static const struct tensor *scores(const struct tensor *t, size_t n, size_t rows) {
    for (size_t i = 0; i < n; i++)
        if (is_float(&t[i]) && t[i].rank == 2 && t[i].shape[0] == (int64_t)rows)
            return &t[i];
    return NULL;
}

static const struct tensor *values(const struct tensor *t, size_t n, size_t rows) {
    for (size_t i = 0; i < n; i++)
        if (is_float(&t[i]) && t[i].rank >= 1 && t[i].shape[0] == (int64_t)rows &&
            t[i].count == rows)
            return &t[i];
    return NULL;
}

static void print_classes(struct text *o, const struct tensor *t, size_t rows) {
    text_puts(o, "{\"result\":[");
    for (size_t r = 0, at = 0; r < rows; r++) {
        text_puts(o, r ? ",[" : "[");
        for (int64_t k = 0; k < t->shape[1]; k++, at++) {
            const char *label =
                t->classes ? t->classes[k] : arena_printf(o->arena, "%lld", (long long)k);
            text_puts(o, k ? ",[" : "[");
            text_string(o, label, strlen(label));
            text_put(o, ",", 1);
            text_element(o, t, at);
            text_put(o, "]", 1);
        }
        text_put(o, "]", 1);
    }
    text_puts(o, "]}");
}

static void print_values(struct text *o, const struct tensor *t) {
    text_puts(o, "{\"result\":");
    text_flat(o, t);
    text_put(o, "}", 1);
}

int tfs_print(struct ctx *c, enum tfs_verb verb, const struct tfs_body *b, const struct tensor *t,
              size_t n) {
    struct text o;
    int rc = 0;
    text_init(&o, c->arena, 512);
    const struct tensor *one = verb == TFS_CLASSIFY  ? scores(t, n, b->p.rows)
                               : verb == TFS_REGRESS ? values(t, n, b->p.rows)
                                                     : NULL;
    if (verb == TFS_PREDICT && b->rows)
        rc = print_rows(c, &o, t, n, b->p.rows);
    else if (verb == TFS_PREDICT)
        print_columns(&o, t, n);
    else if (!one)
        rc = fail(c, ERR_INVALID, "the model has no output with %s",
                  verb == TFS_CLASSIFY ? "a score for each class; ask it with :predict"
                                       : "one number for each example; ask it with :predict");
    else if (verb == TFS_CLASSIFY)
        print_classes(&o, one, b->p.rows);
    else
        print_values(&o, one);
    if (rc == 0)
        reply_bytes(c, "application/json", o.data, o.len);
    return rc;
}
