/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_PATTERN_H
#define DB_PATTERN_H
#include <sqlite3.h>

void pattern_function(sqlite3_context *context, int argc, sqlite3_value **args);

#endif
