/* SPDX-License-Identifier: Apache-2.0 */
/* Keeper: the one process that stands between the daemon and a step. Single-threaded, small, and
 * the parent or subreaper of everything the step starts, so it can wait for all of it, kill all of
 * it, and say how it ended while daemons come and go. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "folder.h"
#include "keeper_child.h"
#include "keeper_log.h"
#include "proc.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/fd.h"
#include "quern/base/path.h"
#include "quern/process/process.h"
#include "spec.h"

enum {
    READ_SIZE = 64 << 10,
    READS_PER_TURN = 16, /* then the clock and the signals get their turn */
    LAST_TURNS = 64,
    KILL_AGAIN_MS = 20,      /* between walks over the process table while killing */
    KILL_GIVE_UP_MS = 60000, /* a process in uninterruptible sleep cannot be killed */
    EXIT_NOT_MINE = 75,      /* another keeper has this attempt, or it ended */
    EXIT_BROKEN = 70,
};

/* RUNNING until something asks for the end; ASKED after TERM; KILLING after the grace, or when the
 * command itself ended; DONE when no descendant is left. */
enum phase { PHASE_RUNNING, PHASE_ASKED, PHASE_KILLING, PHASE_DONE };

struct keeper {
    struct arena *arena;
    struct dir *dir;
    struct process_spec spec;
    struct keeper_log log;
    struct log_stream out, err;
    int signals, out_fd, err_fd, report_fd;
    int daemon; /* pidfd of who the tree is tied to; -1 */
    pid_t child;
    bool child_ended;
    int child_status;
    enum phase phase;
    int64_t timeout_at, phase_until, kill_at; /* monotonic ms; 0: none */
    size_t unkillable;
    struct start_failure failure;
    struct process_status status;
    char *buffer;
};

static int64_t sooner(int64_t a, int64_t b) {
    return a == 0 ? b : b == 0 || a < b ? a : b;
}

static void ask_to_end(struct keeper *k) {
    if (k->phase != PHASE_RUNNING) {
        return;
    }
    k->phase = PHASE_ASKED;
    k->phase_until = clock_mono_ms() + k->spec.limits.grace_ms;
    proc_signal_tree(getpid(), SIGTERM);
    proc_signal_tree(getpid(), SIGCONT); /* a stopped process would sleep through the TERM */
}

static void start_killing(struct keeper *k) {
    if (k->phase < PHASE_KILLING) {
        k->phase = PHASE_KILLING;
        k->kill_at = clock_mono_ms();
        k->phase_until = k->kill_at + KILL_GIVE_UP_MS;
    }
}

static void kill_round(struct keeper *k) {
    /* Stopped first, so that a family that forks faster than we walk cannot outgrow the walk. */
    size_t before = 0;
    for (int i = 0; i < 8; i++) {
        const size_t now = proc_signal_tree(getpid(), SIGSTOP);
        if (now <= before) {
            break;
        }
        before = now;
    }
    k->unkillable = proc_signal_tree(getpid(), SIGKILL);
    k->kill_at = clock_mono_ms() + KILL_AGAIN_MS;
}

static void reap(struct keeper *k) {
    for (;;) {
        int status;
        const pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid == 0 || (pid < 0 && errno == EINTR)) {
            if (pid == 0) {
                break;
            }
            continue;
        }
        if (pid < 0) { /* ECHILD: nobody is left */
            k->phase = PHASE_DONE;
            return;
        }
        if (pid == k->child) {
            k->child_ended = true;
            k->child_status = status;
            k->status.ended_ms = clock_wall_ms();
        }
    }
    if (k->child_ended && k->phase == PHASE_RUNNING) {
        start_killing(k);
    }
}

static void read_signals(struct keeper *k) {
    struct signalfd_siginfo info;
    while (read(k->signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            continue;
        }
        if (!k->status.cancelled && k->phase == PHASE_RUNNING && !k->child_ended) {
            k->status.cancelled = true;
            keeper_log_say(&k->log, "cancelled: TERM to all processes, KILL after %" PRId64 " ms",
                           k->spec.limits.grace_ms);
            ask_to_end(k);
        }
    }
}

static void read_report(struct keeper *k) {
    struct start_failure f;
    const ssize_t n = read(k->report_fd, &f, sizeof f);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n == (ssize_t)sizeof f) {
        f.what[sizeof f.what - 1] = 0;
        k->failure = f;
        k->status.start_failed = true;
    }
    fd_close(k->report_fd);
    k->report_fd = -1;
}

/* Returns false when nothing more came. */
static bool read_output(struct keeper *k, int *fd, struct log_stream *s) {
    for (int i = 0; i < READS_PER_TURN && *fd >= 0; i++) {
        const ssize_t n = read(*fd, k->buffer, READ_SIZE);
        if (n > 0) {
            keeper_log_feed(&k->log, s, k->buffer, (size_t)n);
            continue;
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n == 0 || errno != EAGAIN) {
            fd_close(*fd);
            *fd = -1;
        }
        return false;
    }
    return *fd >= 0;
}

