/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor_pack.h"

#include <string.h>

#include "quern/base/arena.h"

/* Writes, or counts only when there is no place. */
struct packer {
    char *out;
    size_t n;
};

static void put(struct packer *p, const void *data, size_t n) {
    if (p->out && n)
        memcpy(p->out + p->n, data, n);
    p->n += n;
}

static void put_size(struct packer *p, size_t n) {
    put(p, &n, sizeof n);
}

static void put_text(struct packer *p, const char *s, size_t n) {
    put_size(p, n);
    put(p, s, n);
}

static void pack(struct packer *p, const struct tensor *t, size_t n) {
    put_size(p, n);
    for (size_t i = 0; i < n; i++, t++) {
        put_text(p, t->name, strlen(t->name));
        put_size(p, t->dtype);
        put_size(p, t->rank);
        put(p, t->shape, t->rank * sizeof t->shape[0]);
        put_size(p, t->count);
        size_t classes = t->classes && t->rank ? (size_t)t->shape[t->rank - 1] : 0;
        put_size(p, t->classes ? classes + 1 : 0);
        for (size_t k = 0; k < classes; k++)
            put_text(p, t->classes[k], strlen(t->classes[k]));
        if (t->dtype != DT_BYTES) {
            put(p, t->data, t->count * dtype_size(t->dtype));
            continue;
        }
        const struct bytes *items = t->data;
        for (size_t k = 0; k < t->count; k++)
            put_text(p, items[k].data, items[k].len);
    }
}

size_t tensor_packed(const struct tensor *t, size_t n) {
    struct packer p = {0};
    pack(&p, t, n);
    return p.n;
}

void tensor_pack(const struct tensor *t, size_t n, char *out) {
    struct packer p = {.out = out};
    pack(&p, t, n);
}

static size_t get_size(const char **p) {
    size_t n;
    memcpy(&n, *p, sizeof n);
    *p += sizeof n;
    return n;
}

static char *get_text(struct arena *a, const char **p, size_t *len) {
    *len = get_size(p);
    char *s = arena_strndup(a, "", 0);
    if (*len) {
        s = arena_alloc(a, *len + 1); /* may hold NULs */
        memcpy(s, *p, *len);
    }
    *p += *len;
    return s;
}

static void get_data(struct arena *a, const char **p, struct tensor *t) {
    size_t size = dtype_size(t->dtype);
    t->data = arena_alloc_n(a, t->count ? t->count : 1, size);
    if (t->dtype != DT_BYTES) {
        memcpy(t->data, *p, t->count * size);
        *p += t->count * size;
        return;
    }
    struct bytes *items = t->data;
    for (size_t k = 0; k < t->count; k++)
        items[k].data = get_text(a, p, &items[k].len);
}

struct tensor *tensor_unpack(struct arena *a, const char *p, size_t *n) {
    *n = get_size(&p);
    struct tensor *out = ARENA_ARRAY(a, struct tensor, *n ? *n : 1);
    for (struct tensor *t = out; t < out + *n; t++) {
        size_t len;
        t->name = get_text(a, &p, &len);
        t->dtype = (enum dtype)get_size(&p);
        t->rank = get_size(&p);
        memcpy(t->shape, p, t->rank * sizeof t->shape[0]);
        p += t->rank * sizeof t->shape[0];
        t->count = get_size(&p);
        size_t classes = get_size(&p);
        if (classes) {
            const char **names = ARENA_ARRAY(a, const char *, classes);
            for (size_t k = 0; k + 1 < classes; k++)
                names[k] = get_text(a, &p, &len);
            t->classes = names;
        }
        get_data(a, &p, t);
    }
    return out;
}
