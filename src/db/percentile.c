/* SPDX-License-Identifier: Apache-2.0 */
/* Percentile: mlflow_percentile(value, p), an aggregate. p is 0 to 100; between two values it is
 * interpolated, as in NumPy's default. NULLs are passed over; no value at all gives NULL. */
#include "percentile.h"

#include <stdlib.h>

#include "quern/base/arena.h"

struct values {
    double *items, p;
    size_t n, cap;
};

static void take(sqlite3_context *context, int argc, sqlite3_value **args) {
    (void)argc;
    struct values *v = sqlite3_aggregate_context(context, sizeof *v);
    if (!v)
        mem_die();
    if (sqlite3_value_type(args[0]) == SQLITE_NULL)
        return;
    if (v->n == v->cap) {
        size_t cap = v->cap ? v->cap * 2 : 64;
        double *wider = reallocarray(v->items, cap, sizeof *wider);
        if (!wider)
            mem_die();
        v->items = wider;
        v->cap = cap;
    }
    v->p = sqlite3_value_double(args[1]);
    v->items[v->n++] = sqlite3_value_double(args[0]);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void give(sqlite3_context *context) {
    struct values *v = sqlite3_aggregate_context(context, 0);
    if (!v || v->n == 0)
        return;
    qsort(v->items, v->n, sizeof *v->items, ascending);
    double p = v->p < 0 ? 0 : v->p > 100 ? 100 : v->p;
    double at = p / 100 * (double)(v->n - 1);
    size_t low = (size_t)at, high = low + 1 < v->n ? low + 1 : low;
    double a = v->items[low], b = v->items[high];
    sqlite3_result_double(context, a + (at - (double)low) * (b - a));
    free(v->items);
    v->items = NULL;
}

int percentile_register(sqlite3 *handle) {
    return sqlite3_create_function_v2(handle, "mlflow_percentile", 2,
                                      SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, NULL,
                                      NULL, take, give, NULL);
}