static void timers(struct keeper *k) {
    const int64_t now = clock_mono_ms();
    if (k->phase == PHASE_RUNNING && k->timeout_at && now >= k->timeout_at) {
        k->status.timed_out = true;
        keeper_log_say(&k->log,
                       "timeout of %" PRId64 " ms reached: TERM to all processes, KILL after "
                       "%" PRId64 " ms",
                       k->spec.limits.timeout_ms, k->spec.limits.grace_ms);
        ask_to_end(k);
    }
    if (k->phase == PHASE_ASKED && now >= k->phase_until) {
        keeper_log_say(&k->log, "still running after the grace: KILL");
        start_killing(k);
    }
    if (k->phase == PHASE_KILLING && now >= k->kill_at) {
        kill_round(k);
    }
    if (k->phase == PHASE_KILLING && now >= k->phase_until) {
        keeper_log_say(&k->log, "%zu processes cannot be killed and are left behind",
                       k->unkillable);
        k->phase = PHASE_DONE;
    }
}

static int wait_ms(const struct keeper *k) {
    int64_t at = 0;
    if (k->phase == PHASE_RUNNING) {
        at = k->timeout_at;
    } else if (k->phase == PHASE_ASKED) {
        at = k->phase_until;
    } else {
        at = sooner(k->kill_at, k->phase_until);
    }
    if (at == 0) {
        return -1;
    }
    const int64_t left = at - clock_mono_ms();
    return left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
}

static void watch(struct keeper *k) {
    while (k->phase != PHASE_DONE) {
        struct pollfd fds[] = {
            {.fd = k->signals, .events = POLLIN},
            {.fd = k->out_fd, .events = POLLIN}, /* -1 is skipped by poll */
            {.fd = k->err_fd, .events = POLLIN},
            {.fd = k->report_fd, .events = POLLIN},
            {.fd = k->daemon, .events = POLLIN},
        };
        if (poll(fds, ARRAY_LEN(fds), wait_ms(k)) < 0 && errno != EINTR) {
            keeper_log_say(&k->log, "poll failed: %s", strerror(errno));
            start_killing(k);
        }
        if (k->report_fd >= 0 && fds[3].revents) {
            read_report(k);
        }
        if (k->daemon >= 0 && fds[4].revents) { /* nobody is left who would use it or end it */
            fd_close(k->daemon);
            k->daemon = -1;
            k->status.cancelled = true;
            keeper_log_say(&k->log, "the daemon has ended: KILL to all processes");
            start_killing(k);
        }
        read_output(k, &k->out_fd, &k->out);
        read_output(k, &k->err_fd, &k->err);
        keeper_log_flush(&k->log);
        read_signals(k);
        reap(k);
        timers(k);
    }
    if (k->report_fd >= 0) {
        read_report(k);
    }
    /* All writers are gone, so this empties the pipes; the bound is for a descriptor that was
     * passed to a stranger who goes on writing. */
    for (int i = 0; i < LAST_TURNS; i++) {
        const bool more_out = read_output(k, &k->out_fd, &k->out);
        const bool more_err = read_output(k, &k->err_fd, &k->err);
        if (!more_out && !more_err) {
            break;
        }
    }
}

static const char *reason_of_signal(const struct keeper *k, int signo) {
    const char *name = sigabbrev_np(signo);
    const char *more = "";
    if (signo == SIGKILL) {
        more = "; neither a timeout nor a cancel sent it, so most likely the kernel ran out of "
               "memory, or a person did it";
    } else if (signo == SIGXCPU) {
        more = ": its CPU time limit is used up";
    } else if (signo == SIGXFSZ) {
        more = ": it wrote a file larger than its limit";
    }
    return arena_printf(k->arena, "ended by signal %d (SIG%s)%s", signo, name ? name : "?", more);
}

static void conclude(struct keeper *k) {
    struct process_status *s = &k->status;
    struct rusage usage = {0};
    getrusage(RUSAGE_CHILDREN, &usage);
    s->cpu_ms = (int64_t)usage.ru_utime.tv_sec * 1000 + usage.ru_utime.tv_usec / 1000 +
                (int64_t)usage.ru_stime.tv_sec * 1000 + usage.ru_stime.tv_usec / 1000;
    s->peak_rss_bytes = (int64_t)usage.ru_maxrss * 1024;
    s->exit_code = -1;
    const bool exited = k->child_ended && WIFEXITED(k->child_status);
    const bool signalled = k->child_ended && WIFSIGNALED(k->child_status);
    if (exited && !s->start_failed) {
        s->exit_code = WEXITSTATUS(k->child_status);
    }
    if (signalled) {
        s->signal = WTERMSIG(k->child_status);
    }
    if (s->start_failed) {
        s->reason = child_failure_text(k->arena, &k->spec, &k->failure);
    } else if (s->timed_out) {
        s->reason = arena_printf(k->arena, "ran into its timeout of %" PRId64 " ms",
                                 k->spec.limits.timeout_ms);
    } else if (s->cancelled) {
        s->reason = "was cancelled";
    } else if (signalled) {
        s->reason = reason_of_signal(k, s->signal);
    } else {
        s->reason = arena_printf(k->arena, "exited with code %d", s->exit_code);
    }
    if (s->ended_ms == 0) {
        s->ended_ms = clock_wall_ms();
    }
    keeper_log_end(&k->log, &k->out);
    keeper_log_end(&k->log, &k->err);
    if (s->exit_code != 0) {
        keeper_log_say(&k->log, "%s", s->reason);
    }
    keeper_log_close(&k->log);
    s->log_bytes = k->log.offset;
    s->log_dropped_bytes = k->log.offset - k->log.kept;
}

