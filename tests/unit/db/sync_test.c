/* SPDX-License-Identifier: Apache-2.0 */
/* A sync that fails: nothing is acknowledged on its strength, and the process ends with 70. */
#include <errno.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "fixture.h"

enum { EXIT_STORAGE = 70 };

static atomic_bool broken;
static atomic_int syncs;

/* SQLite's calls land here, because the program's symbols come before the C library's. */
int fdatasync(int fd);
int fsync(int fd);

int fdatasync(int fd) {
    atomic_fetch_add(&syncs, 1);
    if (atomic_load(&broken)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd) {
    atomic_fetch_add(&syncs, 1);
    if (atomic_load(&broken)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static int child(const char *path) {
    struct fixture own = {0};
    if (dir_open(path, false, &own.dir) < 0 || fixture_open(&own, (struct db_options){0}) < 0)
        return 3;
    if (fixture_write(&own, "INSERT INTO item (name) VALUES ('kept')") != 0)
        return 4;
    atomic_store(&broken, true);
    int rc = fixture_write(&own, "INSERT INTO item (name) VALUES ('unknown')");
    printf("answered %d after a failed sync\n", rc);
    return 5;
}

static void a_failed_sync_ends_the_process(void) {
    struct fixture f;
    fixture_dir(&f);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "sync_test", f.path, (char *)NULL);
        _exit(9);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), EXIT_STORAGE);
    REQUIRE(fixture_open(&f, (struct db_options){0}) == 0);
    CHECK_INT(fixture_number(&f, "SELECT count(*) FROM item WHERE name = 'kept'"), 1);
    fixture_end(&f);
}

static void every_commit_is_synced(void) {
    enum { N = 50 };
    struct fixture f;
    fixture_start(&f, (struct db_options){0});
    int before = atomic_load(&syncs);
    for (int i = 0; i < N; i++) {
        char sql[80];
        snprintf(sql, sizeof sql, "INSERT INTO item (name) VALUES ('n%d')", i);
        CHECK_INT(fixture_write(&f, sql), 0);
        CHECK(atomic_load(&syncs) > before + i); /* before the answer */
    }
    fixture_end(&f);
}

int main(int argc, char **argv) {
    log_init(LOG_ERROR + 1, LOG_PLAIN);
    if (argc == 2)
        return child(argv[1]);
    RUN(a_failed_sync_ends_the_process);
    RUN(every_commit_is_synced);
    return CHECK_END();
}
