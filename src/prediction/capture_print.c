/* SPDX-License-Identifier: Apache-2.0 */
/* A capture's line: columns by name where they have one, tensors as nested lists, rows outermost.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/json/json_out.h"

static float from_half(uint16_t h) {
    int exponent = h >> 10 & 31, fraction = h & 1023;
    float v = exponent == 31 ? (fraction ? NAN : INFINITY)
              : exponent     ? ldexpf((float)(fraction | 1024), exponent - 25)
                             : ldexpf((float)fraction, -24);
    return h >> 15 ? -v : v;
}

static float from_brain(uint16_t h) {
    uint32_t bits = (uint32_t)h << 16;
    float v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Of usual sizes by whole numbers: a record has many of them. The division is exact to the last bit
 * of a double, as reading the text is. False: not of usual size. */
static bool put_usual(struct json_writer *w, float v) {
    static const double tens[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12};
    char t[40];
    double a = fabs((double)v);
    if (a < 1e-3 || a >= 1e6)
        return false;
    int whole = a < 1 ? 0 : 1; /* digits before the point; below 1 zeros behind it count as -1 */
    while (a >= tens[whole])
        whole++;
    while (a < 1 && a * tens[1 - whole] < 1)
        whole--;
    for (int digits = 6; digits <= 9; digits++) {
        int k = digits - whole;
        int64_t m = (int64_t)(a * tens[k] + 0.5);
        if ((float)((double)m / tens[k]) != (float)a)
            continue;
        while (k > 1 && m % 10 == 0) {
            m /= 10;
            k--;
        }
        int64_t unit = (int64_t)tens[k];
        int n = snprintf(t, sizeof t, "%s%lld.%0*lld", v < 0 ? "-" : "", (long long)(m / unit), k,
                         (long long)(m % unit));
        jw_raw(w, t, (size_t)n);
        return true;
    }
    return false;
}

/* The shortest text that reads back as the same float. */
static void put_float(struct json_writer *w, float v) {
    char t[32];
    if (!isfinite(v)) {
        jw_f64(w, (double)v);
        return;
    }
    if (put_usual(w, v))
        return;
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(t, sizeof t, "%.*g", digits, (double)v);
        if (strtof(t, NULL) == v)
            break;
    }
    if (!strpbrk(t, ".e"))
        strcat(t, ".0");
    jw_raw(w, t, strlen(t));
}

/* Bytes that are no text keep their value in base64. */
static void put_bytes(struct json_writer *w, const struct bytes *b) {
    if (utf8_valid(b->data, b->len) && !memchr(b->data, '\0', b->len)) {
        jw_strn(w, b->data, b->len);
        return;
    }
    struct arena *a = arena_new();
    jw_obj(w);
    jw_key_str(w, "b64", base64_encode(a, b->data, b->len));
    jw_obj_end(w);
    arena_free(a);
}

static void put_element(struct json_writer *w, const struct tensor *t, size_t i) {
    char text[24];
    switch (t->dtype) {
    case DT_BOOL:
        jw_bool(w, ((const uint8_t *)t->data)[i] != 0);
        break;
    case DT_UINT8:
        jw_i64(w, ((const uint8_t *)t->data)[i]);
        break;
    case DT_UINT16:
        jw_i64(w, ((const uint16_t *)t->data)[i]);
        break;
    case DT_UINT32:
        jw_i64(w, ((const uint32_t *)t->data)[i]);
        break;
    case DT_UINT64:
        snprintf(text, sizeof text, "%llu", (unsigned long long)((const uint64_t *)t->data)[i]);
        ((const uint64_t *)t->data)[i] > INT64_MAX ? jw_str(w, text)
                                                   : jw_raw(w, text, strlen(text));
        break;
    case DT_INT8:
        jw_i64(w, ((const int8_t *)t->data)[i]);
        break;
    case DT_INT16:
        jw_i64(w, ((const int16_t *)t->data)[i]);
        break;
    case DT_INT32:
        jw_i64(w, ((const int32_t *)t->data)[i]);
        break;
    case DT_INT64:
        jw_i64(w, ((const int64_t *)t->data)[i]);
        break;
    case DT_FP16:
        put_float(w, from_half(((const uint16_t *)t->data)[i]));
        break;
    case DT_BF16:
        put_float(w, from_brain(((const uint16_t *)t->data)[i]));
        break;
    case DT_FP32:
        put_float(w, ((const float *)t->data)[i]);
        break;
    case DT_FP64:
        jw_f64(w, ((const double *)t->data)[i]);
        break;
    case DT_BYTES:
        put_bytes(w, &((const struct bytes *)t->data)[i]);
        break;
    default:
        jw_null(w);
    }
}

