/* SPDX-License-Identifier: Apache-2.0 */
/* Series on disk against a plain sorted list: random inserts in and out of order, duplicates across
 * tail, blocks and rows of older versions, slices, packing, refused writes. */
#include "metric_series.h"

#include "entity.h"
#include "fixture.h"
#include "metric_interval.h"
#include "metric_sample.h"
#include "metric_view.h"

static uint64_t seed = 11;
static uint64_t draw(void) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return seed >> 33;
}

/* ------------------------------------------------------------------ the plain model */

static struct points model;

static void model_add(const struct points *p) {
    for (size_t i = 0; i < p->n; i++)
        points_add(&model, &p->items[i]);
    points_sort(&model);
    points_unique(&model);
}

struct job {
    struct points points;
    int64_t skip, take, packed;
    bool refuse;
    struct points out;
    size_t segments;
    int64_t total;
};

static int add_op(struct ctx *c, void *arg) {
    struct job *j = arg;
    struct points copy = {0};
    for (size_t i = 0; i < j->points.n; i++)
        points_add(&copy, &j->points.items[i]);
    int rc = series_add(c, 1, 1, &copy);
    points_free(&copy);
    return rc || !j->refuse ? rc : fail(c, ERR_INVALID, "refused");
}

static int row_op(struct ctx *c, void *arg) {
    struct job *j = arg;
    int rc = 0;
    for (size_t i = 0; rc >= 0 && i < j->points.n; i++)
        rc = db_exec(c, "INSERT INTO metric_point VALUES (1, 1, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                     "iidi", j->points.items[i].time_ms, j->points.items[i].step,
                     j->points.items[i].value, j->points.items[i].is_nan);
    return rc < 0 ? rc : 0;
}

static int pack_op(struct ctx *c, void *arg) {
    struct job *j = arg;
    j->packed = series_pack_rows(c, j->take);
    return j->packed < 0 ? (int)j->packed : 0;
}

static int write_job(db_op *op, struct job *j) {
    struct ctx c;
    ctx_begin(&c);
    int rc = db_write(fx_db, &c, op, j);
    if (rc && !j->refuse)
        printf("write: %s\n", c.err.message);
    ctx_end(&c);
    return rc;
}

static int slice(struct job *j) {
    struct ctx c;
    struct view v;
    ctx_begin(&c);
    int rc = db_read_begin(fx_db, &c);
    if (!rc) {
        j->out.n = 0;
        rc = view_open(&c, 1, 1, &v);
        if (!rc)
            rc = view_slice(&c, &v, j->skip, j->take, &j->out);
        j->segments = v.n;
        j->total = v.points;
        db_read_end(&c);
    }
    if (rc)
        printf("slice: %s\n", c.err.message);
    ctx_end(&c);
    return rc;
}

static void compare(struct job *j, int64_t skip, int64_t take) {
    j->skip = skip;
    j->take = take;
    REQUIRE(slice(j) == 0);
    int64_t left = (int64_t)model.n > skip ? (int64_t)model.n - skip : 0;
    CHECK_INT(j->out.n, left < take ? left : take);
    CHECK_INT(j->total, model.n);
    size_t bad = 0;
    for (size_t i = 0; i < j->out.n && i + (size_t)skip < model.n; i++)
        bad += point_order(&j->out.items[i], &model.items[i + (size_t)skip]) != 0;
    CHECK_INT(bad, 0);
}

/* ------------------------------------------------------------------ samples */

static bool sample_by_time;

static int by_axis(const void *a, const void *b) {
    const struct point *x = a, *y = b;
    if (!sample_by_time && x->step != y->step)
        return x->step < y->step ? -1 : 1;
    return point_order(x, y);
}

static int64_t place(const struct point *p) {
    return sample_by_time ? p->time_ms : p->step;
}