static int launch(struct keeper *k) {
    int out[2];
    int err[2];
    int report[2];
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0 || pipe2(report, O_CLOEXEC) != 0) {
        return -errno;
    }
    /* Only our ends: the command's ends are new file descriptions of the same pipes. */
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(err[0], F_SETFL, O_NONBLOCK);
    fcntl(report[0], F_SETFL, O_NONBLOCK);
    k->child = child_start(&k->spec, out[1], err[1], report[1]);
    const int e = errno;
    fd_close(out[1]);
    fd_close(err[1]);
    fd_close(report[1]);
    if (k->child < 0) {
        return -e;
    }
    setpgid(k->child, k->child); /* the child does it too; whoever is first */
    k->out_fd = out[0];
    k->err_fd = err[0];
    k->report_fd = report[0];
    return 0;
}

static void run(struct keeper *k) {
    k->status.started_ms = clock_wall_ms();
    if (k->spec.limits.timeout_ms > 0) {
        k->timeout_at = clock_mono_ms() + k->spec.limits.timeout_ms;
    }
    if (dir_exists(k->dir, "cancel")) {
        k->status.cancelled = true;
        return;
    }
    const int e = launch(k);
    if (e) {
        k->status.start_failed = true;
        k->failure = (struct start_failure){.stage = STAGE_SETUP, .error = -e, .what = "a process"};
        return;
    }
    watch(k);
}

static int signals_to_fd(void) {
    sigset_t mine;
    sigemptyset(&mine);
    sigaddset(&mine, SIGCHLD);
    sigaddset(&mine, SIGTERM);
    sigaddset(&mine, SIGINT);
    sigprocmask(SIG_SETMASK, &mine, NULL);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &mine, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void close_strays(void) {
    if (close_range(STDERR_FILENO + 1, ~0U, 0) != 0) {
        errno = 0; /* before 5.9: the daemon's descriptors were close-on-exec anyway */
    }
}

/* By the parent's number, which is surely the daemon's while it is our parent. */
static bool tie(struct keeper *k, pid_t daemon) {
    if (daemon == 0) {
        return true;
    }
    k->daemon = pidfd_open(daemon, 0);
    return k->daemon >= 0 && getppid() == daemon;
}

static int keep(struct keeper *k, const char *folder) {
    int e = dir_open(folder, false, &k->dir);
    if (e) {
        fprintf(stderr, "quern keeper: %s cannot be opened: %s\n", folder, strerror(-e));
        return EXIT_BROKEN;
    }
    const int lock = folder_lock(k->dir);
    if (lock == -EWOULDBLOCK || dir_exists(k->dir, "keeper.json") ||
        dir_exists(k->dir, "status.json")) {
        return EXIT_NOT_MINE;
    }
    if (lock < 0) {
        return EXIT_BROKEN;
    }
    const char *why = NULL;
    int tied_to = 0;
    if (spec_from_fd(k->arena, STDIN_FILENO, &k->spec, &tied_to, &why)) {
        fprintf(stderr, "quern keeper: %s\n", why);
        return EXIT_BROKEN;
    }
    if (!tie(k, tied_to)) {
        return EXIT_BROKEN;
    }
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct identity self;
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0 || !identity_self(&self)) {
        return EXIT_BROKEN;
    }
    fd_close(null);
    e = folder_keeper_write(k->dir, &self, &k->spec);
    if (e) {
        return EXIT_BROKEN;
    }
    keeper_log_open(&k->log, k->dir, k->spec.limits.log_cap);
    run(k);
    conclude(k);
    while ((e = folder_status_write(k->dir, &k->status)) == -ENOSPC || e == -EDQUOT) {
        clock_sleep_ms(1000); /* a full disk is told by waiting: an end that is lost is worse */
    }
    return e ? EXIT_BROKEN : 0;
}

int keeper_main(const char *folder) {
    close_strays();
    umask(077);
    prctl(PR_SET_NAME, "quern-keeper");
    setsid(); /* fails when the daemon made it a leader already */
    struct keeper k = {.arena = arena_new(),
                       .signals = signals_to_fd(),
                       .out = {.tag = 'o'},
                       .err = {.tag = 'e'},
                       .out_fd = -1,
                       .err_fd = -1,
                       .report_fd = -1,
                       .daemon = -1};
    k.buffer = arena_alloc(k.arena, READ_SIZE);
    const int code = k.signals < 0 ? EXIT_BROKEN : keep(&k, folder);
    dir_close(k.dir);
    arena_free(k.arena);
    return code;
}
