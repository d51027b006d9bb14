/* SPDX-License-Identifier: Apache-2.0 */
/* The program is its own keeper and its own commands: argv[1] says which. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "folder.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/fd.h"
#include "quern/base/path.h"
#include "quern/core/ctx.h"
#include "quern/process/process.h"

static struct dir *root;
static char self[4096];
static struct ctx ctx;

/* What the watcher told, in order. */
static pthread_mutex_t told_lock = PTHREAD_MUTEX_INITIALIZER;
static char told[4096][24];
static size_t told_n;

static void on_exit_told(const char *folder, void *arg) {
    (void)arg;
    pthread_mutex_lock(&told_lock);
    snprintf(told[told_n % 4096], sizeof told[0], "%s", folder);
    told_n++;
    pthread_mutex_unlock(&told_lock);
}

static size_t told_count(const char *folder) {
    size_t n = 0;
    pthread_mutex_lock(&told_lock);
    for (size_t i = 0; i < told_n && i < 4096; i++) {
        n += strcmp(told[i], folder) == 0;
    }
    pthread_mutex_unlock(&told_lock);
    return n;
}

static bool wait_told(const char *folder, int64_t ms) {
    for (const int64_t until = clock_mono_ms() + ms; clock_mono_ms() < until;) {
        if (told_count(folder) > 0) {
            return true;
        }
        clock_sleep_ms(5);
    }
    return false;
}

static struct watcher *watcher(void) {
    struct watcher *w = NULL;
    if (watcher_start(self, on_exit_told, NULL, &w)) {
        printf("no watcher\n");
        exit(1);
    }
    return w;
}

static const char *const plain_env[] = {"PATH=/usr/local/bin:/usr/bin:/bin", NULL};

struct job {
    const char *argv[12];
    const char *const *env;
    struct process_limits limits;
};

static struct process_spec spec_of(const struct job *j) {
    return (struct process_spec){.argv = j->argv,
                                 .env = j->env ? j->env : plain_env,
                                 .workdir = dir_path(root),
                                 .limits = j->limits};
}

/* Starts, waits and reads the status. */
static bool finish(struct watcher *w, const char *folder, const struct job *j,
                   struct process_status *s) {
    const struct process_spec spec = spec_of(j);
    err_clear(&ctx);
    if (process_start(w, &ctx, root, folder, &spec)) {
        printf("start: %s\n", ctx.err.message);
        return false;
    }
    if (!wait_told(folder, 30000)) {
        printf("%s: no end was told\n", folder);
        return false;
    }
    if (process_status(&ctx, root, folder, s)) {
        printf("status: %s\n", ctx.err.message);
        return false;
    }
    return true;
}

/* The whole log through the reader, stamps included. */
static char *whole_log(const char *folder, size_t *len) {
    struct buf b = {0};
    int64_t at = 0;
    for (;;) {
        char *data;
        size_t n;
        int64_t next;
        if (process_log_read(&ctx, root, folder, at, 1 << 20, &data, &n, &next) || n == 0) {
            break;
        }
        buf_put(&b, data, n);
        at = next;
    }
    char *copy = arena_dup(ctx.arena, b.data ? b.data : "", b.len + 1);
    if (len) {
        *len = b.len;
    }
    buf_free(&b);
    return copy;
}

static bool alive(pid_t pid) {
    struct proc_stat stat;
    return proc_stat_read(pid, &stat) && stat.state != 'Z' && stat.state != 'X';
}

static bool wait_dead(pid_t pid, int64_t ms) {
    for (const int64_t until = clock_mono_ms() + ms; clock_mono_ms() < until;) {
        if (!alive(pid)) {
            return true;
        }
        clock_sleep_ms(10);
    }
    return false;
}

/* Pids that a command wrote, one a line, after it had reached `want` lines. */
static size_t read_pids(const char *name, pid_t *out, size_t want) {
    for (const int64_t until = clock_mono_ms() + 10000; clock_mono_ms() < until;) {
        char *text = NULL;
        size_t n = 0;
        size_t got = 0;
        if (dir_read_file(root, name, ctx.arena, 4096, &text, &n) == 0) {
            for (char *at = text; got < want && strchr(at, '\n'); at = strchr(at, '\n') + 1) {
                out[got++] = (pid_t)atol(at);
            }
        }
        if (got == want) {
            return got;
        }
        clock_sleep_ms(10);
    }
    return 0;
}

