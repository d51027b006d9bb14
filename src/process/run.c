/* SPDX-License-Identifier: Apache-2.0 */
/* Run: a short command, its input given and its output caught. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "keeper_child.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/fd.h"
#include "quern/core/ctx.h"
#include "quern/process/process.h"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

enum { DEFAULT_TIMEOUT_MS = 60000 };

struct conversation {
    int in, out, err, pidfd; /* our ends; -1 when closed */
    const char *input;
    size_t input_left, cap;
    struct buf out_text, err_text;
};

static int spawn_command(struct ctx *c, const struct process_spec *spec, const char *file, int in,
                         int out, int err, pid_t *pid) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none;
    sigset_t all;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    int e = in >= 0 ? posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO)
                    : posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
                                                       O_RDONLY, 0);
    e = e ? e : posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    e = e ? e : posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    e = e ? e : posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    e = e ? e : posix_spawn_file_actions_addchdir_np(&actions, spec->workdir);
    sigemptyset(&none);
    sigfillset(&all);
    sigdelset(&all, SIGKILL);
    sigdelset(&all, SIGSTOP);
    e = e ? e : posix_spawnattr_setsigmask(&attr, &none);
    e = e ? e : posix_spawnattr_setsigdefault(&attr, &all);
    e = e ? e : posix_spawnattr_setpgroup(&attr, 0);
    e = e ? e
          : posix_spawnattr_setflags(&attr, (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                    POSIX_SPAWN_SETPGROUP));
    e = e ? e
          : posix_spawn(pid, file, &actions, &attr, (char *const *)(uintptr_t)spec->argv,
                        (char *const *)(uintptr_t)spec->env);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return e ? fail(c, ERR_UNPROCESSABLE, "the command '%s' cannot be executed: %s", spec->argv[0],
                    strerror(e))
             : 0;
}

/* posix_spawn knows no limits; set from outside they hold from the first moments on. */
static void set_limits(pid_t pid, const struct process_limits *l) {
    const struct {
        __rlimit_resource_t which;
        int64_t value;
    } rows[] = {{RLIMIT_CPU, l->cpu_seconds},
                {RLIMIT_FSIZE, l->file_bytes},
                {RLIMIT_NOFILE, l->open_files},
                {RLIMIT_AS, l->memory_bytes}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].value > 0) {
            const struct rlimit r = {.rlim_cur = (rlim_t)rows[i].value,
                                     .rlim_max = (rlim_t)rows[i].value};
            prlimit(pid, rows[i].which, &r, NULL);
        }
    }
    const struct rlimit none = {0};
    prlimit(pid, RLIMIT_CORE, &none, NULL);
}

static void take(int *fd, struct buf *into, size_t cap) {
    char piece[16384];
    const ssize_t n = read(*fd, piece, sizeof piece);
    if (n > 0) {
        const size_t room = cap > into->len ? cap - into->len : 0;
        buf_put(into, piece, (size_t)n < room ? (size_t)n : room); /* the rest is only drained */
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        fd_close(*fd);
        *fd = -1;
    }
}

static void give(struct conversation *t) {
    const ssize_t n = write(t->in, t->input, t->input_left);
    if (n > 0) {
        t->input += n;
        t->input_left -= (size_t)n;
    }
    if (t->input_left == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        fd_close(t->in);
        t->in = -1;
    }
}

