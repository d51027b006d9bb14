/* SPDX-License-Identifier: Apache-2.0 */
/* Watcher: one thread that waits on the pidfds of all keepers. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "folder.h"
#include "keeper_image.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/failpoint.h"
#include "quern/base/fd.h"
#include "quern/base/log.h"
#include "quern/base/path.h"
#include "quern/base/thread.h"
#include "quern/core/ctx.h"
#include "quern/process/process.h"
#include "spec.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

enum { STARTING_WAIT_MS = 2000 }; /* between a keeper's lock and its keeper.json */

struct watch {
    struct watch *next;
    char *folder;
    struct dir *dir;
    int pidfd;
};

struct watcher {
    char *self_exe;
    int image; /* memfd of the small keeper, or -1 */
    process_exited *exited;
    void *arg;
    struct thread *thread;
    int epoll, stop;
    pthread_mutex_t lock; /* guards the list */
    struct watch *list;
    size_t count;
    /* Start, adopt and what the watcher does on an exit exclude each other per watcher, so that one
     * folder is never watched twice. */
    pthread_mutex_t starting;
};

static void watch_free(struct watch *w) {
    dir_close(w->dir);
    fd_close(w->pidfd);
    free(w->folder);
    free(w);
}

static struct watch *find(struct watcher *w, const char *folder) {
    struct watch *at = w->list;
    while (at && strcmp(at->folder, folder) != 0) {
        at = at->next;
    }
    return at;
}

static bool watched(struct watcher *w, const char *folder) {
    pthread_mutex_lock(&w->lock);
    const bool yes = find(w, folder) != NULL;
    pthread_mutex_unlock(&w->lock);
    return yes;
}

/* Takes dir and pidfd. */
static int add(struct watcher *w, const char *folder, struct dir *dir, int pidfd) {
    struct watch *new = mem_alloc(sizeof *new);
    new->folder = mem_strdup(folder);
    new->dir = dir;
    new->pidfd = pidfd;
    pthread_mutex_lock(&w->lock);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = new};
    const int e = epoll_ctl(w->epoll, EPOLL_CTL_ADD, pidfd, &event) == 0 ? 0 : -errno;
    if (e == 0) {
        new->next = w->list;
        w->list = new;
        w->count++;
    }
    pthread_mutex_unlock(&w->lock);
    if (e) {
        watch_free(new);
    }
    return e;
}

static void take_out(struct watcher *w, struct watch *gone) {
    pthread_mutex_lock(&w->lock);
    for (struct watch **at = &w->list; *at; at = &(*at)->next) {
        if (*at == gone) {
            *at = gone->next;
            w->count--;
            break;
        }
    }
    epoll_ctl(w->epoll, EPOLL_CTL_DEL, gone->pidfd, NULL);
    pthread_mutex_unlock(&w->lock);
}

/* A pidfd on the keeper that holds the folder's lock, or -1 when none does any more. */
static int open_keeper(struct ctx *c, struct dir *dir) {
    const int64_t until = clock_mono_ms() + STARTING_WAIT_MS;
    do {
        struct identity id;
        if (folder_keeper_read(c, dir, &id) == 0) {
            const int fd = identity_open(&id);
            if (fd >= 0 || !folder_locked(dir)) {
                return fd;
            }
        }
        clock_sleep_ms(5);
    } while (folder_locked(dir) && clock_mono_ms() < until);
    return -1;
}

static void clear_leftovers(struct ctx *c, struct dir *dir, const char *folder) {
    struct identity id;
    if (folder_keeper_read(c, dir, &id) == 0) {
        const size_t n = folder_kill_session(&id);
        if (n > 0) {
            log_warn("process.leftover", "%s: its keeper died; killed %zu processes it left",
                     folder, n);
        }
    }
}

