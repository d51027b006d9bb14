/* SPDX-License-Identifier: Apache-2.0 */
/* The limits that the disk and SQLite set, without the daemon: appended 4 KiB with fdatasync; and
 * SQLite (WAL, synchronous=FULL, one thread) inserting a metric point and keeping the latest one,
 * in groups of 1, 128 and 1000. bench_limit_disk DIR SECONDS */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double raw_sync(const char *dir, double seconds) {
    char path[4096];
    static char page[4096];
    snprintf(path, sizeof path, "%s/limit.raw", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
    double t0 = now();
    long n = 0;
    for (; now() - t0 < seconds; n++)
        if (write(fd, page, sizeof page) != sizeof page || fdatasync(fd) < 0) {
            fprintf(stderr, "%s: %s\n", path, strerror(errno));
            exit(1);
        }
    double rate = (double)n / (now() - t0);
    close(fd);
    unlink(path);
    return rate;
}

static void sql(sqlite3 *db, const char *text) {
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", text, sqlite3_errmsg(db));
        exit(1);
    }
}

static double group(const char *dir, int size, double seconds) {
    char path[4096], wal[4200];
    snprintf(path, sizeof path, "%s/limit-%d.db", dir, size);
    unlink(path);
    sqlite3 *db;
    if (sqlite3_open(path, &db) != SQLITE_OK) {
        fprintf(stderr, "%s: %s\n", path, sqlite3_errmsg(db));
        exit(1);
    }
    sql(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536");
    sql(db,
        "CREATE TABLE point (run INTEGER, key INTEGER, time INTEGER, step INTEGER, value REAL, "
        "nan INTEGER, PRIMARY KEY (run, key, time, step, value, nan)) STRICT, WITHOUT ROWID;"
        "CREATE TABLE latest (run INTEGER, key INTEGER, value REAL, time INTEGER, step INTEGER, "
        "PRIMARY KEY (run, key)) STRICT, WITHOUT ROWID;");
    sqlite3_stmt *begin, *commit, *point, *latest;
    sqlite3_prepare_v2(db, "BEGIN IMMEDIATE", -1, &begin, NULL);
    sqlite3_prepare_v2(db, "COMMIT", -1, &commit, NULL);
    sqlite3_prepare_v2(db, "INSERT OR IGNORE INTO point VALUES (?, ?, ?, ?, ?, 0)", -1, &point,
                       NULL);
    sqlite3_prepare_v2(db,
                       "INSERT INTO latest VALUES (?1, ?2, ?5, ?3, ?4) ON CONFLICT DO UPDATE SET "
                       "value = ?5, time = ?3, step = ?4",
                       -1, &latest, NULL);
    double t0 = now();
    long n = 0;
    while (now() - t0 < seconds) {
        sqlite3_step(begin);
        sqlite3_reset(begin);
        for (int i = 0; i < size; i++, n++)
            for (int k = 0; k < 2; k++) {
                sqlite3_stmt *st = k ? latest : point;
                sqlite3_bind_int64(st, 1, n % 128);
                sqlite3_bind_int64(st, 2, 1);
                sqlite3_bind_int64(st, 3, n);
                sqlite3_bind_int64(st, 4, n);
                sqlite3_bind_double(st, 5, 1.0 / (double)(n + 1));
                sqlite3_step(st);
                sqlite3_reset(st);
            }
        if (sqlite3_step(commit) != SQLITE_DONE) {
            fprintf(stderr, "COMMIT: %s\n", sqlite3_errmsg(db));
            exit(1);
        }
        sqlite3_reset(commit);
    }
    double rate = (double)n / (now() - t0);
    sqlite3_finalize(begin);
    sqlite3_finalize(commit);
    sqlite3_finalize(point);
    sqlite3_finalize(latest);
    sqlite3_close(db);
    unlink(path);
    snprintf(wal, sizeof wal, "%s-wal", path);
    unlink(wal);
    snprintf(wal, sizeof wal, "%s-shm", path);
    unlink(wal);
    return rate;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: bench_limit_disk DIR SECONDS\n");
        return 2;
    }
    double seconds = atof(argv[2]);
    printf("{\"fdatasync\":%.0f,", raw_sync(argv[1], seconds));
    printf("\"sqlite_1\":%.0f,", group(argv[1], 1, seconds));
    printf("\"sqlite_128\":%.0f,", group(argv[1], 128, seconds));
    printf("\"sqlite_1000\":%.0f}\n", group(argv[1], 1000, seconds));
    return 0;
}
