/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_DB_PERCENTILE_H
#define QUERN_DB_PERCENTILE_H
/* Percentile: an aggregate function of SQL. */
#include <sqlite3.h>

int percentile_register(sqlite3 *handle);

#endif
