/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_GENAI_OWNER_H
#define QUERN_GENAI_OWNER_H
/* Owner: the experiment that a scorer or an issue belongs to, and whose permissions decide. */
#include <stdint.h>

#include "quern/access/access.h"

/* By its decimal text, for callers who hold `need`; a deleted one is refused as such (active), or
 * as if it were not there (living). */
int owner_active(struct ctx *c, const char *experiment_id, enum object_need need, int64_t *id);
int owner_living(struct ctx *c, const char *experiment_id, enum object_need need, int64_t *id);
/* A list of decimal texts as a JSON list of numbers, for binding. */
int owner_numbers(struct ctx *c, const struct strs *ids, const char **json);

#endif
