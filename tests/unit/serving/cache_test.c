/* SPDX-License-Identifier: Apache-2.0 */
/* Answers kept within a budget: the digest, the store, the response cache, last good answers. */
#include "cache.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "check.h"
#include "lastgood.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/str.h"
#include "quern/base/thread.h"
#include "quern/core/ctx.h"
#include "siphash.h"
#include "tensor_pack.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HEAP_IS_TOLD 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define HEAP_IS_TOLD 1
#endif
#ifdef HEAP_IS_TOLD
size_t __sanitizer_get_current_allocated_bytes(void);
#endif

/* Without the address sanitizer allocators round up and keep what was freed: nothing to tell. */
static size_t heap_in_use(void) {
#ifdef HEAP_IS_TOLD
    return __sanitizer_get_current_allocated_bytes();
#else
    return 0;
#endif
}

/* The reference implementation's vectors: key 00 01 .. 0f, input 00 01 .. of that length. */
static void test_siphash(void) {
    static const struct {
        size_t n;
        const char *want;
    } vectors[] = {{0, "a3817f04ba25a8e66df67214c7550293"},
                   {1, "da87c1d86b99af44347659119b22fc45"},
                   {2, "8177228da4a45dc7fca38bdef60affe4"}};
    unsigned char key[16], input[256];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (unsigned char)i;
    for (size_t i = 0; i < sizeof input; i++)
        input[i] = (unsigned char)i;
    for (size_t i = 0; i < 3; i++) {
        struct siphash h;
        char hex[33];
        siphash_init(&h, key);
        siphash_add(&h, input, vectors[i].n);
        struct digest128 d = siphash_end(&h);
        hex_encode(&d, sizeof d, hex);
        CHECK_STR(hex, vectors[i].want);
    }
    /* However it is cut. */
    for (size_t n = 0; n < 40; n++) {
        struct siphash whole, parts;
        siphash_init(&whole, key);
        siphash_add(&whole, input, n);
        struct digest128 want = siphash_end(&whole);
        for (size_t cut = 0; cut <= n; cut++) {
            siphash_init(&parts, key);
            siphash_add(&parts, input, cut);
            siphash_add(&parts, input + cut, (n - cut) / 2);
            siphash_add(&parts, input + cut + (n - cut) / 2, n - cut - (n - cut) / 2);
            struct digest128 got = siphash_end(&parts);
            CHECK(got.lo == want.lo && got.hi == want.hi);
        }
    }
}

static float values[4096];
static struct bytes words[3] = {{"a", 1}, {"", 0}, {"b\0c", 3}};
static const char *const labels[] = {"no", "yes", NULL};

static struct tensor floats(const char *name, int64_t rows, int64_t width) {
    return (struct tensor){.name = name,
                           .dtype = DT_FP32,
                           .rank = 2,
                           .shape = {rows, width},
                           .count = (size_t)(rows * width),
                           .data = values};
}

static void test_pack(void) {
    struct ctx c;
    ctx_begin(&c);
    struct tensor t[3] = {floats("p", 2, 2),
                          {.name = "words", .dtype = DT_BYTES, .rank = 1, .shape = {3}, .count = 3},
                          {.name = "scalar", .dtype = DT_BOOL, .rank = 0, .count = 1}};
    char yes = 1;
    values[3] = 0.25F;
    t[0].classes = labels;
    t[1].data = words;
    t[2].data = &yes;
    size_t n = tensor_packed(t, 3), back;
    char *packed = mem_alloc(n);
    tensor_pack(t, 3, packed);
    struct tensor *u = tensor_unpack(c.arena, packed, &back);
    free(packed);
    CHECK_INT(back, 3);
    CHECK_STR(u[0].name, "p");
    CHECK_INT(u[0].shape[1], 2);
    CHECK_NEAR(((float *)u[0].data)[3], 0.25, 0);
    CHECK_STR(u[0].classes[1], "yes");
    CHECK(u[0].classes[2] == NULL);
    CHECK(u[1].classes == NULL);
    const struct bytes *w = u[1].data;
    CHECK(w[0].len == 1 && w[1].len == 0 && w[2].len == 3 && memcmp(w[2].data, "b\0c", 3) == 0);
    CHECK_INT(u[2].rank, 0);
    CHECK_INT(*(char *)u[2].data, 1);
    ctx_end(&c);
}

static bool same(struct digest128 a, struct digest128 b) {
    return a.lo == b.lo && a.hi == b.hi;
}

