/* SPDX-License-Identifier: Apache-2.0 */
#include "order.h"

#include <stdlib.h>
#include <string.h>

#include "quern/genai/copy.h"
#include "quern/trace/copy.h"
#include "quern/tracking/copy.h"

static void sort(void *items, size_t n, size_t size, int (*order)(const void *, const void *)) {
    if (n) /* the items of nothing are NULL */
        qsort(items, n, size, order);
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void order_texts(const char **texts, size_t n) {
    sort(texts, n, sizeof *texts, by_text);
}

static int by_key(const void *a, const void *b) {
    return strcmp(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

void order_pairs(struct pairs *p) {
    sort(p->items, p->n, sizeof *p->items, by_key);
}

static int by_dataset(const void *a, const void *b) {
    const struct copy_dataset *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : strcmp(x->digest, y->digest);
}

void order_datasets(struct copy_dataset *d, size_t n) {
    sort(d, n, sizeof *d, by_dataset);
}

static int by_start(const void *a, const void *b) {
    const struct copy_span *x = a, *y = b;
    if (x->start_ns != y->start_ns)
        return x->start_ns < y->start_ns ? -1 : 1;
    return strcmp(x->id, y->id);
}

void order_spans(struct copy_span *s, size_t n) {
    sort(s, n, sizeof *s, by_start);
}

static int by_creation(const void *a, const void *b) {
    const struct copy_record *x = a, *y = b;
    if (x->created_ms != y->created_ms)
        return x->created_ms < y->created_ms ? -1 : 1;
    return strcmp(x->id, y->id);
}

void order_records(struct copy_record *r, size_t n) {
    sort(r, n, sizeof *r, by_creation);
}

static int by_time(const void *a, const void *b) {
    const struct copy_point *x = a, *y = b;
    if (x->time_ms != y->time_ms)
        return x->time_ms < y->time_ms ? -1 : 1;
    if (x->step != y->step)
        return x->step < y->step ? -1 : 1;
    if (x->value < y->value || x->value > y->value)
        return x->value < y->value ? -1 : 1;
    return (int)x->is_nan - (int)y->is_nan;
}

size_t order_points(struct copy_point *p, size_t n) {
    size_t kept = 0;
    sort(p, n, sizeof *p, by_time);
    for (size_t i = 0; i < n; i++)
        if (!kept || by_time(&p[kept - 1], &p[i]) != 0)
            p[kept++] = p[i];
    return kept;
}
