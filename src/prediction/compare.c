/* SPDX-License-Identifier: Apache-2.0 */
#include "compare.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compare_output.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/map.h"

#define OUTPUTS_MOST 1000

void compare_begin(struct compare *k, double tolerance) {
    *k = (struct compare){.tolerance = tolerance, .outputs = map_new()};
}

static void output_free(void *arg) {
    struct output *o = arg;
    sample_free(&o->apart);
    map_free(o->pairs, free);
    free(o);
}

void compare_end(struct compare *k) {
    map_free(k->outputs, output_free);
    sample_free(&k->before_us);
    sample_free(&k->after_us);
    sample_free(&k->error_before);
    sample_free(&k->error_after);
    for (size_t i = 0; i < k->ndiffering; i++)
        free(k->differing[i]);
    for (size_t i = 0; i < k->nregressions; i++)
        free(k->regressions[i]);
}

static struct output *output_of(struct compare *k, const char *name) {
    struct output *o = map_get(k->outputs, name);
    if (o || map_count(k->outputs) >= OUTPUTS_MOST)
        return o;
    o = mem_alloc(sizeof *o);
    o->pairs = map_new();
    map_set(k->outputs, name, o);
    return o;
}

static void name_id(char *ids[], size_t *n, const char *id) {
    if (*n < COMPARE_NAMED && (*n == 0 || strcmp(ids[*n - 1], id) != 0))
        ids[(*n)++] = mem_strdup(id);
}

/* NaN and infinities are texts in records. */
static bool as_real(const json_t *v, double *out) {
    const char *s = json_string_value(v);
    *out = json_is_real(v)                    ? json_real_value(v)
           : s && strcmp(s, "NaN") == 0       ? (double)NAN
           : s && strcmp(s, "Infinity") == 0  ? HUGE_VAL
           : s && strcmp(s, "-Infinity") == 0 ? -HUGE_VAL
                                              : 0;
    return json_is_real(v) || *out != 0;
}

static const json_t *unwrap(const json_t *v) {
    while (json_is_array(v) && json_array_size(v) == 1)
        v = json_array_get(v, 0);
    return v;
}

static void pair(struct output *o, const json_t *a, const json_t *b) {
    struct buf t = {0};
    char *x = json_dumps(a, JSON_COMPACT | JSON_ENCODE_ANY),
         *y = json_dumps(b, JSON_COMPACT | JSON_ENCODE_ANY);
    buf_printf(&t, "%.100s -> %.100s", x ? x : "?", y ? y : "?");
    uint64_t *n = map_get(o->pairs, t.data);
    if (!n && map_count(o->pairs) < COMPARE_PAIRS) {
        n = mem_alloc(sizeof *n);
        map_set(o->pairs, t.data, n);
    }
    if (n)
        ++*n;
    free(x);
    free(y);
    buf_free(&t);
}

/* 1 they agree, 0 they do not, -1 they are not of one form. */
static int value(struct compare *k, struct output *o, const json_t *a, const json_t *b) {
    double x, y;
    o->values++;
    if (as_real(a, &x) && as_real(b, &y)) {
        double apart = fabs(x - y), wide = fmax(1, fmax(fabs(x), fabs(y)));
        bool same = x == y || (isnan(x) && isnan(y)) || apart <= k->tolerance * wide;
        if (isfinite(x) && isfinite(y)) {
            sample_add(&o->apart, apart);
            o->signed_sum += y - x;
            o->numbers++;
        }
        o->agreed += same;
        return same;
    }
    if (json_is_array(a) || json_is_object(a) || json_is_array(b) || json_is_object(b))
        return -1;
    bool same = json_equal(a, b) != 0;
    if (!same)
        pair(o, a, b);
    o->agreed += same;
    return same;
}

