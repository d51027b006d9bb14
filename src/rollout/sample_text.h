/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ROLLOUT_SAMPLE_TEXT_H
#define QUERN_ROLLOUT_SAMPLE_TEXT_H
/* Sample text: counts of an arm as text, for rows: "12:3 13:1" are the steps that are not 0. */
#include <stdbool.h>

#include "quern/rollout/arm_stats.h"

struct arena;

char *steps_text(struct arena *a, const struct arm_sample *s);
bool steps_parse(const char *text, struct arm_sample *s); /* steps alone */
/* All of it: "requests errors nan 12:3 13:1". */
char *sample_text(struct arena *a, const struct arm_sample *s);
bool sample_parse(const char *text, struct arm_sample *s); /* false, and zeros, for other text */

#endif
