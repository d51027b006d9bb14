/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/base/map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/id.h"

/* Entries in order of insertion, and an open-addressed table of indices into them. A removed entry
 * leaves a hole (key NULL) until the next rebuild. */
struct entry {
    char *key;
    void *value;
    uint64_t hash;
};

struct map {
    struct entry *entries;
    size_t used, cap, live;
    uint32_t *slots; /* 0: never used, 1: deleted, else index + 2 */
    size_t nslots;   /* a power of two */
    uint64_t seed;
};

/* SipHash-1-3 is not needed here: a random seed mixed into every step of FNV-1a with a final
 * avalanche keeps chosen keys from lining up. */
static uint64_t hash_key(const struct map *m, const char *key) {
    uint64_t h = m->seed ^ 0xcbf29ce484222325u;
    for (const unsigned char *p = (const unsigned char *)key; *p; p++) {
        h = (h ^ *p) * 0x100000001b3u;
        h ^= (h >> 29) ^ m->seed;
    }
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdu;
    return h ^ (h >> 33);
}

struct map *map_new(void) {
    struct map *m = mem_alloc(sizeof *m);
    id_random(&m->seed, sizeof m->seed);
    return m;
}

void map_free(struct map *m, void (*free_value)(void *)) {
    if (!m)
        return;
    for (size_t i = 0; i < m->used; i++) {
        if (!m->entries[i].key)
            continue;
        if (free_value)
            free_value(m->entries[i].value);
        free(m->entries[i].key);
    }
    free(m->entries);
    free(m->slots);
    free(m);
}

static size_t find_slot(const struct map *m, const char *key, uint64_t hash) {
    if (!m->nslots)
        return SIZE_MAX;
    size_t mask = m->nslots - 1;
    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        uint32_t s = m->slots[i];
        if (s == 0)
            return SIZE_MAX;
        if (s == 1)
            continue;
        const struct entry *e = &m->entries[s - 2];
        if (e->hash == hash && strcmp(e->key, key) == 0)
            return i;
    }
}

static void put_slot(struct map *m, uint64_t hash, size_t index) {
    size_t mask = m->nslots - 1, i = (size_t)hash & mask;
    while (m->slots[i] > 1)
        i = (i + 1) & mask;
    m->slots[i] = (uint32_t)(index + 2);
}

static void rebuild(struct map *m) {
    size_t cap = m->live < 8 ? 16 : m->live * 2;
    if (cap > UINT32_MAX / 4)
        mem_die();
    struct entry *entries = mem_alloc(cap * sizeof *entries);
    size_t n = 0;
    for (size_t i = 0; i < m->used; i++)
        if (m->entries[i].key)
            entries[n++] = m->entries[i];
    free(m->entries);
    m->entries = entries;
    m->used = n;
    m->cap = cap;
    /* Slots are at least twice the entries that fit before the next rebuild, so a search ends. */
    m->nslots = 16;
    while (m->nslots < cap * 2)
        m->nslots *= 2;
    free(m->slots);
    m->slots = mem_alloc(m->nslots * sizeof *m->slots);
    for (size_t i = 0; i < n; i++)
        put_slot(m, m->entries[i].hash, i);
}

bool map_has(const struct map *m, const char *key) {
    return find_slot(m, key, hash_key(m, key)) != SIZE_MAX;
}

void *map_get(const struct map *m, const char *key) {
    size_t s = find_slot(m, key, hash_key(m, key));
    return s == SIZE_MAX ? NULL : m->entries[m->slots[s] - 2].value;
}

void *map_set(struct map *m, const char *key, void *value) {
    uint64_t hash = hash_key(m, key);
    size_t s = find_slot(m, key, hash);
    if (s != SIZE_MAX) {
        struct entry *e = &m->entries[m->slots[s] - 2];
        void *old = e->value;
        e->value = value;
        return old;
    }
    if (m->used == m->cap)
        rebuild(m);
    m->entries[m->used] = (struct entry){.key = mem_strdup(key), .value = value, .hash = hash};
    put_slot(m, hash, m->used);
    m->used++;
    m->live++;
    return NULL;
}

void *map_remove(struct map *m, const char *key) {
    size_t s = find_slot(m, key, hash_key(m, key));
    if (s == SIZE_MAX)
        return NULL;
    struct entry *e = &m->entries[m->slots[s] - 2];
    void *old = e->value;
    free(e->key);
    *e = (struct entry){0};
    m->slots[s] = 1;
    m->live--;
    return old;
}

size_t map_count(const struct map *m) {
    return m->live;
}

bool map_next(const struct map *m, size_t *cursor, const char **key, void **value) {
    while (*cursor < m->used) {
        const struct entry *e = &m->entries[(*cursor)++];
        if (!e->key)
            continue;
        if (key)
            *key = e->key;
        if (value)
            *value = e->value;
        return true;
    }
    return false;
}
