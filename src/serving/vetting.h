/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_VETTING_H
#define QUERN_SERVING_VETTING_H
/* Vetting: runs `quern vet FILE` in a child with bounds on memory, time and output. 0, or
 * ERR_UNPROCESSABLE with what the child said, or how it ended. *bytes is how much its memory grew.
 */
#include <stdint.h>

struct ctx;

int vet(struct ctx *c, const char *self_exe, const char *model_file, int64_t *bytes);

#endif
