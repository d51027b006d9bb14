/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_BASE_THREAD_H
#define QUERN_BASE_THREAD_H
/* Thread: named, joinable, signals blocked (the main thread alone takes signals). */
struct thread;

struct thread *thread_start(const char *name, void (*run)(void *arg), void *arg);
void thread_join(struct thread *t); /* frees it; NULL is allowed */
/* Names the calling thread, which somebody else (a library) started; to be called once. */
void thread_adopt(const char *name);
const char *thread_name(void); /* of the caller; "main" where none was given */

#endif