static void test_key(void) {
    static const char *const only_y[] = {"y", NULL}, *const xy[] = {"x", "y", NULL};
    struct tensor x = floats("x", 2, 3);
    struct digest128 base = cache_digest("m", "1", &x, 1, NULL);
    CHECK(same(base, cache_digest("m", "1", &x, 1, NULL)));
    CHECK(!same(base, cache_digest("n", "1", &x, 1, NULL)));
    CHECK(!same(base, cache_digest("m", "2", &x, 1, NULL)));
    CHECK(!same(base, cache_digest("m1", "", &x, 1, NULL)));
    CHECK(!same(base, cache_digest("m", "1", &x, 1, only_y)));
    CHECK(!same(cache_digest("m", "1", &x, 1, xy), cache_digest("m", "1", &x, 1, only_y)));
    struct tensor y = x;
    y.name = "y";
    CHECK(!same(base, cache_digest("m", "1", &y, 1, NULL)));
    y = x;
    y.dtype = DT_INT32; /* the same bytes */
    CHECK(!same(base, cache_digest("m", "1", &y, 1, NULL)));
    y = floats("x", 3, 2);
    CHECK(!same(base, cache_digest("m", "1", &y, 1, NULL)));
    values[5] = 1;
    CHECK(!same(base, cache_digest("m", "1", &x, 1, NULL)));
    values[5] = 0;
    CHECK(same(base, cache_digest("m", "1", &x, 1, NULL)));
    /* Strings whose bytes side by side are the same. */
    struct bytes one[2] = {{"ab", 2}, {"c", 1}}, two[2] = {{"a", 1}, {"bc", 2}};
    struct tensor s = {
        .name = "s", .dtype = DT_BYTES, .rank = 1, .shape = {2}, .count = 2, .data = one};
    struct digest128 first = cache_digest("m", "1", &s, 1, NULL);
    s.data = two;
    CHECK(!same(first, cache_digest("m", "1", &s, 1, NULL)));
}

static void test_cache(void) {
    struct ctx c;
    struct tensor *out = NULL;
    size_t nout = 0;
    ctx_begin(&c);
    struct cache *k = cache_new(1 << 20, 60);
    struct tensor x = floats("x", 1, 4), y = floats("y", 1, 2);
    struct digest128 key = cache_digest("m", "1", &x, 1, NULL);
    CHECK(!cache_get(k, &c, key, &out, &nout));
    cache_put(k, key, &y, 1);
    CHECK(cache_get(k, &c, key, &out, &nout));
    CHECK_INT(nout, 1);
    CHECK_STR(out[0].name, "y");
    CHECK(out[0].data != y.data);
    struct answers_figures f = cache_figures(k);
    CHECK_INT(f.hits, 1);
    CHECK_INT(f.misses, 1);
    CHECK_INT(f.items, 1);
    clock_sleep_ms(70); /* past its time */
    CHECK(!cache_get(k, &c, key, &out, &nout));
    f = cache_figures(k);
    CHECK_INT(f.expired, 1);
    CHECK_INT(f.misses, 2);
    CHECK_INT(f.items, 0);
    cache_unref(k);
    ctx_end(&c);
}

static struct digest128 key_of(uint64_t n) {
    struct siphash h;
    unsigned char key[16] = {0};
    siphash_init(&h, key);
    siphash_number(&h, n);
    return siphash_end(&h);
}

/* What the heap gained is never more than the budget, and what is counted is what it gained. */
static void budget(size_t bytes, int64_t width_most) {
    size_t before = heap_in_use();
    struct answers *s = answers_new(bytes);
    size_t most = 0, slack = 0;
    for (uint64_t i = 0; i < 3000; i++) {
        struct tensor y = floats("y", 1, 1 + (int64_t)(i * 7919 % (uint64_t)width_most));
        struct kept_answer kept = {.outputs = &y, .n = 1, .arm = "main", .version = "3"};
        answers_put(s, key_of(i % 2500), &kept);
        size_t now = heap_in_use() - before;
        most = now > most ? now : most;
        size_t counted = answers_figures(s).bytes;
        CHECK(counted <= bytes);
        slack = now > counted + slack ? now - counted : slack;
    }
    struct answers_figures f = answers_figures(s);
    printf("     budget %zu: at most %zu bytes of heap, %zu items, %llu evicted\n", bytes, most,
           f.items, (unsigned long long)f.evicted);
    CHECK(most <= bytes);
    CHECK_INT(slack, 0); /* nothing escapes the count */
    CHECK(f.items > 0);
    CHECK(f.evicted > 0);
    CHECK(f.bytes > bytes / 3); /* and the budget is made use of */
    answers_clear(s);
    CHECK_INT(answers_figures(s).items, 0);
    answers_free(s);
    CHECK_INT(heap_in_use() - before, 0);
}

static void test_budget(void) {
    budget(64 << 10, 64);
    budget(512 << 10, 4000);
    budget(1 << 20, 1000);
    budget(4 << 20, 4000);
}