static void keeper_gone(struct watcher *w, struct watch *gone) {
    struct ctx c;
    ctx_begin(&c);
    pthread_mutex_lock(&w->starting);
    enum process_state state = folder_state(gone->dir);
    if (state == PROCESS_LOST) {
        /* Before the reaping: the zombie keeps its number, so the session is surely its own. */
        clear_leftovers(&c, gone->dir, gone->folder);
    }
    siginfo_t info;
    while (waitid(P_PIDFD, (id_t)gone->pidfd, &info, WEXITED | WNOHANG) != 0 && errno == EINTR) {
    } /* ECHILD for an adopted one: its parent reaps it */
    int other = -1;
    if (state == PROCESS_RUNNING) { /* ours lost the race for the lock: watch the one that won */
        other = open_keeper(&c, gone->dir);
    }
    take_out(w, gone);
    bool again = false;
    if (other >= 0) {
        struct dir *dir = gone->dir;
        gone->dir = NULL;
        again = add(w, gone->folder, dir, other) == 0;
    }
    pthread_mutex_unlock(&w->starting);
    ctx_end(&c);
    if (!again) {
        w->exited(gone->folder, w->arg);
    }
    watch_free(gone);
}

static void watch_all(void *arg) {
    struct watcher *w = arg;
    for (;;) {
        struct epoll_event events[64];
        const int n = epoll_wait(w->epoll, events, ARRAY_LEN(events), -1);
        if (n < 0 && errno != EINTR) {
            log_error("process.watch", "epoll_wait failed: %s", strerror(errno));
            return;
        }
        for (int i = 0; i < n; i++) {
            if (!events[i].data.ptr) {
                return;
            }
            keeper_gone(w, events[i].data.ptr);
        }
    }
}

int watcher_start(const char *self_exe, process_exited *exited, void *arg, struct watcher **out) {
    struct watcher *w = mem_alloc(sizeof *w);
    w->self_exe = mem_strdup(self_exe);
    w->image = keeper_image_open();
    w->exited = exited;
    w->arg = arg;
    pthread_mutex_init(&w->lock, NULL);
    pthread_mutex_init(&w->starting, NULL);
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (w->epoll < 0 || w->stop < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->stop, &event) != 0) {
        const int e = -errno;
        fd_close(w->epoll);
        fd_close(w->stop);
        fd_close(w->image);
        free(w->self_exe);
        free(w);
        return e;
    }
    w->thread = thread_start("watcher", watch_all, w);
    *out = w;
    return 0;
}

void watcher_stop(struct watcher *w) {
    if (!w) {
        return;
    }
    const uint64_t one = 1;
    fd_write_all(w->stop, &one, sizeof one);
    thread_join(w->thread);
    while (w->list) {
        struct watch *next = w->list->next;
        watch_free(w->list);
        w->list = next;
    }
    fd_close(w->epoll);
    fd_close(w->stop);
    fd_close(w->image);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->starting);
    free(w->self_exe);
    free(w);
}

size_t process_running(struct watcher *w) {
    pthread_mutex_lock(&w->lock);
    const size_t n = w->count;
    pthread_mutex_unlock(&w->lock);
    return n;
}

/* The keeper's environment: nothing of the daemon's but what a sanitizer's run-time reads. */
static char **keeper_env(void) {
    static const char *const names[] = {"ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS",
                                        "LSAN_OPTIONS"};
    static char *none[] = {NULL};
    char **env = none;
#ifdef QUERN_SANITIZED
    env = mem_alloc((ARRAY_LEN(names) + 1) * sizeof *env);
    size_t n = 0;
    for (char **at = environ; *at; at++) {
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
            const size_t len = strlen(names[i]);
            if (n < ARRAY_LEN(names) && strncmp(*at, names[i], len) == 0 && (*at)[len] == '=') {
                env[n++] = *at;
            }
        }
    }
#else
    (void)names;
#endif
    return env;
}

/* image: the descriptor to execute, or -1 for self_exe. */
static int spawn_keeper(const char *self_exe, int image, const char *folder, struct dir *dir,
                        int memfd, pid_t *pid) {
    enum { FIRST = STDERR_FILENO + 1 };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t blocked;
    sigset_t all;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    /* By descriptor: a data directory that is moved while the daemon runs changes nothing. */
    int e = posix_spawn_file_actions_addfchdir_np(&actions, dir_fd(dir));
    e = e ? e : posix_spawn_file_actions_adddup2(&actions, memfd, STDIN_FILENO);
    e = e ? e : posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
#ifdef QUERN_SANITIZED
    e = e ? e
          : posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "keeper.stderr",
                                             O_WRONLY | O_CREAT | O_APPEND, 0600);
