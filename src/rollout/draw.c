/* SPDX-License-Identifier: Apache-2.0 */
#include "draw.h"

#include <math.h>

#include "hash.h"

/* Marsaglia's polar method; the second number is dropped, since nothing keeps it. */
double draw_normal(uint64_t *chance) {
    for (;;) {
        double u = 2 * hash_unit(chance_next(chance)) - 1;
        double v = 2 * hash_unit(chance_next(chance)) - 1;
        double s = u * u + v * v;
        if (s > 0 && s < 1)
            return u * sqrt(-2 * log(s) / s);
    }
}

/* Marsaglia and Tsang's method of 2000. */
double draw_gamma(uint64_t *chance, double shape) {
    if (shape < 1) {
        double u = hash_unit(chance_next(chance));
        return draw_gamma(chance, shape + 1) * pow(u, 1 / shape);
    }
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = draw_normal(chance), v = 1 + c * x;
        if (v <= 0)
            continue;
        v = v * v * v;
        double u = hash_unit(chance_next(chance));
        if (u < 1 - 0.0331 * x * x * x * x || log(u) < 0.5 * x * x + d * (1 - v + log(v)))
            return d * v;
    }
}

double draw_beta(uint64_t *chance, double a, double b) {
    double x = draw_gamma(chance, a), y = draw_gamma(chance, b), sum = x + y;
    /* With tiny shapes both may round to 0; all mass lies at the ends then. */
    if (!(sum > 0))
        return hash_unit(chance_next(chance)) * (a + b) < a ? 1 : 0;
    return x / sum;
}