/* Returns false when the deadline came first. */
static bool talk(struct conversation *t, int64_t until) {
    bool ended = false;
    while (!ended || t->out >= 0 || t->err >= 0) {
        struct pollfd fds[] = {{.fd = t->in, .events = POLLOUT},
                               {.fd = t->out, .events = POLLIN},
                               {.fd = t->err, .events = POLLIN},
                               {.fd = ended ? -1 : t->pidfd, .events = POLLIN}};
        const int64_t left = until - clock_mono_ms();
        if (left <= 0) {
            return false;
        }
        const int n = poll(fds, ARRAY_LEN(fds), ended ? 0 : (int)(left > 60000 ? 60000 : left));
        if (n < 0 && errno != EINTR) {
            return false;
        }
        if (ended && n == 0) {
            return true; /* the pipes are empty; who still holds them is killed with the group */
        }
        if (n <= 0) {
            continue;
        }
        if (fds[0].revents) {
            give(t);
        }
        if (fds[1].revents) {
            take(&t->out, &t->out_text, t->cap);
        }
        if (fds[2].revents) {
            take(&t->err, &t->err_text, t->cap);
        }
        if (fds[3].revents) {
            ended = true;
        }
    }
    return true;
}

static int open_pipe(int fds[2], int ours) {
    if (pipe2(fds, O_CLOEXEC) != 0) {
        fds[0] = fds[1] = -1;
        return -errno;
    }
    fcntl(fds[ours], F_SETFL, O_NONBLOCK);
    return 0;
}

static char *text_of(struct ctx *c, const struct buf *b) {
    return b->data ? arena_dup(c->arena, b->data, b->len + 1) : arena_strdup(c->arena, "");
}

int process_run(struct ctx *c, const struct process_spec *spec, const void *input, size_t input_len,
                size_t cap, struct process_result *out) {
    *out = (struct process_result){0};
    int error = 0;
    const char *file = child_lookup(c->arena, spec, &error);
    if (!file) {
        return fail(c, ERR_UNPROCESSABLE, "the command '%s' cannot be executed: %s", spec->argv[0],
                    error == ENOENT ? "it was not found" : strerror(error));
    }
    /* Writing to a command that has closed its input must be an error here, not a signal. */
    sigset_t pipe_set;
    sigset_t old_set;
    sigemptyset(&pipe_set);
    sigaddset(&pipe_set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_set, &old_set);
    int in_pipe[2] = {-1, -1};
    int out_pipe[2] = {-1, -1};
    int err_pipe[2] = {-1, -1};
    pid_t pid = -1;
    int r = 0;
    if ((input_len && open_pipe(in_pipe, 1)) || open_pipe(out_pipe, 0) || open_pipe(err_pipe, 0)) {
        r = fail(c, ERR_BUSY, "no pipe can be opened for '%s'", spec->argv[0]);
    } else {
        r = spawn_command(c, spec, file, in_pipe[0], out_pipe[1], err_pipe[1], &pid);
    }
    fd_close(in_pipe[0]);
    fd_close(out_pipe[1]);
    fd_close(err_pipe[1]);
    struct conversation t = {.in = in_pipe[1],
                             .out = out_pipe[0],
                             .err = err_pipe[0],
                             .pidfd = -1,
                             .input = input,
                             .input_left = input_len,
                             .cap = cap};
    if (r == 0) {
        set_limits(pid, &spec->limits);
        t.pidfd = pidfd_open(pid, 0);
        const int64_t ms =
            spec->limits.timeout_ms > 0 ? spec->limits.timeout_ms : DEFAULT_TIMEOUT_MS;
        out->timed_out = t.pidfd < 0 || !talk(&t, clock_mono_ms() + ms);
        kill(-pid, SIGKILL); /* not reaped yet: the group is still its own */
        int status = 0;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        out->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        out->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        out->out_len = t.out_text.len;
        out->err_len = t.err_text.len;
        out->out = text_of(c, &t.out_text);
        out->err = text_of(c, &t.err_text);
    }
    fd_close(t.in);
    fd_close(t.out);
    fd_close(t.err);
    fd_close(t.pidfd);
    buf_free(&t.out_text);
    buf_free(&t.err_text);
    const struct timespec now = {0};
    while (sigtimedwait(&pipe_set, NULL, &now) > 0) { /* ours, if any: it must not fire later */
    }
    pthread_sigmask(SIG_SETMASK, &old_set, NULL);
    return r;
}
