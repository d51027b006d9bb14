/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/base/failpoint.h"

#ifdef QUERN_SANITIZED
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

void failpoint(const char *name) {
    static atomic_long seen;
    const char *wanted = getenv("QUERN_FAILPOINT");
    const size_t n = strlen(name);
    if (!wanted || strncmp(wanted, name, n) != 0 || (wanted[n] && wanted[n] != ':')) {
        return;
    }
    const long turn = wanted[n] ? strtol(wanted + n + 1, NULL, 10) : 1;
    if (atomic_fetch_add(&seen, 1) + 1 == turn) {
        raise(SIGKILL);
    }
}
#else
/* A file needs a declaration. */
typedef int failpoint_is_off;
#endif