static void test_exit_codes(void) {
    struct watcher *w = watcher();
    struct process_status s = {0};
    REQUIRE(finish(w, "exit0", &(struct job){.argv = {self, "exit", "0"}}, &s));
    CHECK_INT(s.exit_code, 0);
    CHECK_INT(s.signal, 0);
    CHECK(!s.timed_out && !s.cancelled && !s.start_failed);
    CHECK(s.ended_ms >= s.started_ms && s.started_ms > 1700000000000);
    CHECK(s.peak_rss_bytes > 100000);
    REQUIRE(finish(w, "exit3", &(struct job){.argv = {self, "exit", "3"}}, &s));
    CHECK_INT(s.exit_code, 3);
    CHECK_STR(s.reason, "exited with code 3");
    REQUIRE(finish(w, "segv", &(struct job){.argv = {self, "raise", "11"}}, &s));
    CHECK_INT(s.exit_code, -1);
    CHECK_INT(s.signal, SIGSEGV);
    CHECK_HAS(s.reason, "SIGSEGV");
    REQUIRE(finish(w, "killed", &(struct job){.argv = {self, "raise", "9"}}, &s));
    CHECK_INT(s.signal, SIGKILL);
    CHECK_HAS(s.reason, "out of memory");
    CHECK_INT(told_count("exit0"), 1);
    CHECK_INT(process_running(w), 0);
    watcher_stop(w);
}

static void test_missing_command(void) {
    struct watcher *w = watcher();
    struct process_status s = {0};
    REQUIRE(finish(w, "nocmd", &(struct job){.argv = {"no-such-command-here", "x"}}, &s));
    CHECK(s.start_failed);
    CHECK_INT(s.exit_code, -1);
    CHECK_HAS(s.reason, "'no-such-command-here' was not found in PATH (/usr/local/bin");
    CHECK_HAS(whole_log("nocmd", NULL), " k the command 'no-such-command-here'");
    REQUIRE(finish(w, "nopath", &(struct job){.argv = {"/no/such/file"}}, &s));
    CHECK_HAS(s.reason, "there is no such file");
    REQUIRE(finish(w, "folder", &(struct job){.argv = {"/etc"}}, &s));
    CHECK(s.start_failed);
    CHECK_HAS(s.reason, "Permission denied");
    dir_write_file(root, "noshebang", "echo hello\n", 11);
    CHECK_INT(fchmodat(dir_fd(root), "noshebang", 0700, 0), 0);
    REQUIRE(finish(w, "script", &(struct job){.argv = {"./noshebang"}}, &s));
    CHECK_HAS(s.reason, "#!");
    dir_write_file(root, "badshebang", "#!/no/interpreter\n", 18);
    CHECK_INT(fchmodat(dir_fd(root), "badshebang", 0700, 0), 0);
    REQUIRE(finish(w, "interp", &(struct job){.argv = {"./badshebang"}}, &s));
    CHECK_HAS(s.reason, "interpreter");
    /* The working directory is no place to look for commands, whatever PATH says. */
    static const char *const dots[] = {"PATH=.::bin", NULL};
    dir_write_file(root, "trap", "#!/bin/sh\n", 10);
    CHECK_INT(fchmodat(dir_fd(root), "trap", 0700, 0), 0);
    REQUIRE(finish(w, "dots", &(struct job){.argv = {"trap"}, .env = dots}, &s));
    CHECK(s.start_failed);
    struct process_spec gone = spec_of(&(struct job){.argv = {"true"}});
    gone.workdir = "/no/such/folder";
    CHECK_INT(process_start(w, &ctx, root, "nodir", &gone), 0);
    CHECK(wait_told("nodir", 10000));
    CHECK_INT(process_status(&ctx, root, "nodir", &s), 0);
    CHECK_HAS(s.reason, "working directory");
    watcher_stop(w);
}

static void test_argv_and_env(void) {
    static const char *const hostile[] = {
        "$(id)",      "`id`; rm -rf /",     "a\nb\n\nc",
        "'\"\\\t\"'", "--dashes=-x",        "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\x8e",
        "",           "\xff\xfe not UTF-8", NULL};
    static const char *const env[] = {
        "PATH=/usr/bin:/bin", "A=1", "EMPTY=", "B=x=y z\n$HOME", "UML=\xc3\xb6", NULL};
    struct watcher *w = watcher();
    struct process_status s = {0};
    struct job j = {.argv = {self, "dump", "dumped"}, .env = env};
    struct buf want = {0};
    for (size_t i = 0; hostile[i]; i++) {
        j.argv[3 + i] = hostile[i];
        buf_put(&want, hostile[i], strlen(hostile[i]) + 1);
    }
    buf_put(&want, "--\0", 3);
    for (size_t i = 0; env[i]; i++) {
        buf_put(&want, env[i], strlen(env[i]) + 1);
    }
    REQUIRE(finish(w, "dump", &j, &s));
    char *got = NULL;
    size_t n = 0;
    REQUIRE(dir_read_file(root, "dumped", ctx.arena, 1 << 20, &got, &n) == 0);
    CHECK_INT(n, want.len);
    CHECK(n == want.len && memcmp(got, want.data, n) == 0);
    buf_free(&want);
    /* And the token in the environment is nowhere in the folder. */
    CHECK_INT(dir_read_file(root, "dump/keeper.json", ctx.arena, 1 << 20, &got, &n), 0);
    CHECK(!strstr(got, "x=y z"));
    CHECK_HAS(got, "\"EMPTY\"");
    watcher_stop(w);
}