static int tree(struct compare *k, const char *name, const json_t *a, const json_t *b) {
    const char *key;
    json_t *item;
    size_t i;
    int all = 1;
    a = unwrap(a);
    b = unwrap(b);
    if (json_is_array(a)) {
        if (!json_is_array(b) || json_array_size(a) != json_array_size(b))
            return -1;
        json_array_foreach(a, i, item) {
            int one = tree(k, name, item, json_array_get(b, i));
            all = one < 0 || all < 0 ? -1 : all && one;
        }
        return all;
    }
    if (json_is_object(a)) {
        json_object_foreach((json_t *)a, key, item) {
            const json_t *other = json_object_get(b, key);
            struct buf sub = {0};
            buf_printf(&sub, "%s.%s", name, key);
            int one = other ? tree(k, sub.data, item, other) : -1;
            all = one < 0 || all < 0 ? -1 : all && one;
            buf_free(&sub);
        }
        return all;
    }
    struct output *o = output_of(k, name);
    return a && b && o ? value(k, o, a, b) : -1;
}

static const json_t *row_of(const json_t *v, int64_t row, int64_t rows) {
    return json_is_array(v) && (int64_t)json_array_size(v) == rows ? json_array_get(v, (size_t)row)
                                                                   : v;
}

void compare_add(struct compare *k, const char *id, const json_t *before, const json_t *after,
                 int64_t rows) {
    const char *name;
    json_t *v;
    k->records++;
    for (int64_t r = 0; r < rows; r++) {
        int all = json_object_size(before) == 0 ? -1 : 1;
        json_object_foreach((json_t *)before, name, v) {
            const json_t *other = json_object_get(after, name);
            int one = other ? tree(k, name, row_of(v, r, rows), row_of(other, r, rows)) : -1;
            all = one < 0 || all < 0 ? -1 : all && one;
        }
        k->rows++;
        if (all < 0)
            k->odd++;
        else if (all)
            k->agreed++;
        if (all != 1)
            name_id(k->differing, &k->ndiffering, id);
    }
}

/* ---- against the truth ---- */

static bool is_plain(const json_t *v) {
    return v && !json_is_array(v) && !json_is_object(v) && !json_is_null(v);
}

/* The named output, else the first of plain values. */
static const json_t *judged(const struct compare *k, const json_t *outputs, int64_t r,
                            int64_t rows) {
    const char *name;
    json_t *v;
    if (k->truth_output)
        return unwrap(row_of(json_object_get(outputs, k->truth_output), r, rows));
    json_object_foreach((json_t *)outputs, name, v) {
        const json_t *one = unwrap(row_of(v, r, rows));
        if (is_plain(one))
            return one;
    }
    return NULL;
}

static bool right(const json_t *v, const json_t *truth, double tolerance) {
    if (json_is_number(v) && json_is_number(truth))
        return fabs(json_number_value(v) - json_number_value(truth)) <=
               tolerance * fmax(1, fabs(json_number_value(truth)));
    return json_equal(v, truth) != 0;
}

void compare_judge(struct compare *k, const char *id, const json_t *before, const json_t *after,
                   const json_t *truth, int64_t rows) {
    for (int64_t r = 0; r < rows; r++) {
        const json_t *t = rows > 1 ? json_array_get(truth, (size_t)r) : unwrap(truth);
        const json_t *a = judged(k, before, r, rows), *b = judged(k, after, r, rows);
        if (!is_plain(t) || !is_plain(a) || !is_plain(b))
            continue;
        k->judged++;
        if (json_is_number(t) && json_is_real(a) && json_is_real(b)) {
            sample_add(&k->error_before, fabs(json_number_value(a) - json_number_value(t)));
            sample_add(&k->error_after, fabs(json_number_value(b) - json_number_value(t)));
        }
        bool was = right(a, t, k->tolerance), is = right(b, t, k->tolerance);
        k->both += was && is;
        k->fixed += !was && is;
        k->regressed += was && !is;
        k->neither += !was && !is;
        if (was && !is)
            name_id(k->regressions, &k->nregressions, id);
    }
}
