/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of points: round trips of random and hostile series, sizes, damage. */
#include "metric_block.h"

#include <float.h>
#include <stdlib.h>

#include "check.h"
#include "metric_store.h"
#include "quern/base/buf.h"

static uint64_t seed = 7;
static uint64_t draw(void) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return seed >> 11;
}

static double unit(void) {
    return (double)draw() / 9007199254740992.0;
}

static double any_double(void) {
    double v;
    uint64_t bits;
    do {
        bits = draw() << 32 ^ draw();
        memcpy(&v, &bits, sizeof v);
    } while (!isfinite(v));
    return v == 0 ? 0 : v;
}

enum kind { REGULAR, JITTER, FLOATS, CONSTANT, HOSTILE, EXTREMES, KINDS };

static struct point make(enum kind kind, int64_t i) {
    struct point p = {.time_ms = 1700000000000 + i * 250, .step = i, .value = unit()};
    switch (kind) {
    case JITTER:
        p.time_ms += (int64_t)(draw() % 100);
        break;
    case FLOATS:
        p.value = (double)(float)(1.0 / (double)(i + 1) + 0.01 * unit());
        break;
    case CONSTANT:
        p.value = 0.1;
        break;
    case HOSTILE:
        p.time_ms = (int64_t)(draw() << 32 ^ draw());
        p.step = (int64_t)(draw() << 32 ^ draw());
        p.value = any_double();
        if (draw() % 5 == 0)
            p = (struct point){.time_ms = p.time_ms, .step = p.step, .is_nan = 1};
        break;
    case EXTREMES: {
        static const int64_t whole[] = {INT64_MIN, -1, 0, 1, INT64_MAX, 255, 256, -256, 65536};
        static const double real[] = {DBL_MAX, -DBL_MAX, DBL_MIN, DBL_TRUE_MIN, 0, 1, -1};
        p.time_ms = whole[draw() % 9];
        p.step = whole[draw() % 9];
        p.value = real[draw() % 7];
        break;
    }
    default:
        break;
    }
    return p;
}

static bool same(const struct point *a, const struct point *b) {
    return a->time_ms == b->time_ms && a->step == b->step && a->is_nan == b->is_nan &&
           memcmp(&a->value, &b->value, sizeof a->value) == 0;
}

static void round_trips(void) {
    for (int kind = 0; kind < KINDS; kind++)
        for (int round = 0; round < 50; round++) {
            struct points in = {0}, out = {0};
            struct buf data = {0}, again = {0};
            struct block_state s = {0}, t = {0};
            size_t n = draw() % 600;
            for (size_t i = 0; i < n; i++) {
                struct point p = make((enum kind)kind, (int64_t)i);
                points_add(&in, &p);
                block_put(&data, &s, &p);
            }
            REQUIRE(block_get(data.data, data.len, &out, &t));
            CHECK_INT(out.n, n);
            size_t bad = 0;
            for (size_t i = 0; i < n && i < out.n; i++)
                bad += !same(&in.items[i], &out.items[i]);
            CHECK_INT(bad, 0);
            CHECK(memcmp(&s, &t, sizeof s) == 0);
            /* Half, decoded, and the rest put behind it: the same bytes. */
            size_t half = n / 2;
            s = (struct block_state){0};
            for (size_t i = 0; i < half; i++)
                block_put(&again, &s, &in.items[i]);
            out.n = 0;
            REQUIRE(block_get(again.data, again.len, &out, &t));
            for (size_t i = half; i < n; i++)
                block_put(&again, &t, &in.items[i]);
            CHECK_INT(again.len, data.len);
            CHECK(n == 0 || memcmp(again.data, data.data, data.len) == 0);
            points_free(&in);
            points_free(&out);
            buf_free(&data);
            buf_free(&again);
        }
}

static double size_of(enum kind kind) {
    struct buf data = {0};
    struct block_state s = {0};
    for (int i = 0; i < 400; i++) {
        struct point p = make(kind, i);
        block_put(&data, &s, &p);
    }
    double bytes = (double)data.len / 400;
    buf_free(&data);
    return bytes;
}

/* Times and steps of a random series may cost two bytes at most. */
static void sizes(void) {
    printf("bytes a point: regular %.2f, jitter %.2f, floats %.2f, constant %.2f, hostile %.2f\n",
           size_of(REGULAR), size_of(JITTER), size_of(FLOATS), size_of(CONSTANT), size_of(HOSTILE));
    CHECK(size_of(REGULAR) < 9.1);
    CHECK(size_of(JITTER) < 10.1);
    CHECK(size_of(FLOATS) < 6);
    CHECK(size_of(CONSTANT) < 1.1);
    CHECK(size_of(HOSTILE) < 30);
}

static void damage(void) {
    struct buf data = {0};
    struct block_state s = {0};
    struct points out = {0};
    for (int i = 0; i < 300; i++) {
        struct point p = make(i % 2 ? HOSTILE : JITTER, i);
        block_put(&data, &s, &p);
    }
    int64_t digest = block_digest(data.data, data.len);
    size_t unseen = 0, refused = 0;
    for (size_t at = 0; at < data.len; at++)
        for (int bit = 0; bit < 8; bit++) {
            data.data[at] = (char)(data.data[at] ^ (1 << bit));
            unseen += block_digest(data.data, data.len) == digest;
            out.n = 0;
            refused += !block_get(data.data, data.len, &out, NULL);
            CHECK(out.n <= data.len);
            data.data[at] = (char)(data.data[at] ^ (1 << bit));
        }
    CHECK_INT(unseen, 0);
    CHECK(refused > 0);
    for (size_t n = 0; n < data.len; n++) {
        char *cut = malloc(n + 1); /* so that a step beyond the end is seen */
        memcpy(cut, data.data, n);
        out.n = 0;
        block_get(cut, n, &out, NULL);
        CHECK(block_digest(cut, n) != digest);
        free(cut);
    }
    static const char form[] = {2, 0},
                      varint[] = "\1\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x1";
    CHECK(!block_get(form, sizeof form, &out, NULL));
    CHECK(!block_get(varint, sizeof varint - 1, &out, NULL));
    CHECK(block_get("", 0, &out, NULL));
    points_free(&out);
    buf_free(&data);
}

static void order(void) {
    struct points p = {0};
    for (int i = 0; i < 1000; i++) {
        struct point one = {.time_ms = (int64_t)(draw() % 5),
                            .step = (int64_t)(draw() % 3) - 1,
                            .value = (double)(draw() % 3),
                            .is_nan = 0};
        if (one.value == 0)
            one.is_nan = (int64_t)(draw() % 2);
        points_add(&p, &one);
    }
    points_sort(&p);
    points_unique(&p);
    CHECK_INT(p.n, 5 * 3 * 4);
    for (size_t i = 1; i < p.n; i++)
        CHECK(point_order(&p.items[i - 1], &p.items[i]) < 0);
    points_free(&p);
}

int main(void) {
    RUN(round_trips);
    RUN(sizes);
    RUN(damage);
    RUN(order);
    return CHECK_END();
}
