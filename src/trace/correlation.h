/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACE_CORRELATION_H
#define QUERN_TRACE_CORRELATION_H
/* Correlation: normalised pointwise mutual information of two events, from -1 (never together)
 * over 0 (independent) to 1 (always together); NaN where it is not defined. Pure. */
#include <stdint.h>

struct correlation {
    double npmi, smoothed; /* smoothed: half a case added to each cell (Jeffreys' prior) */
};
struct correlation correlation_of(int64_t joint, int64_t first, int64_t second, int64_t total);

#endif
