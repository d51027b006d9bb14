/* SPDX-License-Identifier: Apache-2.0 */
#include "skew.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/map.h"
#include "quern/json/json_out.h"
#include "sample.h"

#define COLUMNS_MOST 1000
#define WORDS_MOST 1000

/* Of the window and of its reference. */
struct side {
    uint64_t values, missing;
    struct sample numbers;
    struct map *words; /* text to a count */
};

struct column {
    struct side sides[2];
};

static void column_free(void *arg) {
    struct column *k = arg;
    for (int i = 0; i < 2; i++) {
        sample_free(&k->sides[i].numbers);
        map_free(k->sides[i].words, free);
    }
    free(k);
}

static struct column *column_of(struct skew *s, const char *name) {
    if (!s->columns)
        s->columns = map_new();
    struct column *k = map_get(s->columns, name);
    if (k || map_count(s->columns) >= COLUMNS_MOST)
        return k;
    k = mem_alloc(sizeof *k);
    for (int i = 0; i < 2; i++)
        k->sides[i].words = map_new();
    map_set(s->columns, name, k);
    return k;
}

static void word(struct side *d, const char *text) {
    uint64_t *n = map_get(d->words, text);
    if (!n && map_count(d->words) < WORDS_MOST) {
        n = mem_alloc(sizeof *n);
        map_set(d->words, text, n);
    }
    if (n)
        ++*n;
}

static void value(struct side *d, const json_t *v) {
    const char *s = json_string_value(v);
    json_t *item;
    size_t i;
    if (json_is_array(v)) {
        json_array_foreach(v, i, item) value(d, item);
        return;
    }
    d->values++;
    if (json_is_number(v))
        sample_add(&d->numbers, json_number_value(v));
    else if (json_is_boolean(v))
        word(d, json_is_true(v) ? "true" : "false");
    else if (s && strcmp(s, "NaN") != 0)
        word(d, s);
    else
        d->missing++;
}

void skew_add(struct skew *s, const json_t *inputs, bool reference) {
    const char *name;
    json_t *v;
    s->referred = s->referred || reference;
    json_object_foreach((json_t *)inputs, name, v) {
        struct column *k = column_of(s, name);
        if (k)
            value(&k->sides[reference], v);
    }
}

static double share(const struct side *d, const char *text) {
    const uint64_t *n = map_get(d->words, text);
    return ((n ? (double)*n : 0) + 0.5) / ((double)d->values + 0.5);
}

static double words_psi(const struct side *a, const struct side *b) {
    const char *text;
    void *n;
    double psi = 0;
    for (int turn = 0; turn < 2; turn++) {
        const struct map *m = turn ? b->words : a->words;
        for (size_t i = 0; map_next(m, &i, &text, &n);) {
            if (turn && map_has(a->words, text))
                continue;
            double x = share(a, text), y = share(b, text);
            psi += (y - x) * log(y / x);
        }
    }
    return psi;
}

static void put_side(struct json_writer *w, struct side *d) {
    jw_key_i64(w, "values", (int64_t)d->values);
    jw_key_i64(w, "missing", (int64_t)d->missing);
    if (d->numbers.n) {
        jw_key_f64(w, "mean", sample_mean(&d->numbers));
        jw_key_f64(w, "deviation", sample_deviation(&d->numbers));
        jw_key_f64(w, "min", d->numbers.least);
        jw_key_f64(w, "p50", sample_quantile(&d->numbers, 0.5));
        jw_key_f64(w, "max", d->numbers.most);
    }
    if (map_count(d->words))
        jw_key_i64(w, "distinct", (int64_t)map_count(d->words));
}

void skew_write(struct skew *s, struct json_writer *w) {
    const char *name;
    void *value_;
    jw_key(w, "inputs");
    jw_obj(w);
    for (size_t i = 0; s->columns && map_next(s->columns, &i, &name, &value_);) {
        struct column *k = value_;
        jw_key(w, name);
        jw_obj(w);
        put_side(w, &k->sides[0]);
        if (s->referred) {
            jw_key(w, "reference");
            jw_obj(w);
            put_side(w, &k->sides[1]);
            jw_obj_end(w);
            jw_key_f64(w, "psi",
                       k->sides[0].numbers.n
                           ? sample_psi(&k->sides[1].numbers, &k->sides[0].numbers)
                           : words_psi(&k->sides[1], &k->sides[0]));
        }
        jw_obj_end(w);
    }
    jw_obj_end(w);
}

void skew_free(struct skew *s) {
    if (s->columns)
        map_free(s->columns, column_free);
    s->columns = NULL;
}
