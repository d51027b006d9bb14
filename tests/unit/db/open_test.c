/* SPDX-License-Identifier: Apache-2.0 */
/* Opening: what is refused, what is migrated, what a killed process leaves. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

#include "fixture.h"

static struct fixture f;

#define SUM_A "1111111111111111111111111111111111111111111111111111111111111111"
#define SUM_B "2222222222222222222222222222222222222222222222222222222222222222"
#define SUM_C "3333333333333333333333333333333333333333333333333333333333333333"

static const struct migration second_schema[] = {
    {1, "0001_item", "CREATE TABLE wrong(x) STRICT", SUM_A}, /* applied already: not run */
    {2, "0002_more", "ALTER TABLE item ADD COLUMN note TEXT; CREATE INDEX item_note ON item(note);",
     SUM_B},
    {0, 0, 0, 0},
};
static const struct migration broken_schema[] = {
    {1, "0001_item", "", SUM_A},
    {2, "0002_more", "CREATE TABLE half (id INTEGER PRIMARY KEY) STRICT; CREATE TABEL oops;",
     SUM_C},
    {0, 0, 0, 0},
};
static const struct migration changed_schema[] = {
    {1, "0001_item", "", SUM_C},
    {0, 0, 0, 0},
};
static const struct migration gap_schema[] = {
    {1, "0001_item", "", SUM_A},
    {3, "0003_item", "", SUM_A},
    {0, 0, 0, 0},
};

/* Bytes of the file as they are, read before SQLite has it open. */
static char *whole(const char *name, size_t *n) {
    static struct arena *a;
    arena_free(a);
    a = arena_new();
    char *data = NULL;
    *n = 0;
    dir_read_file(f.dir, name, a, 64 << 20, &data, n);
    char *copy = malloc(*n + 1);
    if (copy && data)
        memcpy(copy, data, *n);
    arena_free(a);
    a = NULL;
    return copy;
}

static void refused(const struct migration *list, const char *part) {
    size_t n1, n2;
    char *before = whole("quern.db", &n1);
    CHECK_INT(fixture_open(&f, (struct db_options){.migrations = list}), -1);
    CHECK(f.db == NULL);
    CHECK_HAS(f.error.data, part);
    char *after = whole("quern.db", &n2);
    CHECK_INT(n2, n1);
    CHECK(n1 == n2 && memcmp(before, after, n1) == 0);
    free(before);
    free(after);
}

static void schemas(void) {
    fixture_start(&f, (struct db_options){0});
    CHECK_INT(fixture_write(&f, "INSERT INTO item (name) VALUES ('kept')"), 0);
    CHECK_INT(fixture_number(&f, "SELECT user_version FROM pragma_user_version"), 1);
    db_close(f.db);
    refused(changed_schema, "another text");
    refused(gap_schema, "migration 2 is missing");
    refused(broken_schema, "0002_more failed and was undone");
    CHECK_INT(fixture_open(&f, (struct db_options){.migrations = second_schema}), 0);
    CHECK_INT(fixture_number(&f, "SELECT user_version FROM pragma_user_version"), 2);
    CHECK_INT(fixture_number(&f, "SELECT count(*) FROM item WHERE note IS NULL"), 1);
    CHECK_INT(fixture_number(&f, "SELECT count(*) FROM schema_migration"), 2);
    CHECK_INT(fixture_number(&f, "SELECT count(*) FROM sqlite_schema WHERE name = 'half'"), 0);
    CHECK(dir_exists(f.dir, "quern-before-schema-2.db")); /* the way back */
    db_close(f.db);
    refused(first_schema, "schema 2 and this program knows schemas up to 1");
    CHECK_INT(fixture_open(&f, (struct db_options){.migrations = second_schema}), 0);
    fixture_end(&f);
}

static void foreign_files(void) {
    fixture_dir(&f);
    CHECK_INT(dir_write_file(f.dir, "quern.db",
                             "this is a diary, not a database, and it goes on for "
                             "more than one hundred bytes so that it has a head",
                             101),
              0);
    refused(first_schema, "not a database");
    char head[4096] = "SQLite format 3";
    CHECK_INT(dir_write_file(f.dir, "quern.db", head, sizeof head), 0);
    refused(first_schema, "another program");
    fixture_end(&f);
}

/* Killed in its very first write: the file is there, and a journal that takes it back. */
static void a_first_start_cut_off(void) {
    fixture_start(&f, (struct db_options){0});
    db_close(f.db);
    unsigned char journal[512] = {0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7};
    journal[22] = 2;    /* sectors of 512 */
    journal[26] = 0x10; /* pages of 4096, none of them there before */
    CHECK_INT(dir_write_file(f.dir, "quern.db-journal", journal, sizeof journal), 0);
    CHECK_INT(fixture_open(&f, (struct db_options){0}), 0);
    CHECK_STR(f.error.data, NULL);
    CHECK_INT(fixture_write(&f, "INSERT INTO item (name) VALUES ('a')"), 0);
    db_close(f.db);
    CHECK(!dir_exists(f.dir, "quern.db-journal"));
    CHECK_INT(fixture_open(&f, (struct db_options){0}), 0);
    CHECK_INT(fixture_number(&f, "SELECT count(*) FROM item"), 1);
    fixture_end(&f);
}

