/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_VETTING_H
#define QUERN_SERVING_VETTING_H
/* Vetting: runs `quern vet` in a child with bounds on memory, time and output. 0, or
 * ERR_UNPROCESSABLE with what the child said, or how it ended. */
#include <stddef.h>
#include <stdint.h>

struct ctx;

/* `golden_file` NULL: no cases are replayed. *bytes is how much the child's memory grew. */
int vet(struct ctx *c, const char *self_exe, const char *model_file, const char *golden_file,
        int64_t *bytes);
/* Makes the outputs of the cases in a file: *document in the arena. */
int vet_record(struct ctx *c, const char *self_exe, const char *model_file, const char *cases_file,
               const char **document);

#endif
