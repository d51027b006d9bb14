/* SPDX-License-Identifier: Apache-2.0 */
#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "proc.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/fd.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/shape.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"

void boot_id_read(char out[40]) {
    char text[64] = "";
    const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd >= 0 ? fd_read_all(fd, text, sizeof text - 1) : -1;
    fd_close(fd);
    text[n > 0 ? n : 0] = 0;
    text[strcspn(text, "\n")] = 0;
    str_copy(out, 40, text[0] ? text : "unknown");
}

bool identity_self(struct identity *out) {
    struct proc_stat stat;
    out->pid = getpid();
    boot_id_read(out->boot_id);
    if (!proc_stat_read(out->pid, &stat)) {
        return false;
    }
    out->start_time = stat.start_time;
    return true;
}

int identity_open(const struct identity *id) {
    char boot[40];
    boot_id_read(boot);
    if (strcmp(boot, id->boot_id) != 0) {
        return -1;
    }
    const int fd = pidfd_open(id->pid, 0);
    struct proc_stat stat;
    /* Looked at after opening: the descriptor already pins the process, so what /proc says now is
     * said of it, or the process is gone and the start time cannot match. */
    if (fd >= 0 && proc_stat_read(id->pid, &stat) && stat.start_time == id->start_time) {
        return fd;
    }
    fd_close(fd);
    return -1;
}

int folder_lock(struct dir *d) {
    const int fd = dir_openat(d, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        return fd;
    }
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &whole) != 0) {
        const int e = errno == EACCES || errno == EAGAIN ? EWOULDBLOCK : errno;
        fd_close(fd);
        return -e;
    }
    return fd;
}

