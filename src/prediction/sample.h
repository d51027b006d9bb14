/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PREDICTION_SAMPLE_H
#define QUERN_PREDICTION_SAMPLE_H
/* Sample: numbers as they come, in bounded memory: count, sum and extremes of all, and an even
 * sample of them for quantiles. The same numbers in the same order give the same sample. */
#include <stddef.h>
#include <stdint.h>

#define SAMPLE_MOST 16384

struct sample {
    uint64_t n;
    double sum, squares, least, most;
    double *items;
    size_t kept, cap;
    uint64_t seed;
};

void sample_add(struct sample *s, double v); /* NaN is passed over */
double sample_mean(const struct sample *s);
double sample_deviation(const struct sample *s);
/* q from 0 to 1; 0 when there is nothing. Sorts the sample, so nothing is added after. */
double sample_quantile(struct sample *s, double q);
/* Population stability index of b against a over a's deciles; 0: alike, above 0.25: another. */
double sample_psi(struct sample *a, struct sample *b);
void sample_free(struct sample *s);

#endif