#else
    e = e ? e : posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
#endif
    if (image >= 0) { /* stays open over the exec, which names it; the keeper closes it */
        e = e ? e : posix_spawn_file_actions_adddup2(&actions, image, FIRST);
    }
    e = e ? e : posix_spawn_file_actions_addclosefrom_np(&actions, image >= 0 ? FIRST + 1 : FIRST);
    /* TERM and INT wait until the keeper reads them from its signalfd. */
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    sigfillset(&all);
    sigdelset(&all, SIGKILL);
    sigdelset(&all, SIGSTOP);
    e = e ? e : posix_spawnattr_setsigmask(&attr, &blocked);
    e = e ? e : posix_spawnattr_setsigdefault(&attr, &all);
    e = e ? e
          : posix_spawnattr_setflags(&attr, (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                    POSIX_SPAWN_SETSID));
    if (e == 0) {
        /* The first word is what `ps` shows; the folder is the working directory. */
        char *title = NULL;
        if (asprintf(&title, "quern:%s", folder) < 0) {
            mem_die();
        }
        char keeper[] = "keeper";
        char here[] = ".";
        char *argv[] = {title, keeper, here, NULL};
        char **env = keeper_env();
        e = posix_spawn(pid, image >= 0 ? "/proc/self/fd/3" : self_exe, &actions, &attr, argv, env);
#ifdef QUERN_SANITIZED
        free(env);
#endif
        free(title);
    }
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return -e;
}

static int start_locked(struct watcher *w, struct ctx *c, struct dir *root, const char *folder,
                        const struct process_spec *spec) {
    struct dir *dir = NULL;
    int e = dir_open_sub(root, folder, true, &dir);
    if (e) {
        return fail(c, e == -ENOSPC ? ERR_DISK_FULL : ERR_INTERNAL,
                    "the attempt's folder cannot be made: %s", strerror(-e));
    }
    switch (folder_state(dir)) {
    case PROCESS_RUNNING: {
        const int fd = open_keeper(c, dir);
        if (fd >= 0) {
            e = add(w, folder, dir, fd);
            return e ? fail(c, ERR_INTERNAL, "the attempt cannot be watched: %s", strerror(-e)) : 0;
        }
        dir_close(dir);
        return fail(c, ERR_CONFLICT, "the attempt was started before and is just ending");
    }
    case PROCESS_ENDED:
        dir_close(dir);
        return fail(c, ERR_CONFLICT, "the attempt was started before and has ended");
    case PROCESS_LOST:
        dir_close(dir);
        return fail(c, ERR_CONFLICT, "the attempt was started before and was lost");
    case PROCESS_UNSTARTED:
        break;
    }
    const int memfd = spec_to_memfd(spec);
    pid_t pid = 0;
    e = memfd < 0 ? memfd : spawn_keeper(w->self_exe, w->image, folder, dir, memfd, &pid);
    if (w->image >= 0 && (e == -EACCES || e == -EPERM || e == -ENOENT || e == -ENOEXEC)) {
        /* Policies may forbid to execute what is no file: from now on by the program itself. */
        log_warn("process.keeper", "the small keeper cannot be executed (%s); using %s",
                 strerror(-e), w->self_exe);
        fd_close(w->image);
        w->image = -1;
        e = spawn_keeper(w->self_exe, -1, folder, dir, memfd, &pid);
    }
    fd_close(memfd);
    if (e) {
        dir_close(dir);
        return memfd == -E2BIG
                   ? fail(c, ERR_TOO_LARGE,
                          "arguments and environment are longer than %d bytes together", SPEC_MAX)
                   : fail(c, ERR_BUSY, "no keeper process can be started: %s", strerror(-e));
    }
    FAILPOINT("spawned");
    const int pidfd = pidfd_open(pid, 0); /* only this watcher reaps it: the number is still its */
    e = pidfd < 0 ? -errno : add(w, folder, dir, pidfd);
    if (e) {
        if (pidfd < 0) {
            dir_close(dir);
        }
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
        }
        return fail(c, ERR_BUSY, "the keeper process cannot be watched: %s", strerror(-e));
    }
    return 0;
}

