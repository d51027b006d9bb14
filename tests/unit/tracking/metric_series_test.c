/* SPDX-License-Identifier: Apache-2.0 */
/* Series on disk against a plain sorted list: random inserts in and out of order, duplicates across
 * tail, blocks and rows of older versions, slices, packing, refused writes. */
#include "metric_series.h"

#include "fixture.h"
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
    CHECK_END();
}
