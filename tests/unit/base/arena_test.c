/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/base/arena.h"

#include <stdint.h>
#include <stdlib.h>

#include "check.h"
#include "quern/base/buf.h"

static char order[16];
static size_t released;

static void note(void *object) {
    order[released++] = *(const char *)object;
}

static void allocations_are_zeroed_aligned_and_apart(void) {
    struct arena *a = arena_new();
    unsigned char *seen[400];
    size_t size[400], bad = 0;
    for (size_t i = 0; i < 400; i++) {
        size[i] = (i * 37) % 9000;
        seen[i] = arena_alloc(a, size[i]);
        if ((uintptr_t)seen[i] % 16)
            bad++;
        for (size_t k = 0; k < size[i]; k++)
            bad += seen[i][k] != 0;
        memset(seen[i], (int)(i % 251), size[i]);
    }
    for (size_t i = 0; i < 400; i++)
        for (size_t k = 0; k < size[i]; k++)
            bad += seen[i][k] != i % 251;
    CHECK_INT(bad, 0);
    size_t total = 0;
    for (size_t i = 0; i < 400; i++)
        total += size[i];
    CHECK_INT(arena_bytes(a), total);
    arena_free(a);
    arena_free(NULL);
}

static void large_allocation_leaves_the_current_block_in_use(void) {
    struct arena *a = arena_new();
    char *before = arena_strdup(a, "before");
    char *large = arena_alloc(a, 3u << 20);
    large[(3u << 20) - 1] = 1;
    char *after = arena_strdup(a, "after");
    CHECK_STR(before, "before");
    CHECK_STR(after, "after");
    arena_free(a);
}

static void strings(void) {
    struct arena *a = arena_new();
    CHECK(arena_strdup(a, NULL) == NULL);
    CHECK(arena_strndup(a, NULL, 3) == NULL);
    CHECK_STR(arena_strndup(a, "abcdef", 3), "abc");
    CHECK_STR(arena_strndup(a, "ab", 30), "ab");
    CHECK_STR(arena_printf(a, "%s-%d", "x", 7), "x-7");
    char *wide = arena_printf(a, "%5000d|", 1);
    CHECK_INT(strlen(wide), 5001);
    CHECK(memcmp(arena_dup(a, "a\0b", 3), "a\0b", 3) == 0);
    CHECK(arena_dup(a, NULL, 0) != NULL);
    arena_free(a);
}

static void arrays_grow(void) {
    struct arena *a = arena_new();
    int *items = NULL;
    size_t n = 0, cap = 0, moved = 0;
    for (int i = 0; i < 1000; i++) {
        int *before = items;
        items = arena_room(a, items, n, &cap, sizeof *items);
        CHECK(cap > n && items[n] == 0);
        moved += items != before;
        items[n++] = i;
    }
    for (int i = 0; i < 1000; i++)
        CHECK_INT(items[i], i);
    CHECK_INT(moved, 8); /* 8, 16, ..., 1024 */
    void *pushed = items;
    int *last = arena_push(a, &pushed, &n, &cap, sizeof *last);
    CHECK(last == (int *)pushed + 1000 && *last == 0 && n == 1001);
    arena_free(a);
}

static void deferred_in_reverse(void) {
    struct arena *a = arena_new();
    static char one = '1', two = '2', three = '3';
    arena_defer(a, note, &one);
    arena_defer(a, note, &two);
    arena_defer(a, note, &three);
    arena_free(a);
    CHECK_STR(order, "321");
}

static void buf_grows(void) {
    struct buf b = {0};
    buf_clear(&b);
    CHECK(b.data == NULL);
    for (int i = 0; i < 10000; i++)
        buf_putc(&b, (char)('a' + i % 26));
    CHECK_INT(b.len, 10000);
    CHECK_INT(b.data[b.len], 0);
    CHECK_INT(b.data[9999], 'a' + 9999 % 26);
    buf_clear(&b);
    buf_printf(&b, "%d,%s", 5, "x");
    buf_puts(&b, ";");
    buf_put(&b, "a\0b", 3);
    CHECK_INT(b.len, 7);
    CHECK_STR(b.data, "5,x;a");
    buf_printf(&b, "%*d", 3000, 1);
    CHECK_INT(b.len, 3007);
    CHECK_INT(b.data[3006], '1');
    buf_free(&b);
    CHECK(b.data == NULL && b.len == 0 && b.cap == 0);
}

int main(void) {
    RUN(allocations_are_zeroed_aligned_and_apart);
    RUN(large_allocation_leaves_the_current_block_in_use);
    RUN(strings);
    RUN(arrays_grow);
    RUN(deferred_in_reverse);
    RUN(buf_grows);
    return CHECK_END();
}