static void test_surroundings(void) {
    struct watcher *w = watcher();
    struct process_status s = {0};
    const int open_here = open("/dev/null", O_RDONLY); /* not close-on-exec: must not arrive */
    REQUIRE(finish(
        w, "around",
        &(struct job){.argv = {self, "around"},
                      .limits = {.open_files = 77, .cpu_seconds = 50, .file_bytes = 1 << 20}},
        &s));
    fd_close(open_here);
    CHECK_INT(s.exit_code, 0);
    const char *log = whole_log("around", NULL);
    CHECK_HAS(log, " o fds 3\n");
    CHECK_HAS(log, " o nofile 77\n");
    CHECK_HAS(log, " o cpu 50\n");
    CHECK_HAS(log, " o fsize 1048576\n");
    CHECK_HAS(log, " o core 0\n");
    CHECK_HAS(log, " o nnp 1\n");
    CHECK_HAS(log, " o leader 1\n");
    CHECK_HAS(log, " o umask 77\n");
    CHECK_HAS(log, " o blocked 0\n");
    CHECK_HAS(log, " o pipe default\n");
    CHECK_HAS(log, " o stdin 0\n");
    CHECK_HAS(log, " o oom 500\n");
    CHECK_HAS(log, " e to stderr\n");
    REQUIRE(finish(
        w, "fsize",
        &(struct job){.argv = {self, "grow", "2000000"}, .limits = {.file_bytes = 1 << 20}}, &s));
    CHECK_INT(s.signal, SIGXFSZ);
    CHECK_HAS(s.reason, "larger than its limit");
    REQUIRE(
        finish(w, "cpu", &(struct job){.argv = {self, "burn"}, .limits = {.cpu_seconds = 1}}, &s));
    CHECK_INT(s.signal, SIGXCPU);
    CHECK(s.cpu_ms >= 500 && s.cpu_ms < 3000);
    watcher_stop(w);
}

static void test_timeout_stubborn_tree(void) {
    struct watcher *w = watcher();
    struct process_status s = {0};
    const int64_t t0 = clock_mono_ms();
    REQUIRE(finish(w, "stubborn",
                   &(struct job){.argv = {self, "stubborn", "stubborn.pids"},
                                 .limits = {.timeout_ms = 1500, .grace_ms = 300}},
                   &s));
    const int64_t took = clock_mono_ms() - t0;
    CHECK(s.timed_out);
    CHECK_INT(s.signal, SIGKILL);
    CHECK_HAS(s.reason, "timeout of 1500 ms");
    CHECK(took >= 1800 && took < 8000);
    pid_t pids[3];
    REQUIRE(read_pids("stubborn.pids", pids, 3) == 3);
    for (int i = 0; i < 3; i++) {
        CHECK(!alive(pids[i]));
    }
    CHECK_HAS(whole_log("stubborn", NULL), " k still running after the grace");
    /* A polite one ends on TERM, with its own exit code, before the grace is over. */
    const int64_t t1 = clock_mono_ms();
    REQUIRE(finish(
        w, "polite",
        &(struct job){.argv = {self, "polite"}, .limits = {.timeout_ms = 700, .grace_ms = 20000}},
        &s));
    CHECK(s.timed_out);
    CHECK_INT(s.exit_code, 7);
    CHECK(clock_mono_ms() - t1 < 8000);
    watcher_stop(w);
}

static void test_daemons_die(void) {
    struct watcher *w = watcher();
    struct process_status s = {0};
    REQUIRE(finish(w, "daemons", &(struct job){.argv = {self, "daemons", "daemons.pids"}}, &s));
    CHECK_INT(s.exit_code, 0);
    pid_t pids[3];
    REQUIRE(read_pids("daemons.pids", pids, 3) == 3);
    for (int i = 0; i < 3; i++) {
        CHECK(!alive(pids[i]));
    }
    /* A family that forks and forks is stopped as well. */
    const int64_t t0 = clock_mono_ms();
    REQUIRE(finish(w, "rabbits",
                   &(struct job){.argv = {self, "rabbits", "rabbits.stop"},
                                 .limits = {.timeout_ms = 500, .grace_ms = 100}},
                   &s));
    CHECK(s.timed_out);
    CHECK(clock_mono_ms() - t0 < 20000);
    watcher_stop(w);
}

