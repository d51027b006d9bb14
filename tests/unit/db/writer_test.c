/* SPDX-License-Identifier: Apache-2.0 */
/* The writer: group commit, undoing of single operations, hooks, back-pressure, readers beside it.
 */
#include <signal.h>

#include "fixture.h"

enum { THREADS = 12, EACH = 400 };

struct item {
    struct ctx c;
    char name[40];
    bool refuse; /* insert, then say no */
    bool twice;  /* violate UNIQUE after a good insert */
    int ran;
    int rc;
    int hooked;
    atomic_int *finished;
};

static void hook(void *arg) {
    ((struct item *)arg)->hooked++;
}

static int item_op(struct ctx *c, void *arg) {
    struct item *i = arg;
    i->ran++;
    int rc =
        db_exec(c, "INSERT INTO item (name, amount) VALUES (?, ?)", "si", i->name, (int64_t)i->ran);
    if (rc < 0)
        return rc;
    db_after_commit(c, hook, i);
    if (i->twice)
        return db_exec(c, "INSERT INTO item (name) VALUES (?)", "s", i->name);
    if (i->refuse) {
        /* A statement left open must not get in the way of the undo. */
        struct stmt *open = db_query(c, "SELECT name FROM item", "");
        stmt_next(open);
        return fail(c, ERR_CONFLICT, "%s is refused", i->name);
    }
    return 0;
}

static void item_done(struct ctx *c, void *arg, int rc) {
    (void)c;
    struct item *i = arg;
    i->rc = rc;
    atomic_fetch_add(i->finished, 1);
}

static struct fixture f;

static void *submit_many(void *arg) {
    int t = (int)(intptr_t)arg;
    for (int k = 0; k < EACH; k++) {
        struct item i = {.refuse = k % 7 == 3, .twice = k % 11 == 5};
        snprintf(i.name, sizeof i.name, "t%d-%d", t, k);
        ctx_begin(&i.c);
        int rc = db_write(f.db, &i.c, item_op, &i);
        int want = i.twice ? -ERR_EXISTS : i.refuse ? -ERR_CONFLICT : 0;
        if (rc != want || i.hooked != (want == 0) || i.ran != 1) {
            printf("%s: rc %d want %d, hooks %d, runs %d\n", i.name, rc, want, i.hooked, i.ran);
            ctx_end(&i.c);
            return (void *)1;
        }
        /* Acknowledged means visible to a reader that begins now. */
        if (rc == 0) {
            int64_t n = 0;
            if (db_read_begin(f.db, &i.c) < 0 ||
                db_get_i64(&i.c, "SELECT count(*) FROM item WHERE name = ?", &n, NULL, "s",
                           i.name) < 0 ||
                n != 1) {
                printf("%s acknowledged but not there\n", i.name);
                db_read_end(&i.c);
                ctx_end(&i.c);
                return (void *)1;
            }
            db_read_end(&i.c);
        }
        ctx_end(&i.c);
    }
    db_thread_end(f.db);
    return NULL;
}

static void many_threads_some_refused(void) {
    fixture_start(&f, (struct db_options){0});
    pthread_t threads[THREADS];
    for (intptr_t t = 0; t < THREADS; t++)
        pthread_create(&threads[t], NULL, submit_many, (void *)t);
    int bad = 0;
    for (int t = 0; t < THREADS; t++) {
        void *r;
        pthread_join(threads[t], &r);
        bad += r != NULL;
    }
    CHECK_INT(bad, 0);
    int good = 0;
    for (int k = 0; k < EACH; k++)
        good += k % 7 != 3 && k % 11 != 5;
    CHECK_INT(fixture_number(&f, "SELECT count(*) FROM item"), good * THREADS);
    fixture_end(&f);
}