int process_start(struct watcher *w, struct ctx *c, struct dir *root, const char *folder,
                  const struct process_spec *spec) {
    if (!spec->argv || !spec->argv[0] || !spec->workdir || spec->workdir[0] != '/') {
        return fail(c, ERR_INVALID, "a step needs a command and an absolute working directory");
    }
    pthread_mutex_lock(&w->starting);
    const int r = watched(w, folder) ? 0 : start_locked(w, c, root, folder, spec);
    pthread_mutex_unlock(&w->starting);
    return r;
}

static int adopt_locked(struct watcher *w, struct ctx *c, struct dir *root, const char *folder,
                        enum process_state *state) {
    struct dir *dir = NULL;
    int e = dir_open_sub(root, folder, false, &dir);
    if (e == -ENOENT) {
        *state = PROCESS_UNSTARTED;
        return 0;
    }
    if (e) {
        return fail(c, ERR_INTERNAL, "the attempt's folder cannot be opened: %s", strerror(-e));
    }
    *state = folder_state(dir);
    if (*state == PROCESS_RUNNING) {
        const int fd = open_keeper(c, dir);
        if (fd >= 0) {
            e = add(w, folder, dir, fd);
            return e ? fail(c, ERR_INTERNAL, "the attempt cannot be watched: %s", strerror(-e)) : 0;
        }
        *state = folder_state(dir); /* it ended while we looked */
        if (*state == PROCESS_RUNNING) {
            dir_close(dir);
            return fail(c, ERR_INTERNAL,
                        "the attempt's lock is held by a process that is not its keeper");
        }
    }
    if (*state == PROCESS_LOST) {
        clear_leftovers(c, dir, folder);
    }
    dir_close(dir);
    return 0;
}

int process_adopt(struct watcher *w, struct ctx *c, struct dir *root, const char *folder,
                  enum process_state *state) {
    pthread_mutex_lock(&w->starting);
    int r = 0;
    if (watched(w, folder)) {
        *state = PROCESS_RUNNING;
    } else {
        r = adopt_locked(w, c, root, folder, state);
    }
    pthread_mutex_unlock(&w->starting);
    return r;
}

int process_status(struct ctx *c, struct dir *root, const char *folder,
                   struct process_status *out) {
    struct dir *dir = NULL;
    const int e = dir_open_sub(root, folder, false, &dir);
    if (e) {
        return fail(c, e == -ENOENT ? ERR_NOT_FOUND : ERR_INTERNAL,
                    "the attempt's folder cannot be opened: %s", strerror(-e));
    }
    const int r = folder_status_read(c, dir, out);
    dir_close(dir);
    return r;
}

int process_cancel(struct watcher *w, struct ctx *c, struct dir *root, const char *folder) {
    struct dir *dir = NULL;
    int e = dir_open_sub(root, folder, false, &dir);
    if (e == 0) {
        const int fd = dir_openat(dir, "cancel", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        e = fd < 0 ? fd : 0;
        fd_close(fd);
        dir_close(dir);
    }
    if (e) {
        return fail(c, e == -ENOENT ? ERR_NOT_FOUND : ERR_INTERNAL,
                    "the attempt cannot be cancelled: %s", strerror(-e));
    }
    /* The list's lock keeps the watch, and so its pidfd, alive during the signal. */
    pthread_mutex_lock(&w->lock);
    const struct watch *at = find(w, folder);
    if (at) {
        pidfd_send_signal(at->pidfd, SIGTERM, NULL, 0);
    }
    pthread_mutex_unlock(&w->lock);
    return 0;
}