static size_t put_nested(struct json_writer *w, const struct tensor *t, size_t axis, size_t at) {
    if (axis == t->rank) {
        put_element(w, t, at);
        return at + 1;
    }
    bool labels = t->classes && axis + 1 == t->rank;
    labels ? jw_obj(w) : jw_arr(w);
    for (int64_t i = 0; i < t->shape[axis]; i++) {
        if (labels)
            jw_key(w, t->classes[i]);
        at = put_nested(w, t, axis + 1, at);
    }
    labels ? jw_obj_end(w) : jw_arr_end(w);
    return at;
}

static void put_columns(struct json_writer *w, const struct tensor *t, const char *const *names,
                        size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!names[i])
            continue;
        jw_key(w, names[i]);
        jw_arr(w);
        for (size_t row = 0; row < (size_t)t->shape[0]; row++)
            put_element(w, t, row * n + i);
        jw_arr_end(w);
    }
}

static void put_tensors(struct json_writer *w, const char *key, const struct tensor *t, size_t n) {
    if (!n)
        return;
    jw_key(w, key);
    jw_obj(w);
    for (size_t i = 0; i < n; i++) {
        jw_key(w, t[i].name);
        put_nested(w, &t[i], 0, 0);
    }
    jw_obj_end(w);
}

void capture_print_tensors(const struct tensor *t, size_t n, struct buf *out) {
    struct json_writer w;
    jw_init(&w, out);
    jw_obj(&w);
    for (size_t i = 0; i < n; i++) {
        jw_key(&w, t[i].name);
        put_nested(&w, &t[i], 0, 0);
    }
    jw_obj_end(&w);
}

static int64_t rows_of(const struct prediction_fact *f) {
    const struct tensor *t = f->ninputs ? f->inputs : f->outputs;
    return (f->ninputs || f->noutputs) && t->rank ? t->shape[0] : 1;
}

void capture_print(const struct capture *k, struct buf *out) {
    const struct prediction_fact *f = &k->f;
    struct prediction_parts p = {0};
    struct json_writer w;
    prediction_id_read(k->id, &p);
    jw_init(&w, out);
    jw_obj(&w);
    jw_key_str(&w, "id", k->id);
    jw_key_i64(&w, "time_ms", p.ms);
    jw_key_str(&w, "kind", f->kind);
    jw_key_str(&w, "model", f->model);
    jw_key_i64(&w, "version", f->version);
    jw_key_str(&w, "arm", f->arm);
    if (*f->reason)
        jw_key_str(&w, "reason", f->reason);
    jw_key_i64(&w, "status", f->status);
    jw_key_i64(&w, "latency_us", f->latency_us);
    jw_key_str(&w, "key", f->key);
    jw_key_i64(&w, "rows", rows_of(f));
    if (f->ncolumns) {
        jw_key(&w, "inputs");
        jw_obj(&w);
        put_columns(&w, f->inputs, f->columns, f->ncolumns);
        jw_obj_end(&w);
    } else {
        put_tensors(&w, "inputs", f->inputs, f->ninputs);
    }
    put_tensors(&w, "outputs", f->outputs, f->noutputs);
    if (k->nredacted) {
        jw_key(&w, "redacted");
        jw_arr(&w);
        for (size_t i = 0; i < k->nredacted; i++)
            jw_str(&w, k->redacted[i]);
        jw_arr_end(&w);
    }
    if (k->too_large)
        jw_key_bool(&w, "too_large", true);
    jw_obj_end(&w);
    buf_putc(out, '\n');
}
