/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/base/map.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "quern/base/arena.h"

static void *number(size_t n) {
    return (void *)(uintptr_t)n;
}

static void set_get_remove(void) {
    struct map *m = map_new();
    CHECK(map_get(m, "a") == NULL);
    CHECK(!map_has(m, "a"));
    CHECK(map_remove(m, "a") == NULL);
    CHECK(map_set(m, "a", number(1)) == NULL);
    CHECK(map_set(m, "a", number(2)) == number(1));
    CHECK(map_set(m, "", number(3)) == NULL);
    CHECK(map_set(m, "null", NULL) == NULL);
    CHECK(map_has(m, "null") && map_get(m, "null") == NULL);
    CHECK_INT(map_count(m), 3);
    CHECK(map_remove(m, "a") == number(2));
    CHECK(!map_has(m, "a"));
    CHECK(map_get(m, "") == number(3));
    CHECK_INT(map_count(m), 2);
    map_free(m, NULL);
    map_free(NULL, free);
}

static void many_with_holes_keep_their_order(void) {
    struct map *m = map_new();
    char key[32];
    size_t bad = 0;
    for (size_t i = 0; i < 20000; i++) {
        snprintf(key, sizeof key, "key-%zu", i);
        map_set(m, key, number(i + 1));
        if (i % 3 == 0)
            bad += map_remove(m, key) != number(i + 1);
    }
    for (size_t i = 0; i < 20000; i++) {
        snprintf(key, sizeof key, "key-%zu", i);
        bad += map_get(m, key) != (i % 3 ? number(i + 1) : NULL);
    }
    const char *k;
    void *v;
    size_t last = 0, seen = 0;
    for (size_t i = 0; map_next(m, &i, &k, &v);) {
        bad += (uintptr_t)v <= last;
        last = (uintptr_t)v;
        seen++;
    }
    CHECK_INT(bad, 0);
    CHECK_INT(seen, map_count(m));
    CHECK_INT(seen, 20000 - 6667);
    map_free(m, NULL);
}

static void one_key_set_and_removed_again_and_again(void) {
    struct map *m = map_new();
    for (size_t i = 0; i < 100000; i++) {
        map_set(m, "k", number(i + 1));
        map_remove(m, "k");
    }
    CHECK_INT(map_count(m), 0);
    map_free(m, NULL);
}

static void values_are_freed(void) {
    struct map *m = map_new();
    map_set(m, "a", mem_strdup("x"));
    map_set(m, "b", mem_strdup("y"));
    free(map_set(m, "b", mem_strdup("z")));
    map_free(m, free); /* a leak here fails the sanitizer's run */
    CHECK(true);
}

int main(void) {
    RUN(set_get_remove);
    RUN(many_with_holes_keep_their_order);
    RUN(one_key_set_and_removed_again_and_again);
    RUN(values_are_freed);
    return CHECK_END();
}
