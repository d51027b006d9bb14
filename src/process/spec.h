/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PROCESS_SPEC_H
#define QUERN_PROCESS_SPEC_H
/* Spec on the wire from the daemon to the keeper: one line of numbers, then every argument and
 * every environment string with its NUL, so that bytes arrive as they were given. It travels in a
 * memfd on the keeper's standard input and never touches the disk: the environment may hold a
 * token. */
#include "quern/process/process.h"

enum { SPEC_MAX = 8 << 20 };

/* Limits with the defaults filled in. */
struct process_limits spec_limits(const struct process_limits *given);
/* A memfd that stands at its start, or -errno. */
int spec_to_memfd(const struct process_spec *spec);
/* Reads all of `fd`; NULL in *why when it worked. *tied_to: the daemon whose end is this one's end,
 * 0 for none. */
int spec_from_fd(struct arena *a, int fd, struct process_spec *out, int *tied_to, const char **why);

#endif
