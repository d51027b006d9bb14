/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor_print.h"

#include <math.h>
#include <string.h>

#include "number.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/json/json_out.h"

void text_init(struct text *t, struct arena *a, size_t guess) {
    *t = (struct text){.arena = a, .data = arena_alloc(a, guess), .cap = guess};
}

char *text_room(struct text *t, size_t more) {
    if (t->cap - t->len < more) {
        size_t cap = (t->cap + more) * 2;
        char *data = arena_alloc_unset(t->arena, cap);
        memcpy(data, t->data, t->len);
        t->data = data;
        t->cap = cap;
    }
    return t->data + t->len;
}

void text_reserve(struct text *t, size_t more) {
    if (t->cap - t->len >= more)
        return;
    char *data = arena_alloc_unset(t->arena, t->len + more);
    memcpy(data, t->data, t->len);
    t->data = data;
    t->cap = t->len + more;
}

void text_put(struct text *t, const char *s, size_t n) {
    memcpy(text_room(t, n), s, n);
    t->len += n;
}

void text_puts(struct text *t, const char *s) {
    text_put(t, s, strlen(s));
}

static void put_escape(struct text *t, unsigned char ch) {
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt", hex[] = "0123456789abcdef";
    const char *at = ch ? strchr(from, ch) : NULL;
    char out[6] = {'\\', 'u', '0', '0', hex[ch >> 4], hex[ch & 15]};
    if (at)
        out[1] = to[at - from];
    text_put(t, out, at ? 2 : 6);
}

void text_string(struct text *t, const char *s, size_t n) {
    text_put(t, "\"", 1);
    bool valid = utf8_valid(s, n);
    size_t from = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char ch = (unsigned char)s[i];
        bool plain = ch >= 0x20 && ch != '"' && ch != '\\' && (valid || ch < 0x80);
        if (plain)
            continue;
        text_put(t, s + from, i - from);
        from = i + 1;
        if (ch >= 0x80)
            text_puts(t, "\\ufffd");
        else
            put_escape(t, ch);
    }
    if (n > from)
        text_put(t, s + from, n - from);
    text_put(t, "\"", 1);
}

static void put_u64(struct text *t, uint64_t v, bool negative) {
    char digits[24];
    size_t n = sizeof digits;
    do
        digits[--n] = (char)('0' + v % 10);
    while (v /= 10);
    if (negative)
        digits[--n] = '-';
    text_put(t, digits + n, sizeof digits - n);
}

void text_i64(struct text *t, int64_t v) {
    put_u64(t, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, v < 0);
}

static void put_f32(struct text *t, float v) {
    if (!isfinite(v))
        text_put(t, "null", 4);
    else
        t->len += number_print_f32(v, text_room(t, 32));
}

static void put_f64(struct text *t, double v) {
    if (!isfinite(v))
        text_put(t, "null", 4);
    else
        t->len += json_double(v, text_room(t, 32));
}

float half_to_float(uint16_t bits) {
    unsigned exponent = bits >> 10 & 31, fraction = bits & 1023;
    float v = exponent == 31  ? (fraction ? NAN : INFINITY)
              : exponent == 0 ? ldexpf((float)fraction, -24)
                              : ldexpf((float)(fraction + 1024), (int)exponent - 25);
    return bits & 0x8000 ? -v : v;
}

static float brain_to_float(uint16_t bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float v;
    memcpy(&v, &wide, sizeof v);
    return v;
}

void text_element(struct text *o, const struct tensor *t, size_t i) {
    switch (t->dtype) {
    case DT_BOOL:
        text_puts(o, ((const unsigned char *)t->data)[i] ? "true" : "false");
        return;
    case DT_UINT8:
        put_u64(o, ((const uint8_t *)t->data)[i], false);
        return;
    case DT_UINT16:
        put_u64(o, ((const uint16_t *)t->data)[i], false);
        return;
    case DT_UINT32:
        put_u64(o, ((const uint32_t *)t->data)[i], false);
        return;
    case DT_UINT64:
        put_u64(o, ((const uint64_t *)t->data)[i], false);
        return;
    case DT_INT8:
        text_i64(o, ((const int8_t *)t->data)[i]);
        return;
    case DT_INT16:
        text_i64(o, ((const int16_t *)t->data)[i]);
        return;
    case DT_INT32:
        text_i64(o, ((const int32_t *)t->data)[i]);
        return;
    case DT_INT64:
        text_i64(o, ((const int64_t *)t->data)[i]);
        return;
    case DT_FP16:
        put_f32(o, half_to_float(((const uint16_t *)t->data)[i]));
        return;
    case DT_BF16:
        put_f32(o, brain_to_float(((const uint16_t *)t->data)[i]));
        return;
    case DT_FP32:
        put_f32(o, ((const float *)t->data)[i]);
        return;
    case DT_FP64:
        put_f64(o, ((const double *)t->data)[i]);
        return;
    case DT_BYTES: {
        const struct bytes *b = (const struct bytes *)t->data + i;
        text_string(o, b->data, b->len);
        return;
    }
    case DT_COUNT:
        break;
    }
    text_put(o, "null", 4);
}

void text_flat(struct text *o, const struct tensor *t) {
    text_put(o, "[", 1);
    for (size_t i = 0; i < t->count; i++) {
        if (i)
            text_put(o, ",", 1);
        text_element(o, t, i);
    }
    text_put(o, "]", 1);
}

size_t text_nested(struct text *o, const struct tensor *t, size_t axis, size_t index) {
    if (axis >= t->rank) {
        text_element(o, t, index);
        return index + 1;
    }
    bool object = t->classes && axis + 1 == t->rank;
    text_put(o, object ? "{" : "[", 1);
    for (int64_t i = 0; i < t->shape[axis]; i++) {
        if (i)
            text_put(o, ",", 1);
        if (object) {
            text_string(o, t->classes[i], strlen(t->classes[i]));
            text_put(o, ":", 1);
        }
        index = text_nested(o, t, axis + 1, index);
    }
    text_put(o, object ? "}" : "]", 1);
    return index;
}

void text_shape(struct text *o, const int64_t *shape, size_t rank) {
    text_put(o, "[", 1);
    for (size_t i = 0; i < rank; i++) {
        if (i)
            text_put(o, ",", 1);
        text_i64(o, shape[i]);
    }
    text_put(o, "]", 1);
}