static void one_process_at_a_time(void) {
    fixture_start(&f, (struct db_options){0});
    struct fixture second = f;
    second.error = (struct buf){0};
    CHECK_INT(fixture_open(&second, (struct db_options){0}), -1);
    char pid[32];
    snprintf(pid, sizeof pid, "pid %ld", (long)getpid());
    CHECK_HAS(second.error.data, "in use");
    CHECK_HAS(second.error.data, pid);
    buf_free(&second.error);
    struct stat st;
    CHECK_INT(fstatat(dir_fd(f.dir), "quern.db", &st, 0), 0);
    CHECK_INT(st.st_mode & 0777, 0600);
    fixture_end(&f);
}

/* A killed daemon's child that has not begun its own program holds the lock a moment longer. */
static void a_dead_holder_is_waited_for(void) {
    fixture_start(&f, (struct db_options){0});
    db_close(f.db);
    f.db = NULL;
    pid_t gone = fork();
    if (gone == 0)
        _exit(0);
    CHECK_INT(waitpid(gone, NULL, 0), gone);
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", (long)gone);
    int fd = dir_openat(f.dir, "quern.lock", O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
    CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) == n);
    pid_t holder = fork();
    if (holder == 0) {
        usleep(200000);
        _exit(0);
    }
    close(fd);
    CHECK_INT(fixture_open(&f, (struct db_options){0}), 0);
    CHECK_STR(f.error.data, NULL);
    CHECK_INT(waitpid(holder, NULL, 0), holder);
    fixture_end(&f);
}

/* The child writes and tells each acknowledged number through the pipe until it is killed. */
static int child(const char *path, int out) {
    struct fixture own = {0};
    if (dir_open(path, false, &own.dir) < 0 ||
        fixture_open(&own, (struct db_options){.wal_soft = 65536, .wal_hard = 1 << 20}) < 0)
        return 3;
    for (int64_t k = fixture_number(&own, "SELECT count(*) FROM item");; k++) {
        char sql[128];
        snprintf(sql, sizeof sql, "INSERT INTO item (id, name) VALUES (%lld, 'k%lld')",
                 (long long)k + 1, (long long)k + 1);
        if (fixture_write(&own, sql) != 0)
            return 4;
        int64_t told = k + 1;
        if (write(out, &told, sizeof told) != sizeof told)
            return 5;
    }
}

static void killed_again_and_again(void) {
    fixture_dir(&f);
    unsigned seed = 42;
    int64_t last = 0;
    for (int round = 0; round < 15; round++) {
        int ends[2];
        REQUIRE(pipe(ends) == 0);
        char out[16];
        snprintf(out, sizeof out, "%d", ends[1]);
        pid_t pid = fork();
        if (pid == 0) {
            close(ends[0]);
            execl("/proc/self/exe", "open_test", "child", f.path, out, (char *)NULL);
            _exit(9);
        }
        close(ends[1]);
        /* Killed after some acknowledgements, in the middle of the next write. */
        int64_t told, stop = last + 1 + rand_r(&seed) % 40;
        while (last < stop && read(ends[0], &told, sizeof told) == sizeof told)
            last = told;
        usleep((unsigned)rand_r(&seed) % 2000);
        kill(pid, SIGKILL);
        while (read(ends[0], &told, sizeof told) == sizeof told)
            last = told;
        close(ends[0]);
        int status;
        waitpid(pid, &status, 0);
        CHECK(WIFSIGNALED(status));
        REQUIRE(WIFSIGNALED(status));
        REQUIRE(fixture_open(&f, (struct db_options){0}) == 0);
        int64_t have = fixture_number(&f, "SELECT count(*) FROM item");
        CHECK(have == last || have == last + 1); /* the last one may be there untold */
        CHECK_INT(fixture_number(&f, "SELECT max(id) FROM item"), have);
        last = have;
        struct ctx c;
        struct buf report = {0};
        ctx_begin(&c);
        CHECK_INT(db_check(f.db, &c, &report), 0);
        ctx_end(&c);
        buf_free(&report);
        db_close(f.db);
        f.db = NULL;
    }
    fixture_end(&f);
}

int main(int argc, char **argv) {
    log_init(LOG_ERROR + 1, LOG_PLAIN);
    if (argc == 4 && strcmp(argv[1], "child") == 0)
        return child(argv[2], atoi(argv[3]));
    RUN(schemas);
    RUN(foreign_files);
    RUN(a_first_start_cut_off);
    RUN(one_process_at_a_time);
    RUN(a_dead_holder_is_waited_for);
    RUN(killed_again_and_again);
    return CHECK_END();
}
