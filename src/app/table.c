/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/str.h"

static void add(struct table *t, va_list ap) {
    if (t->n == t->cap) {
        const size_t cap = t->cap ? t->cap * 2 : 32;
        const char *(*rows)[TABLE_COLUMNS] = arena_alloc_n(t->arena, cap, sizeof *rows);
        if (t->n) {
            memcpy(rows, t->rows, t->n * sizeof *rows);
        }
        t->rows = rows;
        t->cap = cap;
    }
    for (size_t i = 0; i < t->columns; i++) {
        const char *cell = va_arg(ap, const char *);
        t->rows[t->n][i] = cell && cell[0] ? cell : "-";
    }
    t->n++;
}

void table_begin(struct table *t, struct arena *a, ...) {
    va_list ap;
    *t = (struct table){.arena = a};
    va_start(ap, a);
    while (t->columns < TABLE_COLUMNS && va_arg(ap, const char *)) {
        t->columns++;
    }
    va_end(ap);
    va_start(ap, a);
    add(t, ap);
    va_end(ap);
}

void table_row(struct table *t, ...) {
    va_list ap;
    va_start(ap, t);
    add(t, ap);
    va_end(ap);
}

void print_clean(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)s[i];
        /* C0, DEL, and C1 in its UTF-8 form */
        const bool c1 = c == 0xC2 && i + 1 < n && (unsigned char)s[i + 1] < 0xA0;
        if (c < 0x20 || c == 0x7F || c1) {
            putchar('?');
            i += c1;
        } else {
            putchar(c);
        }
    }
}

void table_print(const struct table *t) {
    size_t width[TABLE_COLUMNS] = {0};
    for (size_t r = 0; r < t->n; r++) {
        for (size_t i = 0; i < t->columns; i++) {
            const size_t n = utf8_count(t->rows[r][i]);
            width[i] = n > width[i] ? n : width[i];
        }
    }
    for (size_t r = 0; r < t->n; r++) {
        for (size_t i = 0; i < t->columns; i++) {
            const char *cell = t->rows[r][i];
            print_clean(cell, strlen(cell));
            if (i + 1 < t->columns) {
                printf("%*s", (int)(width[i] - utf8_count(cell) + 2), "");
            }
        }
        putchar('\n');
    }
}

const char *table_age(struct arena *a, int64_t wall_ms) {
    if (wall_ms <= 0) {
        return "-";
    }
    const int64_t s = (clock_wall_ms() - wall_ms) / 1000;
    return s < 0        ? "0s"
           : s < 120    ? arena_printf(a, "%" PRId64 "s", s)
           : s < 7200   ? arena_printf(a, "%" PRId64 "m", s / 60)
           : s < 172800 ? arena_printf(a, "%" PRId64 "h", s / 3600)
                        : arena_printf(a, "%" PRId64 "d", s / 86400);
}

const char *table_duration(struct arena *a, int64_t ms) {
    if (ms < 0) {
        return "-";
    }
    const int64_t s = ms / 1000;
    return ms < 60000 ? arena_printf(a, "%" PRId64 ".%" PRId64 "s", s, ms % 1000 / 100)
           : s < 3600 ? arena_printf(a, "%" PRId64 "m %" PRId64 "s", s / 60, s % 60)
                      : arena_printf(a, "%" PRId64 "h %" PRId64 "m", s / 3600, s % 3600 / 60);
}
