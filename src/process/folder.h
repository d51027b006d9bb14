/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PROCESS_FOLDER_H
#define QUERN_PROCESS_FOLDER_H
/* Folder: what one attempt leaves on disk for the daemon, whichever daemon that is.
 *   lock         an open-file-description lock, held by the keeper for as long as it lives
 *   keeper.json  who keeps: pid, start time, boot id; and what it was asked to run
 *   log, log.N   output; N is the offset of the part in the whole output
 *   cancel       its presence asks for the end
 *   status.json  how it ended; written once, atomically */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "quern/process/process.h"

/* A pid with what makes it that process and no other. */
struct identity {
    pid_t pid;
    uint64_t start_time; /* clock ticks since boot, field 22 of /proc/PID/stat */
    char boot_id[40];
};

/* /proc/PID/stat in the parts that matter here. False when there is no such process. */
struct proc_stat {
    char state;
    pid_t ppid, session;
    uint64_t start_time;
};
bool proc_stat_read(pid_t pid, struct proc_stat *out);

void boot_id_read(char out[40]); /* "unknown" where /proc/sys is hidden */
bool identity_self(struct identity *out);
/* A pidfd on exactly this process, or -1 when it is gone or somebody else has its number. */
int identity_open(const struct identity *id);

/* Takes the lock; the descriptor keeps it. -EWOULDBLOCK when another process has it. */
int folder_lock(struct dir *d);
bool folder_locked(struct dir *d); /* asks without taking */
int folder_keeper_write(struct dir *d, const struct identity *id, const struct process_spec *spec);
int folder_keeper_read(struct ctx *c, struct dir *d, struct identity *out); /* 0 or -1 */
int folder_status_write(struct dir *d, const struct process_status *s);
int folder_status_read(struct ctx *c, struct dir *d, struct process_status *out);
enum process_state folder_state(struct dir *d);

/* Kills what a dead keeper left in its session: the keeper's own pid must be a zombie that is not
 * reaped yet, or long gone. Returns how many were signalled. */
size_t folder_kill_session(const struct identity *id);

#endif
