/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACE_TIMESTAMP_H
#define QUERN_TRACE_TIMESTAMP_H
/* Timestamp: protobuf's JSON forms of times and durations. */
#include <stdbool.h>
#include <stdint.h>

/* "2026-11-24T09:57:35.438Z", with 0, 3, 6 or 9 digits as needed; also offsets as "+02:00". */
bool timestamp_parse(const char *text, int64_t *ms);
void timestamp_format(int64_t ms, char out[32]);
/* "0.632s", "1s"; rounded down to milliseconds. */
bool duration_parse(const char *text, int64_t *ms);
void duration_format(int64_t ms, char out[32]);

#endif