static void test_output(void) {
    struct watcher *w = watcher();
    struct process_status s = {0};
    size_t n = 0;
    REQUIRE(finish(w, "nonl", &(struct job){.argv = {self, "print", "no newline"}}, &s));
    char *log = whole_log("nonl", &n);
    CHECK_INT(n, 24 + 3 + 11);
    CHECK_STR(log + 24, " o no newline\n");
    CHECK_INT(s.log_bytes, n);
    CHECK_INT(s.log_dropped_bytes, 0);
    REQUIRE(finish(w, "binary", &(struct job){.argv = {self, "binary"}}, &s));
    log = whole_log("binary", &n);
    /* 0..255 hold one newline: two lines, every byte kept. */
    CHECK_INT(n, 2 * 27 + 256 + 1);
    CHECK(n == 311 && log[27] == 0 && log[28] == 1 && (unsigned char)log[n - 2] == 255);
    REQUIRE(finish(w, "long", &(struct job){.argv = {self, "long", "100000"}}, &s));
    log = whole_log("long", &n);
    size_t lines = 0;
    size_t text = 0;
    for (const char *at = log; *at;) {
        const char *nl = strchr(at, '\n');
        REQUIRE(nl);
        CHECK((size_t)(nl - at) <= 27 + (16 << 10));
        text += (size_t)(nl - at) - 27;
        lines++;
        at = nl + 1;
    }
    CHECK_INT(text, 100000);
    CHECK_INT(lines, 7);
    REQUIRE(finish(w, "closed", &(struct job){.argv = {self, "closed"}}, &s));
    CHECK_INT(s.exit_code, 5);
    CHECK(s.ended_ms - s.started_ms >= 250);
    watcher_stop(w);
}

/* 40 MB of numbered lines through a cap of 1 MB: the head and the tail are there, the hole is told,
 * every kept line is whole, the disk holds no more than the cap. */
static void test_output_cap(void) {
    struct watcher *w = watcher();
    struct process_status s = {0};
    REQUIRE(finish(w, "spew",
                   &(struct job){.argv = {self, "spew", "1000000"}, .limits = {.log_cap = 1 << 20}},
                   &s));
    CHECK_INT(s.exit_code, 0);
    size_t n = 0;
    char *log = whole_log("spew", &n);
    CHECK(n <= (1 << 20) + 4096);
    CHECK(n >= (1 << 19));
    CHECK_INT(s.log_bytes, 1000000LL * (24 + 3 + 22));
    CHECK(s.log_dropped_bytes >= s.log_bytes - (1 << 20));
    CHECK_STR(arena_strndup(ctx.arena, log + 24, 24), " o line 0000000000 of it");
    CHECK_STR(log + n - 22, "line 0000999999 of it\n");
    size_t gaps = 0;
    long last = -1;
    for (char *at = log; *at; at = strchr(at, '\n') + 1) {
        if (at[25] == 'k') {
            gaps++;
            CHECK(strtoll(at + 27, NULL, 10) > 1000000);
            last = -2;
            continue;
        }
        REQUIRE(strncmp(at + 24, " o line ", 8) == 0);
        const long number = strtol(at + 32, NULL, 10);
        if (last != -2) {
            CHECK(number == last + 1);
        }
        last = number;
    }
    CHECK_INT(gaps, 1);
    char **names;
    size_t files;
    int64_t disk = 0;
    REQUIRE(dir_list(root, "spew", ctx.arena, &names, &files) == 0);
    for (size_t i = 0; i < files; i++) {
        struct stat st;
        if (strncmp(names[i], "log", 3) == 0 &&
            fstatat(dir_fd(root), arena_printf(ctx.arena, "spew/%s", names[i]), &st, 0) == 0) {
            disk += st.st_size;
        }
    }
    CHECK(disk <= 1 << 20);
    CHECK_INT(disk, s.log_bytes - s.log_dropped_bytes);
    watcher_stop(w);
}

