/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_BASE_CLOCK_H
#define QUERN_BASE_CLOCK_H
/* Clock: wall time for facts, monotonic time for durations and deadlines. */
#include <stdint.h>
#include <time.h>

int64_t clock_wall_ms(void); /* since the epoch, UTC */
int64_t clock_mono_ns(void);
int64_t clock_mono_ms(void);
void clock_sleep_ms(int64_t ms);
/* The monotonic moment so many ms from now, as waits for conditions take it. */
struct timespec clock_mono_in(int64_t ms);
/* "2026-01-02T03:04:05.678Z" into out[32]. */
void clock_format_ms(int64_t wall_ms, char out[32]);

#endif
