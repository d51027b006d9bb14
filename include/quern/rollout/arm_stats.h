/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ROLLOUT_ARM_STATS_H
#define QUERN_ROLLOUT_ARM_STATS_H
/* Arm stats: what one arm of an endpoint has done. Any number of threads add without a lock and
 * no addition is ever lost. Latencies lie in a log-linear histogram: 16 steps for each doubling,
 * so that a quantile is at most 6.25 % above the truth (exact below 16 us). */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* 0 to 15 us one by one, then 16 steps for each doubling up to 2^27 us = 134 s; the last step holds
 * all above. */
#define ARM_STEPS 384

struct arm_stats {
    _Atomic uint64_t requests; /* answered by this arm or failed in it */
    _Atomic uint64_t errors;   /* of them failed */
    _Atomic uint64_t nan;      /* of them with NaN or an infinity in the outputs */
    _Atomic uint64_t steps[ARM_STEPS];
};

enum arm_outcome { ARM_OK = 0, ARM_ERROR = 1, ARM_NAN = 2 };

/* One answer: its outcome and the time it took. */
void arm_stats_add(struct arm_stats *s, enum arm_outcome outcome, int64_t us);

/* What was counted at one moment, or between two. */
struct arm_sample {
    uint64_t requests, errors, nan;
    uint64_t steps[ARM_STEPS];
};
/* requests is read last: errors and nan never exceed it. */
void arm_stats_read(const struct arm_stats *s, struct arm_sample *out);
/* Adds what was counted before, as after a restart. */
void arm_stats_put_back(struct arm_stats *s, const struct arm_sample *before);
/* *now - *then into *now; a member that shrank (it was reset) counts from 0. */
void arm_sample_since(struct arm_sample *now, const struct arm_sample *then);
/* Latency in milliseconds below or at which the share q (0 to 1) lies: the upper end of its step.
 * NaN when nothing was counted. */
double arm_sample_quantile(const struct arm_sample *s, double q);
double arm_sample_error_rate(const struct arm_sample *s); /* 0 to 1; NaN when nothing was counted */
double arm_sample_nan_rate(const struct arm_sample *s);   /* likewise */

#endif