static void test_cancel(void) {
    struct watcher *w = watcher();
    const struct process_spec spec =
        spec_of(&(struct job){.argv = {self, "polite"}, .limits = {.grace_ms = 5000}});
    struct process_status s = {0};
    REQUIRE(process_start(w, &ctx, root, "cancel", &spec) == 0);
    CHECK_INT(process_running(w), 1);
    CHECK_INT(process_status(&ctx, root, "cancel", &s), -ERR_NOT_FOUND);
    err_clear(&ctx);
    clock_sleep_ms(300);
    CHECK_INT(process_cancel(w, &ctx, root, "cancel"), 0);
    REQUIRE(wait_told("cancel", 10000));
    REQUIRE(process_status(&ctx, root, "cancel", &s) == 0);
    CHECK(s.cancelled && !s.timed_out);
    CHECK_INT(s.exit_code, 7);
    CHECK_STR(s.reason, "was cancelled");
    /* At once after the start: whatever the keeper was doing, it ends as cancelled. */
    for (int i = 0; i < 10; i++) {
        char folder[24];
        snprintf(folder, sizeof folder, "early%d", i);
        REQUIRE(process_start(w, &ctx, root, folder, &spec) == 0);
        clock_sleep_ms(i);
        CHECK_INT(process_cancel(w, &ctx, root, folder), 0);
        REQUIRE(wait_told(folder, 15000));
        REQUIRE(process_status(&ctx, root, folder, &s) == 0);
        CHECK(s.cancelled);
    }
    CHECK_INT(process_cancel(w, &ctx, root, "nothing-there"), -ERR_NOT_FOUND);
    err_clear(&ctx);
    watcher_stop(w);
}

static void test_adoption(void) {
    struct watcher *w = watcher();
    const struct process_spec spec = spec_of(&(struct job){.argv = {self, "sleep", "900", "4"}});
    enum process_state state = PROCESS_LOST;
    CHECK_INT(process_adopt(w, &ctx, root, "adopt", &state), 0);
    CHECK_INT(state, PROCESS_UNSTARTED);
    REQUIRE(process_start(w, &ctx, root, "adopt", &spec) == 0);
    watcher_stop(w);
    w = watcher();
    CHECK_INT(process_adopt(w, &ctx, root, "adopt", &state), 0);
    if (state == PROCESS_UNSTARTED) { /* stopped before the keeper had its lock: seen later */
        clock_sleep_ms(300);
        CHECK_INT(process_adopt(w, &ctx, root, "adopt", &state), 0);
    }
    CHECK_INT(state, PROCESS_RUNNING);
    CHECK_INT(process_running(w), 1);
    CHECK_INT(told_count("adopt"), 0);
    REQUIRE(wait_told("adopt", 10000));
    struct process_status s = {0};
    REQUIRE(process_status(&ctx, root, "adopt", &s) == 0);
    CHECK_INT(s.exit_code, 4);
    CHECK_INT(told_count("adopt"), 1);
    CHECK_INT(process_adopt(w, &ctx, root, "adopt", &state), 0);
    CHECK_INT(state, PROCESS_ENDED);
    watcher_stop(w);
}

static void test_stranger_is_not_adopted(void) {
    struct watcher *w = watcher();
    enum process_state state = PROCESS_RUNNING;
    dir_mkdirs(root, "stranger");
    dir_write_file(root, "stranger/lock", "", 0);
    struct identity me;
    REQUIRE(identity_self(&me));
    me.start_time++; /* our number in somebody else's life */
    const char *text =
        arena_printf(ctx.arena, "{\"pid\":%d,\"start_time\":%llu,\"boot_id\":\"%s\"}", (int)me.pid,
                     (unsigned long long)me.start_time, me.boot_id);
    dir_write_file(root, "stranger/keeper.json", text, strlen(text));
    CHECK_INT(identity_open(&me), -1);
    CHECK_INT(process_adopt(w, &ctx, root, "stranger", &state), 0);
    CHECK_INT(state, PROCESS_LOST);
    /* A torn keeper.json is a start that nobody finished telling: lost as well. */
    dir_write_file(root, "stranger/keeper.json", "{\"pid\":", 7);
    CHECK_INT(process_adopt(w, &ctx, root, "stranger", &state), 0);
    CHECK_INT(state, PROCESS_LOST);
    watcher_stop(w);
}