static void a_refused_operation_leaves_its_batch_alone(void) {
    enum { N = 60 };
    static struct item items[N];
    atomic_int finished = 0;
    fixture_start(&f, (struct db_options){0});
    struct gate gate;
    gate_close(&gate, f.db);
    for (int k = 0; k < N; k++) {
        items[k] = (struct item){.refuse = k % 3 == 0, .finished = &finished};
        snprintf(items[k].name, sizeof items[k].name, "b%d", k);
        ctx_begin(&items[k].c);
        CHECK_INT(db_submit(f.db, &items[k].c, item_op, &items[k], item_done), 0);
    }
    CHECK_INT(fixture_number(&f, "SELECT count(*) FROM item"), 0);
    CHECK_INT(atomic_load(&finished), 0);
    sem_post(&gate.go);
    CHECK_INT(fixture_write(&f, "SELECT 1"), 0); /* the queue is in order: all before it are done */
    CHECK_INT(atomic_load(&finished), N);
    for (int k = 0; k < N; k++) {
        CHECK_INT(items[k].rc, k % 3 == 0 ? -ERR_CONFLICT : 0);
        CHECK_INT(items[k].hooked, k % 3 != 0);
        CHECK_INT(items[k].ran, 1);
        if (k % 3 == 0)
            CHECK_HAS(items[k].c.err.message, "is refused");
        ctx_end(&items[k].c);
    }
    CHECK_INT(fixture_number(&f, "SELECT count(*) FROM item"), N - N / 3);
    gate_end(&gate);
    fixture_end(&f);
}

static void a_full_queue_refuses(void) {
    enum { QUEUE = 8 };
    static struct item items[QUEUE + 1];
    atomic_int finished = 0;
    fixture_start(&f, (struct db_options){.queue = QUEUE});
    struct gate gate;
    gate_close(&gate, f.db);
    for (int k = 0; k <= QUEUE; k++) {
        items[k] = (struct item){.finished = &finished};
        snprintf(items[k].name, sizeof items[k].name, "q%d", k);
        ctx_begin(&items[k].c);
        int rc = db_submit(f.db, &items[k].c, item_op, &items[k], item_done);
        CHECK_INT(rc, k < QUEUE ? 0 : -ERR_BUSY);
    }
    CHECK_INT(items[QUEUE].c.err.code, ERR_BUSY);
    sem_post(&gate.go);
    db_close(f.db); /* drains */
    CHECK_INT(atomic_load(&finished), QUEUE);
    CHECK_INT(items[QUEUE].ran, 0);
    CHECK_INT(fixture_open(&f, (struct db_options){0}), 0);
    CHECK_INT(fixture_number(&f, "SELECT count(*) FROM item"), QUEUE);
    for (int k = 0; k <= QUEUE; k++)
        ctx_end(&items[k].c);
    gate_end(&gate);
    fixture_end(&f);
}

static void a_snapshot_stands_still(void) {
    fixture_start(&f, (struct db_options){0});
    CHECK_INT(fixture_write(&f, "INSERT INTO item (name) VALUES ('a')"), 0);
    struct ctx c, other;
    int64_t n;
    ctx_begin(&c);
    ctx_begin(&other);
    CHECK_INT(db_read_begin(f.db, &c), 0);
    CHECK_INT(db_get_i64(&c, "SELECT count(*) FROM item", &n, NULL, ""), 0);
    CHECK_INT(n, 1);
    CHECK_INT(fixture_write(&f, "INSERT INTO item (name) VALUES ('b')"), 0);
    CHECK_INT(db_get_i64(&c, "SELECT count(*) FROM item", &n, NULL, ""), 0);
    CHECK_INT(n, 1);
    /* A second context of the thread shares it; the first end does not end it for the other. */
    CHECK_INT(db_read_begin(f.db, &other), 0);
    db_read_end(&other);
    CHECK(other.db == NULL && c.db != NULL);
    CHECK_INT(db_read_begin(f.db, &c), 0);
    db_read_end(&c);
    CHECK_INT(db_get_i64(&c, "SELECT count(*) FROM item", &n, NULL, ""), 0);
    CHECK_INT(n, 1);
    db_read_end(&c);
    CHECK(c.db == NULL);
    CHECK_INT(fixture_number(&f, "SELECT count(*) FROM item"), 2);
    ctx_end(&c);
    ctx_end(&other);
    fixture_end(&f);
}

static void a_reader_cannot_write(void) {
    fixture_start(&f, (struct db_options){0});
    struct ctx c;
    ctx_begin(&c);
    CHECK_INT(db_read_begin(f.db, &c), 0);
    CHECK_INT(db_exec(&c, "INSERT INTO item (name) VALUES ('x')", ""), -ERR_INTERNAL);
    db_read_end(&c);
    ctx_end(&c);
    CHECK_INT(fixture_number(&f, "SELECT count(*) FROM item"), 0);
    fixture_end(&f);
}

