/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PROCESS_PROC_H
#define QUERN_PROCESS_PROC_H
/* Proc: the process table as /proc shows it. A number found there is signalled through a pidfd
 * after its start time was compared, so a recycled number is never hit. */
#include "folder.h"

typedef void proc_visit(pid_t pid, const struct proc_stat *stat, void *arg);
void proc_each(proc_visit *visit, void *arg);
bool proc_signal(pid_t pid, uint64_t start_time, int signo);
/* Signals every descendant of `root` (not root itself); returns how many living ones there were. */
size_t proc_signal_tree(pid_t root, int signo);

#endif
