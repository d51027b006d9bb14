/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/core/perm.h"

const char *perm_name(enum perm p) {
    switch (p) {
    case PERM_PUBLIC:
        return "public";
    case PERM_READ:
        return "read";
    case PERM_WRITE:
        return "write";
    case PERM_ADMIN:
        return "admin";
    case PERM_SYSTEM:
        return "system";
    case PERM_UNSET:
        break;
    }
    return "unset";
}
