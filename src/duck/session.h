/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_DUCK_SESSION_H
#define QUERN_DUCK_SESSION_H
/* Session: one database in memory with its connection. */
#include "library.h"

struct ctx;

struct duck {
    duckdb_database db;
    duckdb_connection conn;
    const char *const *files; /* the caller's */
};

/* Fails with DuckDB's words, without the paths of files that it was given. */
int duck_fail(struct duck *d, struct ctx *c, const char *said);

#endif
