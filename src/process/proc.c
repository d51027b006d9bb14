/* SPDX-License-Identifier: Apache-2.0 */
#include "proc.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "quern/base/arena.h"
#include "quern/base/fd.h"

bool proc_stat_read(pid_t pid, struct proc_stat *out) {
    char path[32];
    char text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    const ssize_t n = fd_read_all(fd, text, sizeof text - 1);
    fd_close(fd);
    if (n <= 0) {
        return false;
    }
    text[n] = 0;
    /* The name in parentheses may hold blanks and parentheses: the last one ends it. */
    const char *after = strrchr(text, ')');
    int ppid = 0;
    int session = 0;
    unsigned long long start = 0;
    if (!after || sscanf(after + 1,
                         " %c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
                         "%*d %llu",
                         &out->state, &ppid, &session, &start) != 4) {
        return false;
    }
    out->ppid = ppid;
    out->session = session;
    out->start_time = start;
    return true;
}

void proc_each(proc_visit *visit, void *arg) {
    DIR *proc = opendir("/proc");
    if (!proc) {
        return;
    }
    for (struct dirent *e; (e = readdir(proc));) {
        struct proc_stat stat;
        const pid_t pid = isdigit((unsigned char)e->d_name[0]) ? (pid_t)atol(e->d_name) : 0;
        if (pid > 0 && proc_stat_read(pid, &stat)) {
            visit(pid, &stat, arg);
        }
    }
    closedir(proc);
}

bool proc_signal(pid_t pid, uint64_t start_time, int signo) {
    const int fd = pidfd_open(pid, 0);
    struct proc_stat stat;
    const bool same = fd >= 0 && proc_stat_read(pid, &stat) && stat.start_time == start_time;
    const bool sent = same && pidfd_send_signal(fd, signo, NULL, 0) == 0;
    fd_close(fd);
    return sent;
}

struct entry {
    pid_t pid, ppid;
    uint64_t start_time;
    char state;
    bool inside;
};
struct table {
    struct entry *rows;
    size_t n, cap;
};

static void add_entry(pid_t pid, const struct proc_stat *stat, void *arg) {
    struct table *t = arg;
    if (t->n == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 256;
        t->rows = mem_realloc(t->rows, t->cap * sizeof *t->rows);
    }
    t->rows[t->n++] = (struct entry){
        .pid = pid, .ppid = stat->ppid, .start_time = stat->start_time, .state = stat->state};
}

static int by_pid(const void *a, const void *b) {
    const pid_t x = ((const struct entry *)a)->pid;
    const pid_t y = ((const struct entry *)b)->pid;
    return (x > y) - (x < y);
}

size_t proc_signal_tree(pid_t root, int signo) {
    struct table t = {0};
    proc_each(add_entry, &t);
    if (t.n > 1) {
        qsort(t.rows, t.n, sizeof *t.rows, by_pid);
    }
    /* Each round marks at least one more generation; depth bounds the rounds. */
    for (bool grew = true; grew;) {
        grew = false;
        for (size_t i = 0; i < t.n; i++) {
            struct entry *e = &t.rows[i];
            if (e->inside) {
                continue;
            }
            const struct entry key = {.pid = e->ppid};
            const struct entry *parent =
                e->ppid == root ? NULL : bsearch(&key, t.rows, t.n, sizeof *t.rows, by_pid);
            if (e->ppid == root || (parent && parent->inside)) {
                e->inside = true;
                grew = true;
            }
        }
    }
    size_t living = 0;
    for (size_t i = 0; i < t.n; i++) {
        const struct entry *e = &t.rows[i];
        if (e->inside && e->state != 'Z') {
            living++;
            proc_signal(e->pid, e->start_time, signo);
        }
    }
    free(t.rows);
    return living;
}
