/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TESTS_MODEL_MAKER_H
#define QUERN_TESTS_MODEL_MAKER_H
/* Model maker: small ONNX models, byte by byte in protobuf's wire form, so that the tests need no
 * Python and no binary files. A message is a buf; parts are put into it by field number. */
#include <stdint.h>
#include <string.h>

#include "quern/base/buf.h"

__attribute__((unused)) static void pb_varint(struct buf *b, uint64_t v) {
    for (; v >= 0x80; v >>= 7)
        buf_putc(b, (char)(v | 0x80));
    buf_putc(b, (char)v);
}

__attribute__((unused)) static void pb_int(struct buf *b, unsigned field, int64_t v) {
    pb_varint(b, field << 3);
    pb_varint(b, (uint64_t)v);
}

__attribute__((unused)) static void pb_bytes(struct buf *b, unsigned field, const void *data,
                                             size_t n) {
    pb_varint(b, field << 3 | 2);
    pb_varint(b, n);
    buf_put(b, data, n);
}

__attribute__((unused)) static void pb_text(struct buf *b, unsigned field, const char *text) {
    pb_bytes(b, field, text, strlen(text));
}

__attribute__((unused)) static void pb_message(struct buf *b, unsigned field,
                                               struct buf *part) /* takes the part */
{
    pb_bytes(b, field, part->data ? part->data : "", part->len);
    buf_free(part);
}

/* ValueInfo: a tensor of element type and dimensions (-1: symbolic "N"). */
__attribute__((unused)) static void pb_value(struct buf *graph, unsigned field, const char *name,
                                             int type, const int64_t *dims, size_t rank) {
    struct buf value = {0}, kind = {0}, tensor = {0}, shape = {0};
    for (size_t i = 0; i < rank; i++) {
        struct buf dim = {0};
        if (dims[i] < 0)
            pb_text(&dim, 2, "N");
        else
            pb_int(&dim, 1, dims[i]);
        pb_message(&shape, 1, &dim);
    }
    pb_int(&tensor, 1, type);
    pb_message(&tensor, 2, &shape);
    pb_message(&kind, 1, &tensor);
    pb_text(&value, 1, name);
    pb_message(&value, 2, &kind);
    pb_message(graph, field, &value);
}

/* The output of ZipMap: sequence(map(key, float)). */
__attribute__((unused)) static void pb_zipmap_value(struct buf *graph, const char *name, int key) {
    struct buf value = {0}, kind = {0}, sequence = {0}, element = {0}, map = {0}, number = {0},
               tensor = {0};
    pb_int(&tensor, 1, 1);
    pb_message(&number, 1, &tensor);
    pb_int(&map, 1, key);
    pb_message(&map, 2, &number);
    pb_message(&element, 5, &map);
    pb_message(&sequence, 1, &element);
    pb_message(&kind, 4, &sequence);
    pb_text(&value, 1, name);
    pb_message(&value, 2, &kind);
    pb_message(graph, 12, &value);
}

__attribute__((unused)) static struct buf pb_node(const char *op, const char *domain,
                                                  const char *in1, const char *in2,
                                                  const char *out) {
    struct buf node = {0};
    pb_text(&node, 1, in1);
    if (in2)
        pb_text(&node, 1, in2);
    pb_text(&node, 2, out);
    pb_text(&node, 4, op);
    if (domain)
        pb_text(&node, 7, domain);
    return node;
}

__attribute__((unused)) static void pb_attribute(struct buf *node, const char *name,
                                                 const char *const *texts, const int64_t *ints,
                                                 size_t n) {
    struct buf a = {0};
    pb_text(&a, 1, name);
    for (size_t i = 0; i < n; i++) {
        if (texts)
            pb_text(&a, 9, texts[i]);
        else
            pb_int(&a, 8, ints[i]);
    }
    pb_int(&a, 20, texts ? 8 : 7);
    pb_message(node, 5, &a);
}

/* The graph becomes a model with both operator sets and one custom pair. */
__attribute__((unused)) static struct buf pb_model(struct buf *graph) {
    struct buf model = {0}, set = {0}, ml = {0}, pair = {0};
    pb_text(graph, 2, "g");
    pb_int(&model, 1, 8);
    pb_text(&model, 2, "model-maker");
    pb_int(&model, 5, 7);
    pb_message(&model, 7, graph);
    pb_int(&set, 2, 17);
    pb_message(&model, 8, &set);
    pb_text(&ml, 1, "ai.onnx.ml");
    pb_int(&ml, 2, 2);
    pb_message(&model, 8, &ml);
    pb_text(&pair, 1, "author");
    pb_text(&pair, 2, "quern");
    pb_message(&model, 14, &pair);
    return model;
}

#endif
