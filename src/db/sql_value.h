/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DB_SQL_VALUE_H
#define DB_SQL_VALUE_H
#include <stddef.h>
#include <stdint.h>

/* A value collected by sql_add; kind is its letter. Text and blobs live in the context's arena. */
struct sql_value {
    char kind;
    int64_t integer;
    double real;
    const void *data;
    size_t size;
};

#endif
