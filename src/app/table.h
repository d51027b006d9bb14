/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_APP_TABLE_H
#define QUERN_APP_TABLE_H
/* Table: rows of text, aligned for a terminal. Cells are borrowed until the table is printed.
 * Control characters in cells are shown as '?': names come from other people and must not steer a
 * terminal. */
#include <stddef.h>
#include <stdint.h>

struct arena;

enum { TABLE_COLUMNS = 8 };

struct table {
    struct arena *arena;
    size_t columns;
    const char *(*rows)[TABLE_COLUMNS];
    size_t n, cap;
};

/* Headings, ended by NULL. */
void table_begin(struct table *t, struct arena *a, ...);
void table_row(struct table *t, ...); /* as many cells as headings; NULL is "-" */
void table_print(const struct table *t);
/* "3m", "2h", "5d" since then; "-" for 0. */
const char *table_age(struct arena *a, int64_t wall_ms);
const char *table_duration(struct arena *a, int64_t ms); /* "0.4s", "3m 12s"; "-" below 0 */
void print_clean(const char *s, size_t n); /* to standard output, as a cell would be */

#endif