/* First, last, least and greatest of each bucket, straight from the definition. */
static void plain_m4(const struct points *p, size_t buckets, struct points *out) {
    uint64_t from = (uint64_t)place(&p->items[0]);
    uint64_t width = ((uint64_t)place(&p->items[p->n - 1]) - from) / buckets + 1;
    for (size_t i = 0; i < p->n;) {
        size_t end = i, least = SIZE_MAX, most = SIZE_MAX;
        uint64_t k = ((uint64_t)place(&p->items[i]) - from) / width;
        for (; end < p->n && ((uint64_t)place(&p->items[end]) - from) / width == k; end++) {
            if (p->items[end].is_nan)
                continue;
            if (least == SIZE_MAX || p->items[end].value < p->items[least].value)
                least = end;
            if (most == SIZE_MAX || p->items[end].value > p->items[most].value)
                most = end;
        }
        points_add(out, &p->items[i]);
        points_add(out, &p->items[end - 1]);
        if (least != SIZE_MAX) {
            points_add(out, &p->items[least]);
            points_add(out, &p->items[most]);
        }
        i = end;
    }
}

static bool among(const struct points *p, const struct point *one) {
    for (size_t i = 0; i < p->n; i++)
        if (point_order(&p->items[i], one) == 0)
            return true;
    return false;
}

/* The same buckets have the same ends and the same extremes; equal values may be other points. */
static void check_m4(const struct points *window, const struct sample *s, size_t most) {
    struct points want = {0}, got = {0};
    size_t buckets = most / 4, bad = 0;
    plain_m4(window, buckets, &want);
    plain_m4(&s->points, buckets, &got);
    CHECK_INT(got.n, want.n);
    for (size_t i = 0; i < got.n && i < want.n; i++)
        bad += i % 4 < 2 ? point_order(&got.items[i], &want.items[i]) != 0
                         : got.items[i].value != want.items[i].value;
    for (size_t i = 0; i < s->points.n; i++)
        bad += !among(window, &s->points.items[i]);
    CHECK_INT(bad, 0);
    CHECK(s->points.n <= buckets * 4);
    points_free(&want);
    points_free(&got);
}

static void check_lttb(const struct points *window, const struct sample *s, size_t most) {
    size_t bad = 0, valued = 0;
    const struct point *first = NULL, *last = NULL;
    for (size_t i = 0; i < window->n; i++)
        if (!window->items[i].is_nan) {
            first = first ? first : &window->items[i];
            last = &window->items[i];
            valued++;
        }
    CHECK(s->points.n <= most);
    CHECK(s->points.n >= (valued < 2 ? valued : 2));
    for (size_t i = 0; i < s->points.n; i++)
        bad += s->points.items[i].is_nan || !among(window, &s->points.items[i]) ||
               (i > 0 && by_axis(&s->points.items[i - 1], &s->points.items[i]) >= 0);
    CHECK_INT(bad, 0);
    if (!first || s->points.n == 0)
        return;
    CHECK(point_order(&s->points.items[0], first) == 0);
    CHECK(point_order(&s->points.items[s->points.n - 1], last) == 0);
}

static void sample_one(struct ctx *c, const struct view *v, bool lttb) {
    size_t most = 4 + draw() % 200;
    struct points window = {0};
    struct sample s = {
        .by_time = sample_by_time, .lttb = lttb, .from = INT64_MIN, .to = INT64_MAX, .most = most};
    if (draw() % 2) {
        int64_t a = place(&model.items[draw() % model.n]),
                b = place(&model.items[draw() % model.n]);
        s.from = a < b ? a : b;
        s.to = a < b ? b : a;
    }
    for (size_t i = 0; i < model.n; i++)
        if (place(&model.items[i]) >= s.from && place(&model.items[i]) <= s.to)
            points_add(&window, &model.items[i]);
    qsort(window.items, window.n, sizeof *window.items, by_axis);
    int64_t from = s.from, to = s.to;
    CHECK_INT(sample_read(c, v, &s), 0);
    CHECK_INT(s.total, window.n);
    bool whole = window.n <= most, bounded = from != INT64_MIN || to != INT64_MAX;
    if (whole) {
        CHECK_INT(s.points.n, window.n);
        for (size_t i = 0; i < s.points.n && i < window.n; i++)
            CHECK(point_order(&s.points.items[i], &window.items[i]) == 0);
    } else if (lttb) {
        check_lttb(&window, &s, most);
    } else if (bounded ? place(&window.items[0]) == from && place(&window.items[window.n - 1]) == to
                       : true) {
        check_m4(&window, &s, most);
    }
    points_free(&window);
}