static void test_lost(void) {
    struct watcher *w = watcher();
    const struct process_spec spec =
        spec_of(&(struct job){.argv = {self, "stubborn", "lost.pids"}});
    REQUIRE(process_start(w, &ctx, root, "lost", &spec) == 0);
    pid_t pids[3];
    REQUIRE(read_pids("lost.pids", pids, 3) == 3);
    struct dir *dir = NULL;
    struct identity id;
    REQUIRE(dir_open_sub(root, "lost", false, &dir) == 0);
    REQUIRE(folder_keeper_read(&ctx, dir, &id) == 0);
    CHECK(folder_locked(dir));
    CHECK_INT(kill(id.pid, SIGKILL), 0);
    REQUIRE(wait_told("lost", 10000));
    for (int i = 0; i < 3; i++) {
        CHECK(wait_dead(pids[i], 3000));
    }
    enum process_state state = PROCESS_RUNNING;
    CHECK_INT(process_adopt(w, &ctx, root, "lost", &state), 0);
    CHECK_INT(state, PROCESS_LOST);
    CHECK(!folder_locked(dir));
    dir_close(dir);
    struct process_status s;
    CHECK_INT(process_status(&ctx, root, "lost", &s), -ERR_NOT_FOUND);
    err_clear(&ctx);
    CHECK_INT(process_start(w, &ctx, root, "lost", &spec), -ERR_CONFLICT);
    err_clear(&ctx);
    CHECK_INT(process_running(w), 0);
    watcher_stop(w);
}

static void test_double_start(void) {
    struct watcher *w = watcher();
    struct watcher *v = watcher(); /* as a second daemon that raced to the same folder */
    const struct process_spec spec = spec_of(&(struct job){.argv = {self, "append", "doubled"}});
    for (int i = 0; i < 20; i++) {
        char folder[24];
        snprintf(folder, sizeof folder, "double%d", i);
        REQUIRE(process_start(w, &ctx, root, folder, &spec) == 0);
        const int second = process_start(v, &ctx, root, folder, &spec);
        CHECK(second == 0 || second == -ERR_CONFLICT);
        err_clear(&ctx);
        CHECK(process_start(w, &ctx, root, folder, &spec) == 0 || told_count(folder) > 0);
        err_clear(&ctx);
        REQUIRE(wait_told(folder, 10000));
    }
    for (int64_t until = clock_mono_ms() + 5000; process_running(w) + process_running(v) > 0;) {
        REQUIRE(clock_mono_ms() < until);
        clock_sleep_ms(10);
    }
    char *text = NULL;
    size_t n = 0;
    REQUIRE(dir_read_file(root, "doubled", ctx.arena, 1 << 20, &text, &n) == 0);
    CHECK_INT(n, 20); /* one byte per run: each ran once */
    watcher_stop(w);
    watcher_stop(v);
}

static void test_follow(void) {
    struct watcher *w = watcher();
    const struct process_spec spec = spec_of(&(struct job){.argv = {self, "slow"}});
    REQUIRE(process_start(w, &ctx, root, "follow", &spec) == 0);
    int64_t at = 0;
    size_t total = 0;
    size_t chunks = 0;
    while (told_count("follow") == 0 || chunks == 0) {
        char *data;
        size_t n;
        REQUIRE(process_log_read(&ctx, root, "follow", at, 65536, &data, &n, &at) == 0);
        total += n;
        chunks += n > 0;
        CHECK(n == 0 || data[n - 1] == '\n');
        clock_sleep_ms(20);
    }
    char *data;
    size_t n;
    REQUIRE(process_log_read(&ctx, root, "follow", at, 65536, &data, &n, &at) == 0);
    CHECK_INT(total + n, 5 * (27 + 7));
    CHECK(chunks >= 3);
    CHECK_INT(process_log_read(&ctx, root, "follow", 27 + 7, 27 + 7 + 5, &data, &n, &at), 0);
    CHECK_HAS(data, " o tick 1\n");
    CHECK_INT(n, 27 + 7);
    CHECK_INT(process_log_read(&ctx, root, "no-such", 0, 100, &data, &n, &at), 0);
    CHECK_INT(n, 0);
    watcher_stop(w);
}

static void test_run(void) {
    struct process_result r;
    struct process_spec spec = spec_of(&(struct job){.argv = {"cat"}});
    char *big = arena_alloc(ctx.arena, 1 << 20);
    memset(big, 'x', 1 << 20);
    REQUIRE(process_run(&ctx, &spec, big, 1 << 20, 2 << 20, &r) == 0);
    CHECK_INT(r.exit_code, 0);
    CHECK_INT(r.out_len, 1 << 20);
    CHECK(r.out_len == 1 << 20 && memcmp(r.out, big, 1 << 20) == 0);
    REQUIRE(process_run(&ctx, &spec, big, 1 << 20, 1000, &r) == 0);
    CHECK_INT(r.out_len, 1000);
    const struct job closes = {.argv = {self, "exit", "9"}};
    spec = spec_of(&closes);
    REQUIRE(process_run(&ctx, &spec, big, 1 << 20, 1000, &r) == 0);
    CHECK_INT(r.exit_code, 9);
    const struct job hangs = {.argv = {self, "stubborn", "run.pids"},
                              .limits = {.timeout_ms = 800}};
    spec = spec_of(&hangs);
    const int64_t t0 = clock_mono_ms();
    REQUIRE(process_run(&ctx, &spec, NULL, 0, 1000, &r) == 0);
    CHECK(r.timed_out);
    CHECK_INT(r.signal, SIGKILL);
    CHECK(clock_mono_ms() - t0 < 5000);
    const struct job none = {.argv = {"no-such-command"}};
    spec = spec_of(&none);
    CHECK_INT(process_run(&ctx, &spec, NULL, 0, 1000, &r), -ERR_UNPROCESSABLE);
    CHECK_HAS(ctx.err.message, "no-such-command");
    err_clear(&ctx);
}