static void test_least_recent_goes(void) {
    struct ctx c;
    ctx_begin(&c);
    struct answers *s = answers_new(64 << 10);
    struct tensor y = floats("y", 1, 1000);
    struct kept_answer kept = {.outputs = &y, .n = 1}, got;
    uint64_t i = 0;
    for (; answers_figures(s).evicted == 0; i++) {
        answers_put(s, key_of(i), &kept);
        CHECK(answers_get(s, key_of(0), 0, c.arena, &got)); /* in use all the time */
    }
    CHECK(!answers_get(s, key_of(1), 0, c.arena, &got)); /* the one that was not, longest */
    CHECK(answers_get(s, key_of(2), 0, c.arena, &got));
    /* One larger than the store leaves what is there, but never an older answer of its key. */
    struct tensor large = {.name = "y",
                           .dtype = DT_UINT8,
                           .rank = 1,
                           .shape = {100000},
                           .count = 100000,
                           .data = mem_alloc(100000)};
    struct kept_answer no = {.outputs = &large, .n = 1};
    CHECK(!answers_put(s, key_of(2), &no));
    CHECK(!answers_get(s, key_of(2), 0, c.arena, &got));
    CHECK(answers_get(s, key_of(0), 0, c.arena, &got));
    CHECK_INT(answers_figures(s).refused, 1);
    free(large.data);
    answers_free(s);
    struct answers *none = answers_new(0); /* keeps nothing, breaks nothing */
    CHECK(!answers_put(none, key_of(1), &kept));
    CHECK(!answers_get(none, key_of(1), 0, c.arena, &got));
    answers_free(none);
    ctx_end(&c);
}

static void test_last_good(void) {
    static const char *const only_y[] = {"y", NULL};
    struct ctx c;
    ctx_begin(&c);
    struct lastgood *l = lastgood_new(1 << 20);
    struct tensor y = floats("y", 2, 1);
    struct kept_answer kept = {.outputs = &y, .n = 1, .arm = "b", .version = "12"}, got;
    CHECK(!lastgood_get(l, &c, "customer 7", NULL, 2, 0, &got));
    lastgood_put(l, "customer 7", NULL, &kept);
    CHECK(lastgood_get(l, &c, "customer 7", NULL, 2, 0, &got));
    CHECK_STR(got.arm, "b");
    CHECK_STR(got.version, "12");
    CHECK(got.age_ns >= 0);
    CHECK(!lastgood_get(l, &c, "customer 8", NULL, 2, 0, &got));
    CHECK(!lastgood_get(l, &c, "customer 7", NULL, 1, 0, &got)); /* other rows */
    CHECK(!lastgood_get(l, &c, "customer 7", only_y, 2, 0, &got));
    clock_sleep_ms(20);
    CHECK(lastgood_get(l, &c, "customer 7", NULL, 2, 60000, &got));
    CHECK(!lastgood_get(l, &c, "customer 7", NULL, 2, 10, &got));
    lastgood_unref(l);
    ctx_end(&c);
}

/* Threads that put and get the same few keys; every answer that comes back is whole. */
static struct answers *shared;
static atomic_int torn;
static void share(void *arg) {
    uint64_t seed = *(uint64_t *)arg;
    float own[300];
    for (int i = 0; i < 3000; i++) {
        struct ctx c;
        ctx_begin(&c);
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint64_t key = (seed >> 33) % 60;
        struct kept_answer got;
        if (answers_get(shared, key_of(key), 0, c.arena, &got)) {
            for (size_t k = 0; k < got.outputs[0].count; k++)
                if (((float *)got.outputs[0].data)[k] != (float)key)
                    atomic_fetch_add(&torn, 1);
        } else {
            struct tensor y = floats("y", 1, 1 + (int64_t)((seed >> 40) % 300));
            for (size_t k = 0; k < y.count; k++)
                own[k] = (float)key;
            y.data = own;
            struct kept_answer kept = {.outputs = &y, .n = 1};
            answers_put(shared, key_of(key), &kept);
        }
        ctx_end(&c);
    }
}

static void test_shared(void) {
    struct thread *threads[4];
    uint64_t seeds[4] = {1, 2, 3, 4};
    shared = answers_new(24 << 10);
    for (size_t i = 0; i < 4; i++)
        threads[i] = thread_start("share", share, &seeds[i]);
    for (size_t i = 0; i < 4; i++)
        thread_join(threads[i]);
    struct answers_figures f = answers_figures(shared);
    CHECK_INT(atomic_load(&torn), 0);
    CHECK_INT(f.hits + f.misses, 12000);
    CHECK_INT(f.put + f.refused, f.misses);
    CHECK(f.evicted > 0);
    CHECK(f.hits > 1000);
    answers_free(shared);
}

int main(void) {
    RUN(test_siphash);
    RUN(test_pack);
    RUN(test_key);
    RUN(test_cache);
    RUN(test_budget);
    RUN(test_least_recent_goes);
    RUN(test_last_good);
    RUN(test_shared);
    return CHECK_END();
}
