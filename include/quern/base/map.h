/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_BASE_MAP_H
#define QUERN_BASE_MAP_H
/* Map: string keys to pointers, on the heap, insertion order kept for iteration. Keys are copied.
 * Not thread-safe. */
#include <stdbool.h>
#include <stddef.h>

struct map;

struct map *map_new(void);
void map_free(struct map *m, void (*free_value)(void *)); /* free_value may be NULL */
void *map_get(const struct map *m, const char *key);      /* NULL when absent */
bool map_has(const struct map *m, const char *key);
void *map_set(struct map *m, const char *key, void *value); /* returns the value replaced */
void *map_remove(struct map *m, const char *key);
size_t map_count(const struct map *m);
/* Iterate: for (size_t i = 0; map_next(m, &i, &key, &value);) — the map must not change. */
bool map_next(const struct map *m, size_t *cursor, const char **key, void **value);

#endif
