/* SPDX-License-Identifier: Apache-2.0 */
#include "wire_reader.h"

struct wire wire_over(const void *data, size_t n) {
    const unsigned char *at = data;
    return (struct wire){.at = at, .end = at + n};
}

static uint64_t varint(struct wire *w) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (w->at == w->end)
            break;
        unsigned char byte = *w->at++;
        v |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80))
            return v;
    }
    w->bad = true;
    return 0;
}

static uint64_t fixed(struct wire *w, unsigned bytes) {
    uint64_t v = 0;
    if (wire_left(w) < bytes) {
        w->bad = true;
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)w->at[i] << (8 * i);
    w->at += bytes;
    return v;
}

bool wire_next(struct wire *w, struct wire_field *out) {
    *out = (struct wire_field){0};
    if (w->bad || w->at == w->end)
        return false;
    uint64_t key = varint(w);
    out->number = (uint32_t)(key >> 3);
    out->type = (unsigned)(key & 7);
    if (key >> 3 == 0 || key >> 3 > 536870911) {
        w->bad = true;
    } else if (out->type == 0) {
        out->value = varint(w);
    } else if (out->type == 1) {
        out->value = fixed(w, 8);
    } else if (out->type == 5) {
        out->value = fixed(w, 4);
    } else if (out->type == 2) {
        uint64_t n = varint(w);
        if (w->bad || n > wire_left(w)) {
            w->bad = true;
        } else {
            out->sub = (struct wire){.at = w->at, .end = w->at + n};
            w->at += n;
        }
    } else {
        w->bad = true;
    }
    return !w->bad;
}
