/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/rollout/arm_stats.h"

#include <math.h>

static unsigned step_of(int64_t us) {
    if (us < 16)
        return us > 0 ? (unsigned)us : 0;
    unsigned e = 63u - (unsigned)__builtin_clzll((unsigned long long)us);
    unsigned step = (e - 3) * 16 + (unsigned)((us >> (e - 4)) & 15);
    return step < ARM_STEPS ? step : ARM_STEPS - 1;
}

/* The largest number of microseconds that falls into the step. */
static double step_end(unsigned step) {
    if (step < 16)
        return step;
    unsigned e = step / 16 + 3;
    return ldexp(16 + step % 16 + 1, (int)e - 4) - 1;
}

void arm_stats_add(struct arm_stats *s, enum arm_outcome outcome, int64_t us) {
    atomic_fetch_add_explicit(&s->steps[step_of(us)], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->requests, 1, memory_order_relaxed);
    /* After its request, and read before it: never more errors than requests are seen. */
    if (outcome == ARM_ERROR)
        atomic_fetch_add_explicit(&s->errors, 1, memory_order_release);
    else if (outcome == ARM_NAN)
        atomic_fetch_add_explicit(&s->nan, 1, memory_order_release);
}

void arm_stats_read(const struct arm_stats *s, struct arm_sample *out) {
    out->errors = atomic_load_explicit(&s->errors, memory_order_acquire);
    out->nan = atomic_load_explicit(&s->nan, memory_order_acquire);
    for (unsigned i = 0; i < ARM_STEPS; i++)
        out->steps[i] = atomic_load_explicit(&s->steps[i], memory_order_relaxed);
    out->requests = atomic_load_explicit(&s->requests, memory_order_acquire);
}

void arm_stats_put_back(struct arm_stats *s, const struct arm_sample *before) {
    for (unsigned i = 0; i < ARM_STEPS; i++)
        atomic_fetch_add_explicit(&s->steps[i], before->steps[i], memory_order_relaxed);
    atomic_fetch_add_explicit(&s->requests, before->requests, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->errors, before->errors, memory_order_release);
    atomic_fetch_add_explicit(&s->nan, before->nan, memory_order_release);
}

static uint64_t since(uint64_t now, uint64_t then) {
    return now >= then ? now - then : now;
}

void arm_sample_since(struct arm_sample *now, const struct arm_sample *then) {
    now->requests = since(now->requests, then->requests);
    now->errors = since(now->errors, then->errors);
    now->nan = since(now->nan, then->nan);
    for (unsigned i = 0; i < ARM_STEPS; i++)
        now->steps[i] = since(now->steps[i], then->steps[i]);
}

double arm_sample_quantile(const struct arm_sample *s, double q) {
    uint64_t n = 0;
    for (unsigned i = 0; i < ARM_STEPS; i++)
        n += s->steps[i];
    if (!n)
        return NAN;
    double want = ceil(q * (double)n);
    uint64_t rank = want < 1 ? 1 : want > (double)n ? n : (uint64_t)want, seen = 0;
    unsigned i = 0;
    while ((seen += s->steps[i]) < rank && i + 1 < ARM_STEPS)
        i++;
    return step_end(i) / 1000.0;
}

double arm_sample_error_rate(const struct arm_sample *s) {
    return s->requests ? (double)s->errors / (double)s->requests : NAN;
}

double arm_sample_nan_rate(const struct arm_sample *s) {
    return s->requests ? (double)s->nan / (double)s->requests : NAN;
}
