/* SPDX-License-Identifier: Apache-2.0 */
/* A full disk, played by SQLite's page limit: SQLite discards the whole transaction then. */
#include "fixture.h"

struct item {
    struct ctx c;
    char name[40];
    size_t size;
    int ran, rc;
    bool over;
};

static int item_op(struct ctx *c, void *arg) {
    struct item *i = arg;
    i->ran++;
    void *body = arena_alloc(c->arena, i->size + 1);
    return db_exec(c, "INSERT INTO item (name, body) VALUES (?, ?)", "sb", i->name, body, i->size);
}

/* Swallows the failure, as a careless operation might. */
static int careless_op(struct ctx *c, void *arg) {
    item_op(c, arg);
    return 0;
}

static void item_done(struct ctx *c, void *arg, int rc) {
    (void)c;
    struct item *i = arg;
    i->rc = rc;
    i->over = true;
}

static struct fixture f;

static void lost_batch(db_op *big) {
    enum { N = 20, BIG = 11 };
    static struct item items[N];
    fixture_start(&f, (struct db_options){0});
    CHECK_INT(fixture_write(&f, "PRAGMA max_page_count = 60"), 0);
    struct gate gate;
    gate_close(&gate, f.db);
    for (int k = 0; k < N; k++) {
        items[k] = (struct item){.size = k == BIG ? 400000 : 10};
        snprintf(items[k].name, sizeof items[k].name, "f%d", k);
        ctx_begin(&items[k].c);
        CHECK_INT(db_submit(f.db, &items[k].c, k == BIG ? big : item_op, &items[k], item_done), 0);
    }
    sem_post(&gate.go);
    int after = fixture_write(&f, "SELECT 1");
    CHECK_INT(after, 0);
    for (int k = 0; k < N; k++) {
        CHECK(items[k].over);
        CHECK_INT(items[k].rc, k == BIG ? -ERR_DISK_FULL : 0);
        CHECK_INT(items[k].c.err.code, k == BIG ? ERR_DISK_FULL : 0);
        if (k < BIG)
            CHECK_INT(items[k].ran, 2); /* ran, was lost with the batch, ran again */
    }
    CHECK_INT(fixture_number(&f, "SELECT count(*) FROM item"), N - 1);
    CHECK(!db_writable(f.db));
    CHECK_INT(fixture_write(&f, "PRAGMA max_page_count = 100000"), 0);
    CHECK_INT(fixture_write(&f, "INSERT INTO item (name) VALUES ('later')"), 0);
    CHECK(db_writable(f.db));
    for (int k = 0; k < N; k++)
        ctx_end(&items[k].c);
    gate_end(&gate);
    db_close(f.db);
    CHECK_INT(fixture_open(&f, (struct db_options){0}), 0);
    CHECK_INT(fixture_number(&f, "SELECT count(*) FROM item"), N);
    struct ctx c;
    struct buf report = {0};
    ctx_begin(&c);
    CHECK_INT(db_check(f.db, &c, &report), 0);
    ctx_end(&c);
    buf_free(&report);
    fixture_end(&f);
}

static void a_discarded_transaction_runs_again_one_by_one(void) {
    lost_batch(item_op);
}

static void an_operation_that_hides_the_loss_is_not_believed(void) {
    lost_batch(careless_op);
}

int main(void) {
    log_init(LOG_ERROR + 1, LOG_PLAIN);
    RUN(a_discarded_transaction_runs_again_one_by_one);
    RUN(an_operation_that_hides_the_loss_is_not_believed);
    return CHECK_END();
}
