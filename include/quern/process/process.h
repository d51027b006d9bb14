/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PROCESS_PROCESS_H
#define QUERN_PROCESS_PROCESS_H
/* Process: child processes that outlive a restart of the daemon.
 *
 * process_start makes the attempt's folder and posix_spawns `quern keeper FOLDER`, or the small
 * static keeper that a release carries inside (docs/adr/); what to run travels in a memfd, so the
 * environment, which may hold a token, is never on disk.
 * The keeper is single-threaded, its own session and a child subreaper. It takes an exclusive
 * open-file-description lock on FOLDER/lock and refuses to go on if FOLDER/keeper.json or
 * FOLDER/status.json exists, so a second start of one attempt is harmless. It writes
 * FOLDER/keeper.json (pid, start time of /proc, boot id, argv, names of the environment), starts
 * the command (argv array, exactly the environment of the spec, own process group, rlimits, no new
 * privileges, stdin /dev/null, descriptors closed), copies its stdout and stderr into the log with
 * a stamp per line, enforces the timeout (TERM to the whole tree, KILL after the grace), on exit
 * kills what is left of the tree, and writes FOLDER/status.json atomically (tmp, fsync, rename,
 * fsync). A step whose keeper is killed dies with it, and the watcher kills its session; only a
 * descendant that made a session of its own can then escape. A `tied` command is for as long as
 * the daemon that asked for it: its keeper watches that process and ends the tree when it is gone.
 *
 * Log line: "2026-01-02T03:04:05.678Z o text\n" (o stdout, e stderr, k the keeper's own words).
 * Bytes are kept as they came; a line over 16 KiB is cut into several. The first half of log_cap
 * stays in FOLDER/log, the rest goes to FOLDER/log.<offset>, of which the newest are kept. Read it
 * with process_log_read: offsets never change, and what was dropped is told in one k line.
 *
 * The daemon watches pidfds. After a restart: process_adopt on each unfinished folder tells
 *   PROCESS_RUNNING   lock held, watched again
 *   PROCESS_ENDED     final status present (no exited call follows)
 *   PROCESS_LOST      lock free, keeper.json present, no status: died (host reboot, OOM)
 *   PROCESS_UNSTARTED no keeper.json: never began; may be started again under the same attempt. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct watcher;
struct dir;
struct arena;
struct buf;
struct ctx;

struct process_limits {
    int64_t timeout_ms;   /* 0: none */
    int64_t grace_ms;     /* TERM to KILL; default 10 s when 0 */
    int64_t memory_bytes; /* RLIMIT_AS; 0: none */
    int64_t cpu_seconds;  /* RLIMIT_CPU; 0: none */
    int64_t file_bytes;   /* RLIMIT_FSIZE; 0: none */
    int64_t open_files;   /* RLIMIT_NOFILE; default 1024 when 0 */
    int64_t log_cap;      /* bytes */
};

struct process_spec {
    const char *const *argv; /* NULL-terminated; argv[0] is looked up in the spec's PATH */
    const char *const *env;  /* NULL-terminated "NAME=value": the whole environment */
    const char *workdir;     /* absolute, made by the caller */
    struct process_limits limits;
    bool tied; /* ends with the daemon that started it, however that ends: for servers, not steps */
};

enum process_state { PROCESS_UNSTARTED, PROCESS_RUNNING, PROCESS_ENDED, PROCESS_LOST };

struct process_status {
    int exit_code; /* -1 when ended by a signal or never started */
    int signal;    /* 0 when it exited */
    bool timed_out;
    bool cancelled;
    bool start_failed;            /* the command could not be executed; `reason` says why */
    const char *reason;           /* one sentence, arena */
    int64_t started_ms, ended_ms; /* wall */
    int64_t cpu_ms;               /* user + system of the whole tree that was waited for */
    int64_t peak_rss_bytes;       /* largest of the tree */
    int64_t log_bytes, log_dropped_bytes;
};

/* exited: on the watcher thread, once per watched folder, after the keeper is gone. */
typedef void process_exited(const char *folder, void *arg);

int watcher_start(const char *self_exe, process_exited *exited, void *arg, struct watcher **out);
void watcher_stop(struct watcher *w); /* children go on */

/* `folder` is relative to `root` (below the data directory) and is made here. Fills c->err. An
 * attempt that runs already is watched and that is all; one that ended or was lost is ERR_CONFLICT.
 */
int process_start(struct watcher *w, struct ctx *c, struct dir *root, const char *folder,
                  const struct process_spec *spec);
int process_adopt(struct watcher *w, struct ctx *c, struct dir *root, const char *folder,
                  enum process_state *state);
int process_status(struct ctx *c, struct dir *root, const char *folder,
                   struct process_status *out); /* ERR_NOT_FOUND while it runs */
/* Writes FOLDER/cancel and signals the keeper by pidfd; it ends the tree as a timeout does. */
int process_cancel(struct watcher *w, struct ctx *c, struct dir *root, const char *folder);
size_t process_running(struct watcher *w);

/* The keeper's own main: `quern keeper FOLDER`. Returns the exit code. */
int keeper_main(const char *folder);

/* A short command whose output is wanted: argv, closed environment, output up to cap, killed at the
 * deadline. For git and vetting helpers; never a shell. Worker threads only. */
struct process_result {
    int exit_code, signal;
    bool timed_out;
    char *out, *err; /* arena */
    size_t out_len, err_len;
};
int process_run(struct ctx *c, const struct process_spec *spec, const void *input, size_t input_len,
                size_t cap, struct process_result *out);

/* Log reading: lines from a byte offset; *next is where to go on. `follow` readers poll it. */
int process_log_read(struct ctx *c, struct dir *root, const char *folder, int64_t offset,
                     size_t max, char **data, size_t *n, int64_t *next);

#endif
