/* SPDX-License-Identifier: Apache-2.0 */
/* Backup while writing goes on: the copy is the state after some number of operations. */
#include "fixture.h"

static struct fixture f;
static atomic_bool stop;
static _Atomic int64_t acknowledged;

static int row_op(struct ctx *c, void *arg) {
    int64_t k = *(int64_t *)arg;
    static const char body[2000];
    return db_exec(c, "INSERT INTO item (id, name, body) VALUES (?, 'k' || ?, ?)", "iib", k, k,
                   body, sizeof body);
}

static void *write_on(void *arg) {
    (void)arg;
    for (int64_t k = atomic_load(&acknowledged) + 1; !atomic_load(&stop); k++) {
        struct ctx c;
        ctx_begin(&c);
        int rc = db_write(f.db, &c, row_op, &k);
        ctx_end(&c);
        if (rc != 0)
            return (void *)1;
        atomic_store(&acknowledged, k);
    }
    return NULL;
}

static int rows_op(struct ctx *c, void *arg) {
    int64_t *upto = arg;
    int rc = 0;
    for (int64_t k = 1; k <= *upto && rc == 0; k++)
        rc = row_op(c, &k);
    return rc;
}

static void a_copy_under_load_is_a_prefix(void) {
    fixture_start(&f, (struct db_options){.wal_soft = 65536, .wal_hard = 1 << 20});
    struct ctx c;
    int64_t upto = 4000; /* 8 MB: some thirty steps */
    ctx_begin(&c);
    CHECK_INT(db_write(f.db, &c, rows_op, &upto), 0);
    ctx_end(&c);
    atomic_store(&acknowledged, upto);
    atomic_store(&stop, false);
    pthread_t writer;
    pthread_create(&writer, NULL, write_on, NULL);

    char path[64] = "/tmp/quern-db-copy-XXXXXX";
    struct dir *to;
    REQUIRE(mkdtemp(path) && dir_open(path, false, &to) == 0);
    for (int round = 0; round < 3; round++) {
        int64_t before = atomic_load(&acknowledged);
        ctx_begin(&c);
        CHECK_INT(db_backup(f.db, &c, to, "quern.db"), 0);
        ctx_end(&c);
        int64_t after = atomic_load(&acknowledged) + 1; /* one may be written and not yet told */
        struct fixture copy = {.dir = to};
        REQUIRE(fixture_open(&copy, (struct db_options){0}) == 0);
        int64_t n = fixture_number(&copy, "SELECT count(*) FROM item");
        CHECK(n >= before);
        CHECK(n <= after);
        CHECK_INT(fixture_number(&copy, "SELECT max(id) FROM item"), n); /* no holes */
        struct buf report = {0};
        ctx_begin(&c);
        CHECK_INT(db_check(copy.db, &c, &report), 0);
        ctx_end(&c);
        buf_free(&report);
        db_close(copy.db);
        buf_free(&copy.error);
    }
    ctx_begin(&c);
    CHECK_INT(db_backup(f.db, &c, to, "../quern.db"), -ERR_INVALID);
    ctx_end(&c);
    atomic_store(&stop, true);
    void *r;
    pthread_join(writer, &r);
    CHECK(r == NULL);
    CHECK(!dir_exists(to, "quern.db.partial"));
    dir_unlink(to, "quern.db");
    dir_unlink(to, "quern.db-wal");
    dir_unlink(to, "quern.db-shm");
    dir_unlink(to, "quern.lock");
    dir_close(to);
    CHECK_INT(rmdir(path), 0);
    fixture_end(&f);
}

int main(void) {
    log_init(LOG_ERROR + 1, LOG_PLAIN);
    RUN(a_copy_under_load_is_a_prefix);
    return CHECK_END();
}
