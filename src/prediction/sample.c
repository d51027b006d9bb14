/* SPDX-License-Identifier: Apache-2.0 */
#include "sample.h"

#include <math.h>
#include <stdlib.h>

#include "quern/base/arena.h"

#define BINS 10

static uint64_t next(struct sample *s) {
    uint64_t z = s->seed += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

void sample_add(struct sample *s, double v) {
    if (isnan(v))
        return;
    if (!s->n || v < s->least)
        s->least = v;
    if (!s->n || v > s->most)
        s->most = v;
    s->n++;
    s->sum += v;
    s->squares += v * v;
    if (s->kept < SAMPLE_MOST) {
        if (s->kept == s->cap) {
            s->cap = s->cap ? s->cap * 2 : 64;
            s->items = mem_realloc(s->items, s->cap * sizeof *s->items);
        }
        s->items[s->kept++] = v;
        return;
    }
    uint64_t at = next(s) % s->n;
    if (at < SAMPLE_MOST)
        s->items[at] = v;
}

double sample_mean(const struct sample *s) {
    return s->n ? s->sum / (double)s->n : 0;
}

double sample_deviation(const struct sample *s) {
    double mean = sample_mean(s), d = s->n ? s->squares / (double)s->n - mean * mean : 0;
    return d > 0 ? sqrt(d) : 0;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double sample_quantile(struct sample *s, double q) {
    if (!s->kept)
        return 0;
    qsort(s->items, s->kept, sizeof *s->items, by_size);
    double at = q * (double)(s->kept - 1);
    size_t low = (size_t)at, high = low + 1 < s->kept ? low + 1 : low;
    return s->items[low] + (s->items[high] - s->items[low]) * (at - (double)low);
}

static void shares(const struct sample *s, const double *edges, double out[BINS]) {
    for (int i = 0; i < BINS; i++)
        out[i] = 0;
    for (size_t k = 0; k < s->kept; k++) {
        int bin = 0;
        while (bin < BINS - 1 && s->items[k] > edges[bin])
            bin++;
        out[bin] += 1;
    }
    for (int i = 0; i < BINS; i++) /* an empty bin would make it infinite */
        out[i] = (out[i] + 0.5) / ((double)s->kept + 0.5 * BINS);
}

double sample_psi(struct sample *a, struct sample *b) {
    double edges[BINS - 1], x[BINS], y[BINS], psi = 0;
    if (!a->kept || !b->kept)
        return 0;
    for (int i = 0; i < BINS - 1; i++)
        edges[i] = sample_quantile(a, (i + 1) / (double)BINS);
    shares(a, edges, x);
    shares(b, edges, y);
    for (int i = 0; i < BINS; i++)
        psi += (y[i] - x[i]) * log(y[i] / x[i]);
    return psi;
}

void sample_free(struct sample *s) {
    free(s->items);
    *s = (struct sample){0};
}