static void samples(void) {
    struct ctx c;
    struct view v;
    ctx_begin(&c);
    REQUIRE(db_read_begin(fx_db, &c) == 0);
    REQUIRE(view_open(&c, 1, 1, &v) == 0);
    for (int i = 0; i < 24; i++) {
        sample_by_time = i % 2;
        sample_one(&c, &v, i % 3 == 2);
    }
    db_read_end(&c);
    ctx_end(&c);
}

/* ------------------------------------------------------------------ intervals */

static int by_step(const void *a, const void *b) {
    const struct point *x = a, *y = b;
    return x->step != y->step ? (x->step < y->step ? -1 : 1) : point_order(x, y);
}

static void intervals(void) {
    struct ctx c;
    struct points sorted = {0}, want = {0};
    struct list got = {0};
    ctx_begin(&c);
    REQUIRE(db_read_begin(fx_db, &c) == 0);
    struct interval_series one = {.run_id = "r"};
    REQUIRE(view_open(&c, 1, 1, &one.view) == 0);
    size_t most = 1 + draw() % 100;
    struct interval w = {
        .from = INT64_MIN, .to = INT64_MAX, .steps = most, .most = 25000, .series = &one, .n = 1};
    for (size_t i = 0; i < model.n; i++)
        points_add(&sorted, &model.items[i]);
    qsort(sorted.items, sorted.n, sizeof *sorted.items, by_step);
    int64_t *steps = ARENA_ARRAY(c.arena, int64_t, sorted.n);
    size_t n = 0;
    for (size_t i = 0; i < sorted.n; i++)
        if (n == 0 || steps[n - 1] != sorted.items[i].step)
            steps[n++] = sorted.items[i].step;
    for (size_t i = 0; i < sorted.n; i++) {
        bool kept =
            n <= most || sorted.items[i].step == steps[n - 1] || sorted.items[i].step == steps[0];
        for (size_t k = 0; k < most && !kept; k++)
            kept = sorted.items[i].step == steps[k * n / most];
        if (kept)
            points_add(&want, &sorted.items[i]);
    }
    CHECK_INT(interval_read(&c, &w, "key", &got), 0);
    CHECK_INT(got.n, want.n < 25000 ? want.n : 25000);
    size_t bad = 0;
    const struct metric_value *m = got.items;
    for (size_t i = 0; i < got.n && i < want.n; i++)
        bad += m[i].step.v != want.items[i].step || m[i].timestamp.v != want.items[i].time_ms;
    CHECK_INT(bad, 0);
    db_read_end(&c);
    ctx_end(&c);
    points_free(&sorted);
    points_free(&want);
}

static struct point random_point(int disorder, int64_t i) {
    struct point p = {.time_ms = i * 10, .step = i, .value = (double)(draw() % 1000) / 7};
    if (disorder == 1) { /* now and then from the past */
        if (draw() % 10 == 0)
            p.time_ms = p.step = (int64_t)(draw() % (uint64_t)(i + 1));
    } else if (disorder == 2) { /* no order, few times and steps, many equal points */
        p.time_ms = (int64_t)(draw() % 50);
        p.step = (int64_t)(draw() % 20) - 10;
        p.value = (double)(draw() % 5);
    } else if (disorder == 3) { /* no order */
        p.time_ms = (int64_t)(draw() % 1000000);
        p.step = (int64_t)draw() - (1 << 30);
    }
    if (draw() % 17 == 0) {
        p.value = 0;
        p.is_nan = 1;
    }
    return p;
}

