/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_CORE_PERM_H
#define QUERN_CORE_PERM_H
/* Perm: what a route asks of its caller, on the request's project. Levels include those before. */
enum perm {
    PERM_UNSET = 0, /* a route row with this stops the start */
    PERM_PUBLIC,    /* nobody in particular: liveness, version */
    PERM_READ,
    PERM_WRITE,
    PERM_ADMIN,  /* of the project */
    PERM_SYSTEM, /* of the installation: principals, backups, every project */
};

const char *perm_name(enum perm p); /* "public" "read" "write" "admin" "system" */

#endif
