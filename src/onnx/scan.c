/* SPDX-License-Identifier: Apache-2.0 */
/* A walk over a model's protobuf, table-driven: which fields of which message lead to tensors. The
 * runtime would open whatever file an external tensor names, so the names are read and judged
 * before it gets to see them. */
#include <stdint.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/onnx/onnx.h"

enum message { MODEL, TRAINING, FUNCTION, GRAPH, NODE, ATTRIBUTE, SPARSE, TENSOR, ENTRY };

static const struct {
    enum message in;
    unsigned field;
    enum message leads_to;
} paths[] = {
    {MODEL, 7, GRAPH},         {MODEL, 20, TRAINING},   {MODEL, 25, FUNCTION},
    {TRAINING, 1, GRAPH},      {TRAINING, 2, GRAPH},    {FUNCTION, 7, NODE},
    {FUNCTION, 11, ATTRIBUTE}, {GRAPH, 1, NODE},        {GRAPH, 5, TENSOR},
    {GRAPH, 15, SPARSE},       {NODE, 5, ATTRIBUTE},    {ATTRIBUTE, 5, TENSOR},
    {ATTRIBUTE, 6, GRAPH},     {ATTRIBUTE, 10, TENSOR}, {ATTRIBUTE, 11, GRAPH},
    {ATTRIBUTE, 22, SPARSE},   {ATTRIBUTE, 23, SPARSE}, {SPARSE, 1, TENSOR},
    {SPARSE, 2, TENSOR},       {TENSOR, 13, ENTRY},
};

#define DEPTH_MAX 100 /* the protobuf library's own limit */

struct walk {
    struct ctx *c;
    struct onnx_scan *out;
    size_t cap;
    bool graph;
    const char *key, *value; /* of the entry under way */
    size_t key_len, value_len;
};

struct span {
    const unsigned char *p, *end;
};

static int broken(struct walk *w) {
    return fail(w->c, ERR_UNPROCESSABLE, "the file is not an ONNX model (its protobuf is broken)");
}

static bool take_varint(struct span *s, uint64_t *out) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && s->p < s->end; shift += 7) {
        unsigned char b = *s->p++;
        v |= (uint64_t)(b & 0x7F) << shift;
        if (!(b & 0x80)) {
            *out = v;
            return true;
        }
    }
    return false;
}

static bool plain_name(const char *s, size_t n) {
    if (n == 0 || n > 1024 || s[0] == '/' || memchr(s, 0, n) || memchr(s, '\\', n) ||
        !utf8_valid(s, n))
        return false;
    for (size_t i = 0; i < n;) {
        size_t j = i;
        while (j < n && s[j] != '/')
            j++;
        if (j == i || (j - i == 1 && s[i] == '.') || (j - i == 2 && s[i] == '.' && s[i + 1] == '.'))
            return false;
        i = j + 1;
    }
    return s[n - 1] != '/';
}

static int keep_location(struct walk *w) {
    if (w->key_len != 8 || memcmp(w->key, "location", 8) != 0)
        return 0;
    if (!plain_name(w->value, w->value_len))
        return fail(w->c, ERR_UNPROCESSABLE,
                    "the model keeps a tensor in an external file whose name is not a plain "
                    "relative one; save it with its data inside or beside it");
    struct onnx_scan *o = w->out;
    for (size_t i = 0; i < o->nexternal; i++)
        if (strlen(o->external[i]) == w->value_len &&
            memcmp(o->external[i], w->value, w->value_len) == 0)
            return 0;
    if (o->nexternal >= 1000)
        return fail(w->c, ERR_UNPROCESSABLE, "the model keeps its tensors in over 1000 files");
    if (o->nexternal == w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 8;
        const char **names = ARENA_ARRAY(w->c->arena, const char *, cap);
        if (o->nexternal)
            memcpy(names, o->external, o->nexternal * sizeof *names);
        o->external = names;
        w->cap = cap;
    }
    o->external[o->nexternal++] = arena_strndup(w->c->arena, w->value, w->value_len);
    return 0;
}

static int walk_message(struct walk *w, enum message m, struct span s, unsigned depth);

static int walk_bytes(struct walk *w, enum message m, uint64_t field, struct span part,
                      unsigned depth) {
    const char *text = (const char *)part.p;
    size_t n = (size_t)(part.end - part.p);
    if (m == ENTRY && field == 1) {
        w->key = text;
        w->key_len = n;
    } else if (m == ENTRY && field == 2) {
        w->value = text;
        w->value_len = n;
    } else if (m == MODEL && field == 2) {
        if (n < 256 && utf8_valid(text, n))
            w->out->producer = arena_strndup(w->c->arena, text, n);
    }
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        if (paths[i].in == m && paths[i].field == field) {
            w->graph = w->graph || (m == MODEL && paths[i].leads_to == GRAPH);
            return walk_message(w, paths[i].leads_to, part, depth + 1);
        }
    return 0;
}

static int walk_message(struct walk *w, enum message m, struct span s, unsigned depth) {
    if (depth > DEPTH_MAX)
        return fail(w->c, ERR_UNPROCESSABLE, "the model's graphs are nested too deep");
    if (m == ENTRY) {
        w->key = w->value = "";
        w->key_len = w->value_len = 0;
    }
    while (s.p < s.end) {
        uint64_t tag, n;
        if (!take_varint(&s, &tag) || tag >> 3 == 0)
            return broken(w);
        uint64_t left;
        switch (tag & 7) {
        case 0:
            if (!take_varint(&s, &n))
                return broken(w);
            if (m == MODEL && tag >> 3 == 1)
                w->out->ir_version = (int64_t)n;
            continue;
        case 1:
        case 5:
            n = (tag & 7) == 1 ? 8 : 4;
            if ((uint64_t)(s.end - s.p) < n)
                return broken(w);
            s.p += n;
            continue;
        case 2:
            left = (uint64_t)(s.end - s.p);
            if (!take_varint(&s, &n) || n > left || n > (uint64_t)(s.end - s.p))
                return broken(w);
            break;
        default: /* groups were never used by ONNX */
            return broken(w);
        }
        int rc = walk_bytes(w, m, tag >> 3, (struct span){s.p, s.p + n}, depth);
        if (rc < 0)
            return rc;
        s.p += n;
    }
    return m == ENTRY ? keep_location(w) : 0;
}

int onnx_scan(struct ctx *c, const void *model, size_t n, struct onnx_scan *out) {
    *out = (struct onnx_scan){.producer = ""};
    struct walk w = {.c = c, .out = out};
    if (n == 0)
        return fail(c, ERR_UNPROCESSABLE, "the model file is empty");
    const unsigned char *p = model;
    int rc = walk_message(&w, MODEL, (struct span){p, p + n}, 0);
    if (rc == 0 && (!w.graph || out->ir_version <= 0))
        rc = fail(c, ERR_UNPROCESSABLE, "the file is not an ONNX model (it holds no graph)");
    return rc;
}
