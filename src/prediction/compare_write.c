/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "compare.h"
#include "compare_output.h"
#include "quern/base/map.h"
#include "quern/json/json_out.h"

static void put_ids(struct json_writer *w, const char *key, char *const *ids, size_t n) {
    jw_key(w, key);
    jw_arr(w);
    for (size_t i = 0; i < n; i++)
        jw_str(w, ids[i]);
    jw_arr_end(w);
}

static double share(uint64_t part, uint64_t all) {
    return all ? (double)part / (double)all : 0;
}

struct change {
    const char *pair;
    uint64_t n;
};

static int most_first(const void *a_, const void *b_) {
    const struct change *a = a_, *b = b_;
    return (a->n < b->n) - (a->n > b->n);
}

static void put_pairs(struct json_writer *w, const struct map *pairs) {
    struct change all[COMPARE_PAIRS];
    size_t n = 0;
    const char *key;
    void *value;
    for (size_t i = 0; n < COMPARE_PAIRS && map_next(pairs, &i, &key, &value);)
        all[n++] = (struct change){key, *(const uint64_t *)value};
    if (!n)
        return;
    qsort(all, n, sizeof *all, most_first);
    jw_key(w, "changes");
    jw_obj(w);
    for (size_t i = 0; i < n && i < COMPARE_NAMED; i++)
        jw_key_i64(w, all[i].pair, (int64_t)all[i].n);
    jw_obj_end(w);
}

static void put_quantiles(struct json_writer *w, const char *key, struct sample *s) {
    jw_key(w, key);
    jw_obj(w);
    jw_key_f64(w, "mean", sample_mean(s));
    jw_key_f64(w, "p50", sample_quantile(s, 0.5));
    jw_key_f64(w, "p90", sample_quantile(s, 0.9));
    jw_key_f64(w, "p99", sample_quantile(s, 0.99));
    jw_key_f64(w, "max", s->most);
    jw_obj_end(w);
}

static void put_output(struct json_writer *w, struct output *o) {
    jw_obj(w);
    jw_key_i64(w, "values", (int64_t)o->values);
    jw_key_f64(w, "agreement", share(o->agreed, o->values));
    if (o->numbers) {
        jw_key_f64(w, "mean_delta", o->signed_sum / (double)o->numbers);
        put_quantiles(w, "abs_delta", &o->apart);
    }
    put_pairs(w, o->pairs);
    jw_obj_end(w);
}

static void put_truth(struct compare *k, struct json_writer *w) {
    jw_key(w, "truth");
    jw_obj(w);
    jw_key_i64(w, "judged", (int64_t)k->judged);
    jw_key_f64(w, "right_before", share(k->both + k->regressed, k->judged));
    jw_key_f64(w, "right_after", share(k->both + k->fixed, k->judged));
    jw_key_i64(w, "fixed", (int64_t)k->fixed);
    jw_key_i64(w, "regressed", (int64_t)k->regressed);
    jw_key_i64(w, "wrong_in_both", (int64_t)k->neither);
    if (k->error_before.n) {
        put_quantiles(w, "abs_error_before", &k->error_before);
        put_quantiles(w, "abs_error_after", &k->error_after);
    }
    put_ids(w, "regressions", k->regressions, k->nregressions);
    jw_obj_end(w);
}

void compare_write(struct compare *k, struct json_writer *w) {
    const char *name;
    void *value;
    jw_key_i64(w, "records", (int64_t)k->records);
    jw_key_i64(w, "rows", (int64_t)k->rows);
    jw_key_f64(w, "agreement", share(k->agreed, k->rows));
    jw_key_i64(w, "incomparable", (int64_t)k->odd);
    jw_key(w, "outputs");
    jw_obj(w);
    for (size_t i = 0; map_next(k->outputs, &i, &name, &value);) {
        jw_key(w, name);
        put_output(w, value);
    }
    jw_obj_end(w);
    put_ids(w, "differing", k->differing, k->ndiffering);
    jw_key(w, "latency_us");
    jw_obj(w);
    put_quantiles(w, "before", &k->before_us);
    put_quantiles(w, "after", &k->after_us);
    jw_obj_end(w);
    if (k->judged)
        put_truth(k, w);
}
