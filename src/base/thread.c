/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/base/thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "quern/base/arena.h"
#include "quern/base/log.h"
#include "quern/base/str.h"

struct thread {
    pthread_t id;
    char name[16]; /* the kernel's limit, NUL included */
    void (*run)(void *arg);
    void *arg;
};

static _Thread_local const char *current_name;

static void *enter(void *arg) {
    struct thread *t = arg;
    current_name = t->name;
    pthread_setname_np(pthread_self(), t->name);
    t->run(t->arg);
    return NULL;
}

struct thread *thread_start(const char *name, void (*run)(void *arg), void *arg) {
    struct thread *t = mem_alloc(sizeof *t);
    str_copy(t->name, sizeof t->name, name);
    t->run = run;
    t->arg = arg;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&t->id, NULL, enter, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0) {
        log_error("thread.start", "cannot start the thread %s (error %d)", t->name, r);
        mem_die();
    }
    return t;
}

void thread_join(struct thread *t) {
    if (!t)
        return;
    pthread_join(t->id, NULL);
    free(t);
}

void thread_adopt(const char *name) {
    static _Thread_local char adopted[16];
    str_copy(adopted, sizeof adopted, name);
    current_name = adopted;
    pthread_setname_np(pthread_self(), adopted);
}

const char *thread_name(void) {
    return current_name ? current_name : "main";
}
