/* SPDX-License-Identifier: Apache-2.0 */
#include "correlation.h"

#include <math.h>

/* The cells of the table: both, only the first, only the second, neither. */
static double npmi(double both, double first, double second, double neither) {
    double total = both + first + second + neither;
    double bits = (log(both) + log(total)) - (log(both + first) + log(both + second));
    double v = bits / (log(total) - log(both));
    return fmax(-1, fmin(1, v));
}

struct correlation correlation_of(int64_t joint, int64_t first, int64_t second, int64_t total) {
    int64_t a = first - joint, b = second - joint, neither = total - first - second + joint;
    if (total <= 0 || first <= 0 || second <= 0 || joint < 0 || a < 0 || b < 0 || neither < 0)
        return (struct correlation){NAN, NAN};
    if (a == 0 && b == 0 && neither == 0)
        return (struct correlation){1, 1};
    double j = (double)joint, x = (double)a, y = (double)b, z = (double)neither;
    return (struct correlation){joint == 0 ? -1 : npmi(j, x, y, z),
                                npmi(j + 0.5, x + 0.5, y + 0.5, z + 0.5)};
}