bool folder_locked(struct dir *d) {
    const int fd = dir_openat(d, "lock", O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    const bool held = fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
    fd_close(fd);
    return held;
}

static void put_text(struct json_writer *w, const char *s, size_t n) {
    if (utf8_valid(s, n)) {
        jw_strn(w, s, n);
    } else {
        jw_str(w, "(not UTF-8)");
    }
}

/* tmp and rename, no sync: after a crash of the machine the boot id tells, not this file. */
static int write_quickly(struct dir *d, const char *name, const char *tmp, const struct buf *b) {
    const int fd = dir_openat(d, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return fd;
    }
    int e = fd_write_all(fd, b->data, b->len);
    fd_close(fd);
    if (e == 0 && renameat(dir_fd(d), tmp, dir_fd(d), name) != 0) {
        e = -errno;
    }
    return e;
}

int folder_keeper_write(struct dir *d, const struct identity *id, const struct process_spec *spec) {
    struct buf b = {0};
    struct json_writer w;
    jw_init(&w, &b);
    jw_obj(&w);
    jw_key_i64(&w, "pid", id->pid);
    jw_key_i64(&w, "start_time", (int64_t)id->start_time);
    jw_key_str(&w, "boot_id", id->boot_id);
    jw_key(&w, "argv");
    jw_arr(&w);
    for (size_t i = 0; spec->argv[i]; i++) {
        put_text(&w, spec->argv[i], strlen(spec->argv[i]));
    }
    jw_arr_end(&w);
    jw_key(&w, "env_names"); /* never the values: one of them may be a token */
    jw_arr(&w);
    for (size_t i = 0; spec->env[i]; i++) {
        put_text(&w, spec->env[i], strcspn(spec->env[i], "="));
    }
    jw_arr_end(&w);
    jw_key(&w, "workdir");
    put_text(&w, spec->workdir, strlen(spec->workdir));
    jw_key_i64(&w, "timeout_ms", spec->limits.timeout_ms);
    jw_key_i64(&w, "grace_ms", spec->limits.grace_ms);
    jw_key_i64(&w, "memory_bytes", spec->limits.memory_bytes);
    jw_key_i64(&w, "cpu_seconds", spec->limits.cpu_seconds);
    jw_key_i64(&w, "file_bytes", spec->limits.file_bytes);
    jw_key_i64(&w, "open_files", spec->limits.open_files);
    jw_key_i64(&w, "log_cap", spec->limits.log_cap);
    jw_obj_end(&w);
    const int e = write_quickly(d, "keeper.json", "keeper.json.tmp", &b);
    buf_free(&b);
    return e;
}

struct keeper_file {
    struct opt_i64 pid, start_time;
    const char *boot_id;
};
SHAPE(keeper_shape, "Keeper", struct keeper_file,
      FIELD(struct keeper_file, pid, T_I64, F_REQUIRED, "Process id of the keeper"),
      FIELD(struct keeper_file, start_time, T_I64, F_REQUIRED, "Clock ticks since boot"),
      FIELD(struct keeper_file, boot_id, T_STR, F_REQUIRED, "The kernel's boot id"));

struct status_file {
    struct opt_i64 exit_code, signal, started_ms, ended_ms, cpu_ms, peak_rss_bytes, log_bytes,
        log_dropped_bytes;
    struct opt_bool timed_out, cancelled, start_failed;
    const char *reason;
};
SHAPE(status_shape, "ProcessStatus", struct status_file,
      FIELD(struct status_file, exit_code, T_I64, F_REQUIRED, "-1 when it did not exit by itself"),
      FIELD(struct status_file, signal, T_I64, F_REQUIRED, "Signal that ended it, or 0"),
      FIELD(struct status_file, timed_out, T_BOOL, F_REQUIRED, "The timeout ended it"),
      FIELD(struct status_file, cancelled, T_BOOL, F_REQUIRED, "A cancel ended it"),
      FIELD(struct status_file, start_failed, T_BOOL, F_REQUIRED, "It could not be executed"),
      FIELD(struct status_file, reason, T_STR, F_REQUIRED, "One sentence"),
      FIELD(struct status_file, started_ms, T_I64, F_REQUIRED, "Wall time, milliseconds"),
      FIELD(struct status_file, ended_ms, T_I64, F_REQUIRED, "Wall time, milliseconds"),
      FIELD(struct status_file, cpu_ms, T_I64, F_REQUIRED, "User and system time of the tree"),
      FIELD(struct status_file, peak_rss_bytes, T_I64, F_REQUIRED, "Largest process of the tree"),
      FIELD(struct status_file, log_bytes, T_I64, F_REQUIRED, "Bytes of the whole log"),
      FIELD(struct status_file, log_dropped_bytes, T_I64, F_REQUIRED, "Bytes of it not kept"));

static int decode_file(struct ctx *c, struct dir *d, const char *name, const struct shape *shape,
                       void *out) {
    char *text = NULL;
    size_t n = 0;
    const int e = dir_read_file(d, name, c->arena, 1 << 20, &text, &n);
    if (e == -ENOENT) {
        return fail(c, ERR_NOT_FOUND, "%s is not there", name);
    }
    if (e) {
        return fail(c, ERR_INTERNAL, "%s cannot be read: %s", name, strerror(-e));
    }
    struct json_t *tree = NULL;
    const int r = json_parse(c, DIALECT_PROBLEM, text, n, &tree);
    return r ? r : json_decode(c, DIALECT_PROBLEM, shape, tree, NULL, NULL, out);
}

int folder_keeper_read(struct ctx *c, struct dir *d, struct identity *out) {
    struct keeper_file f = {0};
    if (decode_file(c, d, "keeper.json", &keeper_shape, &f) || f.pid.v <= 1 ||
        f.pid.v > INT32_MAX) {
        err_clear(c);
        return -1;
    }
    out->pid = (pid_t)f.pid.v;
    out->start_time = (uint64_t)f.start_time.v;
    return str_copy(out->boot_id, sizeof out->boot_id, f.boot_id) ? 0 : -1;
}

int folder_status_write(struct dir *d, const struct process_status *s) {
    const struct status_file f = {
        .exit_code = SET_I64(s->exit_code),
        .signal = SET_I64(s->signal),
        .timed_out = SET_BOOL(s->timed_out),
        .cancelled = SET_BOOL(s->cancelled),
        .start_failed = SET_BOOL(s->start_failed),
        .reason = utf8_valid(s->reason, strlen(s->reason)) ? s->reason
                                                           : "the command's name is not UTF-8",
        .started_ms = SET_I64(s->started_ms),
        .ended_ms = SET_I64(s->ended_ms),
        .cpu_ms = SET_I64(s->cpu_ms),
        .peak_rss_bytes = SET_I64(s->peak_rss_bytes),
        .log_bytes = SET_I64(s->log_bytes),
        .log_dropped_bytes = SET_I64(s->log_dropped_bytes),
    };
    struct buf b = {0};
    json_encode(&b, &status_shape, &f);
    const int e = dir_write_file(d, "status.json", b.data, b.len);
    buf_free(&b);
    return e;
}

int folder_status_read(struct ctx *c, struct dir *d, struct process_status *out) {
    struct status_file f = {0};
    const int r = decode_file(c, d, "status.json", &status_shape, &f);
    if (r) {
        return r;
    }
    *out = (struct process_status){
        .exit_code = (int)f.exit_code.v,
        .signal = (int)f.signal.v,
        .timed_out = f.timed_out.v,
        .cancelled = f.cancelled.v,
        .start_failed = f.start_failed.v,
        .reason = f.reason,
        .started_ms = f.started_ms.v,
        .ended_ms = f.ended_ms.v,
        .cpu_ms = f.cpu_ms.v,
        .peak_rss_bytes = f.peak_rss_bytes.v,
        .log_bytes = f.log_bytes.v,
        .log_dropped_bytes = f.log_dropped_bytes.v,
    };
    return 0;
}

enum process_state folder_state(struct dir *d) {
    /* The lock is asked first: a keeper that ends between the questions has its status in place. */
    const bool locked = folder_locked(d);
    if (dir_exists(d, "status.json")) {
        return PROCESS_ENDED;
    }
    if (locked) {
        return PROCESS_RUNNING;
    }
    return dir_exists(d, "keeper.json") ? PROCESS_LOST : PROCESS_UNSTARTED;
}

struct session_kill {
    const struct identity *keeper;
    size_t count;
};

static void kill_member(pid_t pid, const struct proc_stat *stat, void *arg) {
    struct session_kill *k = arg;
    if (stat->session == k->keeper->pid && pid != k->keeper->pid && stat->state != 'Z' &&
        stat->start_time >= k->keeper->start_time && proc_signal(pid, stat->start_time, SIGKILL)) {
        k->count++;
    }
}

size_t folder_kill_session(const struct identity *id) {
    char boot[40];
    struct proc_stat stat;
    boot_id_read(boot);
    /* A living leader is not the keeper that died: its number was given away, and so the session.
     */
    if (strcmp(boot, id->boot_id) != 0 ||
        (proc_stat_read(id->pid, &stat) && stat.start_time != id->start_time)) {
        return 0;
    }
    struct session_kill k = {.keeper = id};
    size_t all = 0;
    for (int round = 0; round < 5; round++) { /* again, for those born during the walk */
        k.count = 0;
        proc_each(kill_member, &k);
        all += k.count;
        if (k.count == 0) {
            break;
        }
    }
    return all;
}
