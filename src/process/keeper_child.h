/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PROCESS_KEEPER_CHILD_H
#define QUERN_PROCESS_KEEPER_CHILD_H
/* Keeper child: from fork to exec. Failures travel back as one struct through `report`, which
 * closes by itself when exec worked. */
#include <sys/types.h>

#include "quern/process/process.h"

enum start_stage { STAGE_SETUP, STAGE_WORKDIR, STAGE_LIMIT, STAGE_LOOKUP, STAGE_EXEC };

struct start_failure {
    int stage, error;
    char what[32]; /* name of the limit or step that failed */
};

pid_t child_start(const struct process_spec *spec, int out, int err, int report);
/* A sentence that names the command. */
char *child_failure_text(struct arena *a, const struct process_spec *spec,
                         const struct start_failure *f);
const char *child_env(const char *const *env, const char *name); /* NULL when absent */
/* The file that argv[0] names: itself with a '/', else the first executable in PATH's absolute
 * entries. NULL with *error set. */
char *child_lookup(struct arena *a, const struct process_spec *spec, int *error);

#endif
