/* SPDX-License-Identifier: Apache-2.0 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quern/json/json_out.h"

size_t json_double(double v, char out[32]) {
    if (!isfinite(v)) {
        strcpy(out, isnan(v) ? "\"NaN\"" : v > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return strlen(out);
    }
    if (v == trunc(v) && fabs(v) < 1e15 && !(v == 0 && signbit(v))) {
        int n = snprintf(out, 32, "%lld.0", (long long)v);
        return (size_t)n;
    }
    /* %g drops trailing zeros, so 15 digits give the short form wherever one exists; numbers near
     * zero carry fewer digits, and the search starts at one. */
    int digits = fabs(v) < DBL_MIN ? 1 : 15, n = 0;
    for (; digits <= 17; digits++) {
        n = snprintf(out, 32, "%.*g", digits, v);
        if (strtod(out, NULL) == v)
            break;
    }
    if (!strpbrk(out, ".e")) {
        out[n++] = '.';
        out[n++] = '0';
        out[n] = '\0';
    }
    return (size_t)n;
}