static void test_rate(void) {
    enum { STEPS = 200 };
    struct watcher *w = watcher();
    const struct process_spec spec = spec_of(&(struct job){.argv = {"true"}});
    const int64_t t0 = clock_mono_ms();
    const size_t before = told_n;
    for (int i = 0; i < STEPS; i++) {
        char folder[24];
        snprintf(folder, sizeof folder, "rate%d", i);
        while (process_running(w) >= 4) {
            clock_sleep_ms(1);
        }
        REQUIRE(process_start(w, &ctx, root, folder, &spec) == 0);
    }
    for (int64_t until = clock_mono_ms() + 30000; process_running(w) > 0;) {
        REQUIRE(clock_mono_ms() < until);
        clock_sleep_ms(1);
    }
    const int64_t ms = clock_mono_ms() - t0;
    printf("     %d no-op steps in %lld ms: %.0f/s\n", STEPS, (long long)ms,
           STEPS * 1000.0 / (double)ms);
    watcher_stop(w); /* after the join all were told */
    CHECK_INT(told_n - before, STEPS);
}

/* ---- the commands ---- */

static void note_pid(const char *file) {
    char text[32];
    const int n = snprintf(text, sizeof text, "%d\n", (int)getpid());
    const int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    fd_write_all(fd, text, (size_t)n);
    fd_close(fd);
}

static _Noreturn void linger(const char *file) {
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    note_pid(file);
    for (;;) {
        pause();
    }
}

static void on_term(int signo) {
    (void)signo;
    _exit(7);
}

static void rabbits(const char *stop) {
    for (int i = 0; i < 400; i++) { /* bounded, should the test itself fail */
        if (access(stop, F_OK) == 0) {
            break;
        }
        const pid_t pid = fork();
        if (pid == 0) {
            setsid();
            signal(SIGTERM, SIG_IGN);
        }
        clock_sleep_ms(pid == 0 ? 5 : 20);
        if (pid > 0 && i > 0) {
            sleep(20);
            _exit(0);
        }
    }
}