struct fill {
    int from, to;
};

static int fill_op(struct ctx *c, void *arg) {
    struct fill *r = arg;
    static const char body[4096];
    for (int k = r->from; k < r->to; k++) {
        char name[32];
        snprintf(name, sizeof name, "fill-%d", k);
        int rc = db_exec(c, "INSERT INTO item (name, body) VALUES (?, ?)", "sb", name, body,
                         sizeof body);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static void the_log_stays_bounded_beside_a_held_snapshot(void) {
    enum { SOFT = 128 << 10, HARD = 1 << 20 };
    fixture_start(&f, (struct db_options){.wal_soft = SOFT, .wal_hard = HARD});
    CHECK_INT(fixture_write(&f, "INSERT INTO item (name) VALUES ('a')"), 0);
    struct ctx reader, writer;
    int64_t n, most = 0;
    ctx_begin(&reader);
    CHECK_INT(db_read_begin(f.db, &reader), 0);
    CHECK_INT(db_get_i64(&reader, "SELECT count(*) FROM item", &n, NULL, ""), 0);
    for (int k = 0; k < 400; k++) { /* 16 MB in all */
        struct fill r = {k * 10, k * 10 + 10};
        ctx_begin(&writer);
        CHECK_INT(db_write(f.db, &writer, fill_op, &r), 0);
        ctx_end(&writer);
        int64_t bytes = db_wal_bytes(f.db);
        most = bytes > most ? bytes : most;
    }
    CHECK(most > HARD);       /* the reader was in the way ... */
    CHECK(most < 4 * (HARD)); /* ... but not for long */
    CHECK_INT(db_get_i64(&reader, "SELECT count(*) FROM item", &n, NULL, ""), -ERR_DEADLINE);
    db_read_end(&reader);
    ctx_end(&reader);
    CHECK_INT(fixture_number(&f, "SELECT count(*) FROM item"), 4001);
    fixture_end(&f);
}

static void *read_for_ever(void *arg) {
    struct ctx c;
    int64_t n;
    atomic_bool *stop = arg;
    for (int k = 1; !atomic_load(stop); k++) {
        ctx_begin(&c);
        if (db_read_begin(f.db, &c) == 0)
            db_get_i64(&c, "SELECT count(*) FROM item WHERE amount >= 0", &n, NULL, "");
        db_read_end(&c);
        ctx_end(&c);
        if (k % 50 == 0) /* connections come and go beside the checkpoints */
            db_thread_end(f.db);
    }
    db_thread_end(f.db);
    return NULL;
}

static void the_log_stays_bounded_under_many_short_reads(void) {
    enum { SOFT = 128 << 10, HARD = 1 << 20 };
    fixture_start(&f, (struct db_options){.wal_soft = SOFT, .wal_hard = HARD});
    pthread_t threads[4];
    atomic_bool stop = false;
    for (int t = 0; t < 4; t++)
        pthread_create(&threads[t], NULL, read_for_ever, &stop);
    int64_t most = 0;
    for (int k = 0; k < 400; k++) {
        struct fill r = {k * 10, k * 10 + 10};
        struct ctx c;
        ctx_begin(&c);
        CHECK_INT(db_write(f.db, &c, fill_op, &r), 0);
        ctx_end(&c);
        int64_t bytes = db_wal_bytes(f.db);
        most = bytes > most ? bytes : most;
    }
    atomic_store(&stop, true);
    for (int t = 0; t < 4; t++)
        pthread_join(threads[t], NULL);
    CHECK(most < 4 * (HARD));
    struct ctx c;
    struct buf report = {0};
    ctx_begin(&c);
    CHECK_INT(db_check(f.db, &c, &report), 0);
    ctx_end(&c);
    buf_free(&report);
    fixture_end(&f);
}

static void a_long_read_ends_at_its_deadline(void) {
    fixture_start(&f, (struct db_options){0});
    struct ctx c;
    int64_t n;
    ctx_begin(&c);
    c.deadline_ns = clock_mono_ns() + 100 * 1000000;
    CHECK_INT(db_read_begin(f.db, &c), 0);
    int rc = db_get_i64(&c,
                        "WITH RECURSIVE k(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM k WHERE n < "
                        "1000000000) SELECT sum(n) FROM k",
                        &n, NULL, "");
    CHECK_INT(rc, -ERR_DEADLINE);
    db_read_end(&c);
    ctx_end(&c);
    fixture_end(&f);
}

static int slow_op(struct ctx *c, void *arg) {
    ++*(int *)arg;
    return db_exec(
        c,
        "INSERT INTO item (name) WITH RECURSIVE k(n) AS (SELECT 1 UNION ALL SELECT n + 1 "
        "FROM k WHERE n < 100000000) SELECT 'slow-' || n FROM k",
        "");
}

static void an_interrupted_write_takes_nobody_with_it(void) {
    enum { N = 10 };
    static struct item items[N];
    atomic_int finished = 0;
    fixture_start(&f, (struct db_options){0});
    struct gate gate;
    gate_close(&gate, f.db);
    struct ctx slow;
    int ran = 0;
    for (int k = 0; k < N; k++) {
        items[k] = (struct item){.finished = &finished};
        snprintf(items[k].name, sizeof items[k].name, "i%d", k);
        ctx_begin(&items[k].c);
        CHECK_INT(db_submit(f.db, &items[k].c, item_op, &items[k], item_done), 0);
        if (k == N / 2) {
            ctx_begin(&slow);
            slow.deadline_ns = clock_mono_ns() + 200 * 1000000;
            CHECK_INT(db_submit(f.db, &slow, slow_op, &ran, NULL), 0);
        }
    }
    sem_post(&gate.go);
    CHECK_INT(fixture_write(&f, "SELECT 1"), 0);
    CHECK_INT(atomic_load(&finished), N);
    CHECK_INT(slow.err.code, ERR_DEADLINE);
    CHECK(ran >= 1);
    for (int k = 0; k < N; k++) {
        CHECK_INT(items[k].rc, 0);
        CHECK_INT(items[k].hooked, 1);
        ctx_end(&items[k].c);
    }
    CHECK_INT(fixture_number(&f, "SELECT count(*) FROM item"), N);
    CHECK(db_writable(f.db));
    ctx_end(&slow);
    gate_end(&gate);
    fixture_end(&f);
}

static void constraint_failures_have_codes(void) {
    fixture_start(&f, (struct db_options){0});
    CHECK_INT(fixture_write(&f, "INSERT INTO item (id, name) VALUES (1, 'a')"), 0);
    CHECK_INT(fixture_write(&f, "INSERT INTO item (id, name) VALUES (2, 'a')"), -ERR_EXISTS);
    CHECK_INT(fixture_write(&f, "INSERT INTO item (id, name) VALUES (1, 'b')"), -ERR_EXISTS);
    CHECK_INT(fixture_write(&f, "INSERT INTO item (name, amount) VALUES ('c', -1)"), -ERR_INVALID);
    CHECK_INT(fixture_write(&f, "INSERT INTO item (name) VALUES (NULL)"), -ERR_INVALID);
    CHECK_INT(fixture_write(&f, "INSERT INTO item (name, parent) VALUES ('d', 77)"), -ERR_INVALID);
    CHECK_INT(fixture_write(&f, "INSERT INTO item (name, amount) VALUES ('e', 'x')"), -ERR_INVALID);
    CHECK_INT(fixture_write(&f, "NOT SQL"), -ERR_INTERNAL);
    CHECK_INT(fixture_write(&f, "INSERT INTO item (name) VALUES (?)"), -ERR_INTERNAL);
    CHECK_INT(fixture_number(&f, "SELECT count(*) FROM item"), 1);
    fixture_end(&f);
}

int main(void) {
    log_init(LOG_ERROR + 1, LOG_PLAIN);
    RUN(many_threads_some_refused);
    RUN(a_refused_operation_leaves_its_batch_alone);
    RUN(a_full_queue_refuses);
    RUN(a_snapshot_stands_still);
    RUN(a_reader_cannot_write);
    RUN(the_log_stays_bounded_beside_a_held_snapshot);
    RUN(the_log_stays_bounded_under_many_short_reads);
    RUN(a_long_read_ends_at_its_deadline);
    RUN(an_interrupted_write_takes_nobody_with_it);
    RUN(constraint_failures_have_codes);
    return CHECK_END();
}
