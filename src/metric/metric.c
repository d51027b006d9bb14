/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/metric/metric.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "metric_cell.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"

#define SLOTS 4096 /* a power of two, about twice the label sets of one metric */
#define LABEL_SETS 2000
#define LABEL_BYTES 256

const struct metric_row metric_rows[METRIC_COUNT] = {
#define METRIC(id, name, type, labels, help) [METRIC_##id] = {name, type, labels, help},
#include "quern/metric/metric.def"
#undef METRIC
};

/* Readers probe without a lock; cells are published once and never go. Untouched pages of the
 * table cost no memory. */
static _Atomic(struct metric_cell *) table[METRIC_COUNT][SLOTS];
static size_t label_sets[METRIC_COUNT];
static pthread_mutex_t insertion = PTHREAD_MUTEX_INITIALIZER;

static const double seconds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                 0.025,  0.05,    0.1,    0.25,  0.5,    1,     2.5,
                                 5,      10,      30,     60,    300,    3600};
static const double sizes[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096, 16384, 65536, 1048576};
_Static_assert(ARRAY_LEN(seconds) <= METRIC_BUCKETS, "cells hold every bound");
_Static_assert(ARRAY_LEN(sizes) <= METRIC_BUCKETS, "cells hold every bound");

struct metric_bounds metric_bounds(enum metric_id id) {
    if (str_ends(metric_rows[id].name, "_seconds"))
        return (struct metric_bounds){seconds, ARRAY_LEN(seconds)};
    return (struct metric_bounds){sizes, ARRAY_LEN(sizes)};
}

double metric_load(const _Atomic uint64_t *bits) {
    uint64_t b = atomic_load_explicit(bits, memory_order_relaxed);
    double v;
    memcpy(&v, &b, sizeof v);
    return v;
}

static uint64_t bits_of(double v) {
    uint64_t b;
    memcpy(&b, &v, sizeof b);
    return b;
}

static void add_to(_Atomic uint64_t *bits, double by) {
    uint64_t seen = atomic_load_explicit(bits, memory_order_relaxed);
    double v;
    do {
        memcpy(&v, &seen, sizeof v);
        v += by;
    } while (!atomic_compare_exchange_weak_explicit(bits, &seen, bits_of(v), memory_order_relaxed,
                                                    memory_order_relaxed));
}

static size_t label_count(enum metric_id id) {
    const char *names = metric_rows[id].labels;
    size_t n = *names ? 1 : 0;
    for (; *names; names++)
        n += *names == ',';
    return n;
}

/* What a caller passes may come from outside; it is made printable before it is kept. */
static const char *clean(const char *label) {
    if (!label)
        return "";
    size_t n = strnlen(label, LABEL_BYTES + 1);
    return n > LABEL_BYTES || !utf8_valid(label, n) ? "other" : label;
}

static uint64_t hash_labels(const char *const l[METRIC_LABELS]) {
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < METRIC_LABELS; i++) {
        for (const char *p = l[i]; *p; p++)
            h = (h ^ (unsigned char)*p) * 0x100000001b3u;
        h = (h ^ 0xff) * 0x100000001b3u; /* a byte no text has: the end of one label */
    }
    return h ^ (h >> 32);
}

static bool same(const struct metric_cell *m, uint64_t hash, const char *const l[METRIC_LABELS]) {
    if (m->hash != hash)
        return false;
    for (size_t i = 0; i < METRIC_LABELS; i++)
        if (!str_eq(m->labels[i], l[i]))
            return false;
    return true;
}

/* The cell, or NULL and the slot where it belongs. */
static struct metric_cell *probe(enum metric_id id, uint64_t hash,
                                 const char *const l[METRIC_LABELS], size_t *slot) {
    for (size_t i = (size_t)hash & (SLOTS - 1);; i = (i + 1) & (SLOTS - 1)) {
        struct metric_cell *m = atomic_load_explicit(&table[id][i], memory_order_acquire);
        if (!m) {
            *slot = i;
            return NULL;
        }
        if (same(m, hash, l))
            return m;
    }
}

static struct metric_cell *insert(enum metric_id id, uint64_t hash,
                                  const char *const l[METRIC_LABELS], size_t slot) {
    struct metric_cell *m = mem_alloc(sizeof *m);
    m->id = id;
    m->hash = hash;
    for (size_t i = 0; i < METRIC_LABELS; i++)
        m->labels[i] = mem_strdup(l[i]);
    label_sets[id]++;
    atomic_store_explicit(&table[id][slot], m, memory_order_release);
    return m;
}

struct metric_cell *metric_cell(enum metric_id id, const char *l1, const char *l2, const char *l3) {
    size_t n = label_count(id), slot;
    const char *l[METRIC_LABELS] = {n > 0 ? clean(l1) : "", n > 1 ? clean(l2) : "",
                                    n > 2 ? clean(l3) : ""};
    uint64_t hash = hash_labels(l);
    struct metric_cell *m = probe(id, hash, l, &slot);
    if (m)
        return m;
    pthread_mutex_lock(&insertion);
    m = probe(id, hash, l, &slot);
    if (!m && label_sets[id] >= LABEL_SETS) {
        for (size_t i = 0; i < n; i++)
            l[i] = "other";
        hash = hash_labels(l);
        m = probe(id, hash, l, &slot);
    }
    if (!m)
        m = insert(id, hash, l, slot);
    pthread_mutex_unlock(&insertion);
    return m;
}

void metric_cell_add(struct metric_cell *m, double by) {
    /* A counter never falls; a NaN would spoil a sum for good. */
    if (isnan(by) || (by < 0 && metric_rows[m->id].type == METRIC_COUNTER))
        return;
    add_to(&m->value, by);
}

void metric_cell_observe(struct metric_cell *m, double value) {
    if (isnan(value))
        return;
    struct metric_bounds b = metric_bounds(m->id);
    size_t i = 0;
    while (i < b.n && value > b.le[i])
        i++;
    if (i == b.n)
        i = METRIC_BUCKETS;
    atomic_fetch_add_explicit(&m->buckets[i], 1, memory_order_relaxed);
    add_to(&m->value, value);
}

void metric_add(enum metric_id id, double by, const char *l1, const char *l2, const char *l3) {
    metric_cell_add(metric_cell(id, l1, l2, l3), by);
}

void metric_set(enum metric_id id, double value, const char *l1, const char *l2, const char *l3) {
    atomic_store_explicit(&metric_cell(id, l1, l2, l3)->value, bits_of(value),
                          memory_order_relaxed);
}

void metric_observe(enum metric_id id, double value, const char *l1, const char *l2,
                    const char *l3) {
    metric_cell_observe(metric_cell(id, l1, l2, l3), value);
}

double metric_value(enum metric_id id, const char *l1, const char *l2, const char *l3) {
    struct metric_cell *m = metric_cell(id, l1, l2, l3);
    if (metric_rows[id].type != METRIC_HISTOGRAM)
        return metric_load(&m->value);
    uint64_t n = 0;
    for (size_t i = 0; i <= METRIC_BUCKETS; i++)
        n += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
    return (double)n;
}

const struct metric_cell *metric_next(enum metric_id id, size_t *cursor) {
    while (*cursor < SLOTS) {
        struct metric_cell *m = atomic_load_explicit(&table[id][(*cursor)++], memory_order_acquire);
        if (m)
            return m;
    }
    return NULL;
}