static void random_inserts(void) {
    for (int disorder = 0; disorder < 4; disorder++)
        for (int rows = 0; rows < 2; rows++) {
            REQUIRE(fx_begin());
            struct job j = {0};
            int64_t made = 0;
            model.n = 0;
            for (int round = 0; round < 150; round++) {
                j.points.n = 0;
                j.refuse = draw() % 10 == 0;
                size_t n = draw() % 4 == 0 ? 1 + draw() % 1000 : 1 + draw() % 3;
                for (size_t i = 0; i < n; i++) {
                    struct point p = random_point(disorder, made++);
                    if (model.n && draw() % 8 == 0)
                        p = model.items[draw() % model.n]; /* known already */
                    points_add(&j.points, &p);
                }
                /* Rows come first, as a release that knew no blocks left them. */
                bool row = rows && round < 20;
                j.refuse &= !row;
                int rc = write_job(row ? row_op : add_op, &j);
                CHECK_INT(rc, j.refuse ? -ERR_INVALID : 0);
                if (rc == 0)
                    model_add(&j.points);
                if (rows && round > 30 && round % 10 == 0) {
                    j.take = 1 + (int64_t)(draw() % 700);
                    j.refuse = false;
                    CHECK_INT(write_job(pack_op, &j), 0);
                }
                if (round % 5 == 0)
                    compare(&j, (int64_t)(draw() % (model.n + 10)), (int64_t)(draw() % 500));
            }
            compare(&j, 0, INT64_MAX / 2);
            CHECK(disorder == 2 || j.segments > 5);
            samples();
            intervals();
            if (rows) {
                j.refuse = false;
                j.take = 1000000;
                CHECK_INT(write_job(pack_op, &j), 0);
                CHECK_INT(write_job(pack_op, &j), 0);
                CHECK_INT(j.packed, 0);
                compare(&j, 0, INT64_MAX / 2);
            }
            points_free(&j.points);
            points_free(&j.out);
            fx_end();
        }
    points_free(&model);
}

/* More points in disorder than are sorted at once. */
static void large_disorder(void) {
    REQUIRE(fx_begin());
    struct job j = {0};
    for (int round = 0; round < 30; round++) {
        j.points.n = 0;
        for (int i = 0; i < 20000; i++) {
            struct point p = {.time_ms = (int64_t)(draw() % 100000), .step = i, .value = round};
            if (i % 40 == 0)
                p.time_ms = INT64_MAX - (int64_t)(draw() % 10);
            points_add(&j.points, &p);
        }
        REQUIRE(write_job(add_op, &j) == 0);
        for (size_t i = 0; i < j.points.n; i++)
            points_add(&model, &j.points.items[i]);
    }
    points_sort(&model);
    CHECK_INT(points_unique(&model), 0);
    for (int64_t skip = 0; skip < (int64_t)model.n; skip += 97003)
        compare(&j, skip, 1000);
    compare(&j, 0, INT64_MAX / 2);
    points_free(&j.points);
    points_free(&j.out);
    points_free(&model);
    fx_end();
}

static int spoil_op(struct ctx *c, void *arg) {
    (void)arg;
    return db_exec(c, "UPDATE metric_block SET data = zeroblob(length(data))", "");
}

static void damage(void) {
    REQUIRE(fx_begin());
    struct job j = {.take = 10};
    for (int i = 0; i < 2000; i++)
        points_add(&j.points, &(struct point){.time_ms = i, .step = i, .value = i / 3.0});
    REQUIRE(write_job(add_op, &j) == 0);
    REQUIRE(slice(&j) == 0);
    REQUIRE(write_job(spoil_op, &j) == 0);
    CHECK_INT(slice(&j), -ERR_INTERNAL);
    points_free(&j.points);
    points_free(&j.out);
    fx_end();
}

int main(void) {
    RUN(random_inserts);
    RUN(large_disorder);
    RUN(damage);
    return CHECK_END();
}