static void around(void) {
    int fds = 0;
    for (int fd = 0; fd < 1024; fd++) {
        fds += fcntl(fd, F_GETFD) >= 0;
    }
    struct rlimit l;
    printf("fds %d\n", fds);
    getrlimit(RLIMIT_NOFILE, &l);
    printf("nofile %llu\n", (unsigned long long)l.rlim_cur);
    getrlimit(RLIMIT_CPU, &l);
    printf("cpu %llu\n", (unsigned long long)l.rlim_cur);
    getrlimit(RLIMIT_FSIZE, &l);
    printf("fsize %llu\n", (unsigned long long)l.rlim_cur);
    getrlimit(RLIMIT_CORE, &l);
    printf("core %llu\n", (unsigned long long)l.rlim_cur);
    printf("nnp %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    printf("leader %d\n", getpgrp() == getpid());
    printf("umask %o\n", umask(077));
    sigset_t set;
    sigprocmask(SIG_SETMASK, NULL, &set);
    int blocked = 0;
    for (int s = 1; s < 32; s++) {
        blocked += sigismember(&set, s) == 1;
    }
    printf("blocked %d\n", blocked);
    struct sigaction act;
    sigaction(SIGPIPE, NULL, &act);
    printf("pipe %s\n", act.sa_handler == SIG_DFL ? "default" : "other");
    char byte;
    printf("stdin %d\n", (int)read(0, &byte, 1));
    char oom[16] = "";
    const int fd = open("/proc/self/oom_score_adj", O_RDONLY);
    if (read(fd, oom, sizeof oom - 1) > 0) {
        printf("oom %s", oom);
    }
    close(fd);
    fprintf(stderr, "to stderr\n");
}

static int command(int argc, char **argv) {
    const char *what = argv[1];
    const char *arg = argc > 2 ? argv[2] : "";
    if (strcmp(what, "exit") == 0) {
        return atoi(arg);
    }
    if (strcmp(what, "raise") == 0) {
        signal(atoi(arg), SIG_DFL); /* a sanitizer has its own idea of SEGV */
        raise(atoi(arg));
        return 0;
    }
    if (strcmp(what, "dump") == 0) {
        const int fd = open(arg, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        for (int i = 3; i < argc; i++) {
            fd_write_all(fd, argv[i], strlen(argv[i]) + 1);
        }
        fd_write_all(fd, "--\0", 3);
        for (char **e = environ; *e; e++) {
            fd_write_all(fd, *e, strlen(*e) + 1);
        }
        close(fd);
        return 0;
    }
    if (strcmp(what, "around") == 0) {
        around();
        return 0;
    }
    if (strcmp(what, "grow") == 0) {
        char block[4096] = "";
        signal(SIGXFSZ, SIG_DFL);
        const int fd = open("grown", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        for (long n = atol(arg); n > 0; n -= (long)sizeof block) {
            fd_write_all(fd, block, sizeof block);
        }
        return 0;
    }
    if (strcmp(what, "burn") == 0) {
        for (volatile unsigned long i = 0;; i++) {
        }
    }
    if (strcmp(what, "stubborn") == 0) { /* two children, one of them a grandchild */
        if (fork() == 0) {
            if (fork() == 0) {
                linger(arg);
            }
            linger(arg);
        }
        linger(arg);
    }
    if (strcmp(what, "polite") == 0) {
        signal(SIGTERM, on_term);
        for (;;) {
            pause();
        }
    }
    if (strcmp(what, "daemons") == 0) {
        for (int i = 0; i < 3; i++) {
            if (fork() == 0) {
                setsid();
                if (fork() == 0) {
                    if (i > 0) { /* one goes on holding the output */
                        close(1);
                        close(2);
                    }
                    linger(arg);
                }
                _exit(0);
            }
            while (wait(NULL) > 0) {
            }
        }
        struct stat st;
        while (stat(arg, &st) != 0 || st.st_size < 6) {
            clock_sleep_ms(5);
        }
        clock_sleep_ms(50);
        return 0;
    }
    if (strcmp(what, "rabbits") == 0) {
        rabbits(arg);
        return 0;
    }
    if (strcmp(what, "print") == 0) {
        printf("%s", arg);
        return 0;
    }
    if (strcmp(what, "binary") == 0) {
        for (int i = 0; i < 256; i++) {
            putchar(i);
        }
        return 0;
    }
    if (strcmp(what, "long") == 0) {
        for (long i = atol(arg); i > 0; i--) {
            putchar('y');
        }
        return 0;
    }
    if (strcmp(what, "closed") == 0) {
        close(0);
        close(1);
        close(2);
        clock_sleep_ms(300);
        return 5;
    }
    if (strcmp(what, "spew") == 0) {
        for (long i = 0; i < atol(arg); i++) {
            printf("line %010ld of it\n", i);
        }
        return 0;
    }
    if (strcmp(what, "sleep") == 0) {
        clock_sleep_ms(atol(arg));
        return argc > 3 ? atoi(argv[3]) : 0;
    }
    if (strcmp(what, "append") == 0) {
        const int fd = open(arg, O_WRONLY | O_CREAT | O_APPEND, 0600);
        fd_write_all(fd, "x", 1);
        clock_sleep_ms(20);
        return 0;
    }
    if (strcmp(what, "slow") == 0) {
        for (int i = 0; i < 5; i++) {
            printf("tick %d\n", i);
            fflush(stdout);
            clock_sleep_ms(100);
        }
        return 0;
    }
    return 99;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "keeper") == 0) {
        return keeper_main(argv[2]);
    }
    if (argc > 1) {
        return command(argc, argv);
    }
    char folder[] = "/tmp/quern-process-XXXXXX";
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0 || !mkdtemp(folder) || dir_open(folder, true, &root)) {
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    ctx_begin(&ctx);
    RUN(test_exit_codes);
    RUN(test_missing_command);
    RUN(test_argv_and_env);
    RUN(test_surroundings);
    RUN(test_timeout_stubborn_tree);
    RUN(test_daemons_die);
    RUN(test_output);
    RUN(test_output_cap);
    RUN(test_cancel);
    RUN(test_adoption);
    RUN(test_stranger_is_not_adopted);
    RUN(test_lost);
    RUN(test_double_start);
    RUN(test_follow);
    RUN(test_run);
    RUN(test_rate);
    struct dir *tmp = NULL;
    if (check_failures == 0 && dir_open("/tmp", false, &tmp) == 0) {
        dir_remove_tree(tmp, folder + 5);
        dir_close(tmp);
    }
    dir_close(root);
    ctx_end(&ctx);
    return CHECK_END();
}
