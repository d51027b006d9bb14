/* SPDX-License-Identifier: Apache-2.0 */
#include "keeper_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quern/base/arena.h"
#include "quern/base/fd.h"

static const char default_path[] = "/usr/local/bin:/usr/bin:/bin";

const char *child_env(const char *const *env, const char *name) {
    const size_t n = strlen(name);
    for (size_t i = 0; env && env[i]; i++) {
        if (strncmp(env[i], name, n) == 0 && env[i][n] == '=') {
            return env[i] + n + 1;
        }
    }
    return NULL;
}

static bool executable(const char *path, int *error) {
    struct stat st;
    if (stat(path, &st) != 0) {
        if (errno != ENOENT && errno != ENOTDIR) {
            *error = errno;
        }
        return false;
    }
    if (!S_ISREG(st.st_mode)) {
        *error = EACCES;
        return false;
    }
    if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) != 0) {
        *error = errno;
        return false;
    }
    return true;
}

char *child_lookup(struct arena *a, const struct process_spec *spec, int *error) {
    const char *name = spec->argv[0];
    *error = ENOENT;
    if (name[0] == 0) {
        return NULL;
    }
    if (strchr(name, '/')) { /* a relative name is relative to the working directory */
        char *path =
            name[0] == '/' ? arena_strdup(a, name) : arena_printf(a, "%s/%s", spec->workdir, name);
        return executable(path, error) ? path : NULL;
    }
    const char *path = child_env(spec->env, "PATH");
    for (const char *at = path ? path : default_path; at;) {
        const char *colon = strchr(at, ':');
        const size_t n = colon ? (size_t)(colon - at) : strlen(at);
        if (n > 0 && at[0] == '/') { /* "" and "." would search the working directory */
            char *file = arena_printf(a, "%.*s/%s", (int)n, at, name);
            if (executable(file, error)) {
                return file;
            }
        }
        at = colon ? colon + 1 : NULL;
    }
    return NULL;
}

static _Noreturn void give_up(int report, int stage, int error, const char *what) {
    struct start_failure f = {.stage = stage, .error = error};
    strncpy(f.what, what, sizeof f.what - 1);
    fd_write_all(report, &f, sizeof f);
    _exit(127);
}

static void limit(int report, __rlimit_resource_t which, int64_t value, const char *name) {
    struct rlimit now;
    if (getrlimit(which, &now) != 0) {
        give_up(report, STAGE_LIMIT, errno, name);
    }
    const rlim_t wanted = (rlim_t)value;
    /* An inherited limit that is stricter stays; raising it needs a right we may not have. */
    const rlim_t value_set =
        now.rlim_max != RLIM_INFINITY && wanted > now.rlim_max ? now.rlim_max : wanted;
    rlim_t hard = value_set;
    if (which == RLIMIT_CPU && value_set != now.rlim_max) {
        hard = value_set + 1; /* XCPU first, which names the cause; KILL a second later */
    }
    const struct rlimit new = {.rlim_cur = value_set, .rlim_max = hard};
    if (setrlimit(which, &new) != 0) {
        give_up(report, STAGE_LIMIT, errno, name);
    }
}

static void limits(int report, const struct process_limits *l) {
    limit(report, RLIMIT_CORE, 0, "core size");
    limit(report, RLIMIT_NOFILE, l->open_files, "open files");
    if (l->cpu_seconds > 0) {
        limit(report, RLIMIT_CPU, l->cpu_seconds, "CPU time");
    }
    if (l->file_bytes > 0) {
        limit(report, RLIMIT_FSIZE, l->file_bytes, "file size");
    }
    if (l->memory_bytes > 0) {
        limit(report, RLIMIT_AS, l->memory_bytes, "memory");
    }
}

static void reset_signals(void) {
    const struct sigaction plain = {.sa_handler = SIG_DFL};
    for (int s = 1; s < NSIG; s++) {
        sigaction(s, &plain, NULL); /* refused for KILL, STOP and libc's own: as it should be */
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void offer_to_oom_killer(void) {
    const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) { /* better the step than the daemon; not worth a failure */
        fd_write_all(fd, "500", 3);
        fd_close(fd);
    }
}

pid_t child_start(const struct process_spec *spec, int out, int err, int report) {
    const pid_t keeper = getpid();
    const pid_t pid = fork();
    if (pid != 0) {
        return pid;
    }
    struct arena *a = arena_new();
    setpgid(0, 0);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) {
        give_up(report, STAGE_SETUP, errno, "parent death signal");
    }
    if (getppid() != keeper) { /* the keeper died before the line above */
        _exit(127);
    }
    reset_signals();
    if (dup2(out, STDOUT_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0) {
        give_up(report, STAGE_SETUP, errno, "output");
    }
    if (close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) != 0 && errno != ENOSYS &&
        errno != EINVAL) { /* older kernels: every descriptor here is close-on-exec already */
        give_up(report, STAGE_SETUP, errno, "descriptors");
    }
    umask(077);
    offer_to_oom_killer();
    if (chdir(spec->workdir) != 0) {
        give_up(report, STAGE_WORKDIR, errno, "");
    }
    int error = 0;
    const char *file = child_lookup(a, spec, &error);
    if (!file) {
        give_up(report, STAGE_LOOKUP, error, "");
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        give_up(report, STAGE_SETUP, errno, "no new privileges");
    }
    limits(report, &spec->limits);
    /* execve's prototype lacks a const that it honours. */
    execve(file, (char *const *)(uintptr_t)spec->argv, (char *const *)(uintptr_t)spec->env);
    give_up(report, STAGE_EXEC, errno, "");
}

char *child_failure_text(struct arena *a, const struct process_spec *spec,
                         const struct start_failure *f) {
    const char *name = spec->argv[0];
    const char *why = strerror(f->error);
    switch (f->stage) {
    case STAGE_WORKDIR:
        return arena_printf(
            a, "the command '%s' was not started: its working directory cannot be entered (%s)",
            name, why);
    case STAGE_LIMIT:
        return arena_printf(a,
                            "the command '%s' was not started: its limit on %s cannot be set (%s)",
                            name, f->what, why);
    case STAGE_LOOKUP:
        if (f->error == ENOENT && !strchr(name, '/')) {
            const char *path = child_env(spec->env, "PATH");
            return arena_printf(a, "the command '%s' was not found in PATH (%s)", name,
                                path ? path : default_path);
        }
        return arena_printf(a, "the command '%s' cannot be executed: %s", name,
                            f->error == ENOENT ? "there is no such file" : why);
    case STAGE_EXEC:
        return arena_printf(a, "the command '%s' cannot be executed: %s", name,
                            f->error == ENOEXEC
                                ? "it is no program, and a script needs a first line with #!"
                            : f->error == ENOENT ? "the interpreter that its first line or header "
                                                   "names is not there"
                                                 : why);
    default:
        return arena_printf(a, "the command '%s' was not started: %s cannot be set up (%s)", name,
                            f->what, why);
    }
}
