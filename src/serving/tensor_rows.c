/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor_rows.h"

#include <string.h>

#include "quern/base/arena.h"

int64_t tensor_rows(const struct tensor *t, size_t n) {
    int64_t rows = -1;
    for (size_t i = 0; i < n; i++) {
        if (t[i].rank == 0 || (i > 0 && t[i].shape[0] != rows))
            return -1;
        rows = t[i].shape[0];
    }
    return rows;
}

bool tensor_rows_alike(const struct tensor *a, const struct tensor *b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (a[i].dtype != b[i].dtype || a[i].rank != b[i].rank || strcmp(a[i].name, b[i].name) != 0)
            return false;
        for (size_t d = 1; d < a[i].rank; d++)
            if (a[i].shape[d] != b[i].shape[d])
                return false;
    }
    return true;
}

size_t tensor_bytes(const struct tensor *t, size_t n) {
    size_t sum = 0, size;
    for (size_t i = 0; i < n; i++) {
        if (__builtin_mul_overflow(t[i].count, dtype_size(t[i].dtype), &size) ||
            __builtin_add_overflow(sum, size, &sum))
            return SIZE_MAX;
        const struct bytes *items = t[i].data;
        for (size_t k = 0; t[i].dtype == DT_BYTES && k < t[i].count; k++)
            if (__builtin_add_overflow(sum, items[k].len, &sum))
                return SIZE_MAX;
    }
    return sum;
}

static void copy_strings(struct arena *a, struct bytes *items, size_t n) {
    size_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += items[i].len + 1; /* what is in memory adds up without overflow */
    char *room = arena_alloc(a, sum ? sum : 1);
    for (size_t i = 0; i < n; i++) {
        if (items[i].len)
            memcpy(room, items[i].data, items[i].len);
        items[i].data = room;
        room += items[i].len + 1;
    }
}

struct tensor *tensor_join(struct arena *a, const struct tensor *const *parts, size_t nparts,
                           size_t n) {
    struct tensor *out = ARENA_ARRAY(a, struct tensor, n ? n : 1);
    for (size_t i = 0; i < n; i++) {
        size_t size = dtype_size(parts[0][i].dtype), at = 0;
        out[i] = parts[0][i];
        out[i].shape[0] = 0;
        out[i].count = 0;
        for (size_t p = 0; p < nparts; p++) {
            out[i].shape[0] += parts[p][i].shape[0];
            out[i].count += parts[p][i].count;
        }
        out[i].data = arena_alloc_n(a, out[i].count ? out[i].count : 1, size);
        for (size_t p = 0; p < nparts; p++) {
            if (parts[p][i].count)
                memcpy((char *)out[i].data + at, parts[p][i].data, parts[p][i].count * size);
            at += parts[p][i].count * size;
        }
        if (out[i].dtype == DT_BYTES)
            copy_strings(a, out[i].data, out[i].count);
    }
    return out;
}

static const char *const *copy_classes(struct arena *a, const struct tensor *t) {
    if (!t->classes || t->rank == 0)
        return NULL;
    size_t n = (size_t)t->shape[t->rank - 1];
    const char **copy = ARENA_ARRAY(a, const char *, n + 1);
    for (size_t i = 0; i < n; i++)
        copy[i] = arena_strdup(a, t->classes[i]);
    return copy;
}

static void copy_elements(struct arena *a, struct tensor *to, const struct tensor *from,
                          size_t first) {
    size_t size = dtype_size(from->dtype);
    to->name = arena_strdup(a, from->name);
    to->classes = copy_classes(a, from);
    to->data = arena_alloc_n(a, to->count ? to->count : 1, size);
    if (to->count)
        memcpy(to->data, (const char *)from->data + first * size, to->count * size);
    if (to->dtype == DT_BYTES)
        copy_strings(a, to->data, to->count);
}

struct tensor *tensor_cut(struct arena *a, const struct tensor *t, size_t n, size_t first,
                          size_t rows) {
    struct tensor *out = ARENA_ARRAY(a, struct tensor, n ? n : 1);
    for (size_t i = 0; i < n; i++) {
        size_t width = t[i].shape[0] ? t[i].count / (size_t)t[i].shape[0] : 0;
        out[i] = t[i];
        out[i].shape[0] = (int64_t)rows;
        out[i].count = rows * width;
        copy_elements(a, &out[i], &t[i], first * width);
    }
    return out;
}

struct tensor *tensor_copy(struct arena *a, const struct tensor *t, size_t n) {
    struct tensor *out = ARENA_ARRAY(a, struct tensor, n ? n : 1);
    for (size_t i = 0; i < n; i++) {
        out[i] = t[i];
        copy_elements(a, &out[i], &t[i], 0);
    }
    return out;
}
