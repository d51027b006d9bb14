/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a connection through the strict layer, whole and in pieces: both ways must release the
 * same bytes and come to the same end, and a checked target must split. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "strict.h"
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Feeds as wire.c does: what was not released comes again with more behind it. */
static void feed(struct strict *s, const uint8_t *data, size_t size, size_t piece,
                 struct buf *released) {
    char *held = malloc(size + 1);
    size_t n = 0;
    for (size_t at = 0; at < size && !s->refuse;) {
        size_t take = piece < size - at ? piece : size - at;
        memcpy(held + n, data + at, take);
        n += take;
        at += take;
        size_t out = strict_feed(s, held, n);
        if (out > n)
            abort();
        buf_put(released, held, out);
        memmove(held, held + out, n - out);
        n -= out;
    }
    if (s->refuse) {
        size_t len = 0;
        if (!strict_stand_in(s, &len) || !s->why || !s->reason || s->refuse < 400)
            abort();
    }
    free(held);
}

static void whole_and_in_pieces(const uint8_t *data, size_t size, size_t piece) {
    struct strict one = {0}, two = {0};
    struct buf a = {0}, b = {0};
    feed(&one, data, size, size, &a);
    feed(&two, data, size, piece, &b);
    /* In pieces a violation may be seen before bytes behind it came, never the other way round. */
    if (one.refuse != two.refuse || a.len != b.len || (a.len && memcmp(a.data, b.data, a.len) != 0))
        abort();
    buf_free(&a);
    buf_free(&b);
}

static void target(const uint8_t *data, size_t size) {
    struct arena *arena = arena_new();
    char *text = arena_strndup(arena, (const char *)data, size);
    size_t n = strlen(text);
    if (!target_check(text, n)) {
        size_t path = strcspn(text, "?");
        struct segment segments[TARGET_SEGMENTS_MAX];
        int count = target_segments(arena, text, path, segments, TARGET_SEGMENTS_MAX);
        for (int i = 0; i < count; i++)
            if (strlen(segments[i].text) != segments[i].len || strchr(segments[i].text, '/') ||
                strcmp(segments[i].text, "..") == 0 || strcmp(segments[i].text, ".") == 0)
                abort();
        struct pairs query = {0};
        target_query(arena, text[path] ? text + path + 1 : "", &query);
        for (size_t i = 0; i < query.n; i++)
            if (!query.items[i].key || !query.items[i].value)
                abort();
    }
    arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    whole_and_in_pieces(data + 1, size - 1, (size_t)(data[0] % 17) + 1);
    target(data + 1, size - 1);
    return 0;
}
