/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fit.h"
#include "gate.h"
#include "model.h"
#include "plan.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"

/* One per thread that ever predicted; reused when its thread has ended. */
struct reader {
    _Atomic uint64_t epoch; /* 0: outside */
    atomic_bool taken;
    struct reader *next;
};

static _Atomic(struct snapshot *) current;
static _Atomic uint64_t epoch = 1;
static _Atomic(struct reader *) readers; /* grows only */
static struct snapshot *replaced;        /* the publisher's alone */
static pthread_key_t reader_key;
static pthread_once_t reader_once = PTHREAD_ONCE_INIT;
static _Thread_local struct reader *self;

static void thread_ended(void *arg) {
    struct reader *r = arg;
    atomic_store(&r->epoch, 0);
    atomic_store(&r->taken, false);
}

static void make_key(void) {
    if (pthread_key_create(&reader_key, thread_ended) != 0)
        abort();
}

static struct reader *reader_of_thread(void) {
    pthread_once(&reader_once, make_key);
    struct reader *r = atomic_load(&readers);
    for (; r; r = r->next) {
        bool no = false;
        if (atomic_compare_exchange_strong(&r->taken, &no, true))
            break;
    }
    if (!r) {
        r = mem_alloc(sizeof *r);
        atomic_store(&r->taken, true);
        r->next = atomic_load(&readers);
        while (!atomic_compare_exchange_weak(&readers, &r->next, r))
            ;
    }
    pthread_setspecific(reader_key, r);
    self = r;
    return r;
}

/* The mark comes before the load of the pointer, in one order that all threads agree on: either the
 * publisher sees the mark and waits, or this thread sees the new pointer. */
const struct snapshot *snapshot_enter(void) {
    struct reader *r = self ? self : reader_of_thread();
    atomic_store(&r->epoch, atomic_load(&epoch));
    return atomic_load(&current);
}

void snapshot_leave(void) {
    atomic_store_explicit(&self->epoch, 0, memory_order_release);
}

/* One that becomes current later is replaced later still, so this mark holds it as well. */
const struct snapshot *snapshot_held(void) {
    return atomic_load(&current);
}

static size_t hash(int64_t project, const char *name) {
    size_t h = 14695981039346656037u ^ (size_t)project;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 1099511628211u;
    return h ^ h >> 29;
}

const struct entry *snapshot_find(const struct snapshot *s, int64_t project, const char *name) {
    if (!s)
        return NULL;
    for (size_t at = hash(project, name) & (s->nslots - 1); s->slots[at];
         at = (at + 1) & (s->nslots - 1)) {
        const struct entry *e = &s->entries[s->slots[at] - 1];
        if (e->project == project && strcmp(e->name, name) == 0)
            return e;
    }
    return NULL;
}

static int by_name(const void *a, const void *b) {
    const struct entry *x = a, *y = b;
    if (x->project != y->project)
        return x->project < y->project ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* RFC 8941 allows any visible ASCII in a quoted text but these; a model's name may hold more. */
static const char *header_text(struct arena *a, const char *name) {
    char *copy = arena_strdup(a, name);
    for (char *p = copy; *p; p++)
        if (*p < ' ' || *p > '~' || *p == '"' || *p == '\\')
            *p = '?';
    return copy;
}

static const char *served_by(struct arena *a, const struct entry_arm *arm) {
    return arena_printf(a, "%s; model=\"%s\"; version=%s; reason=", arm->name,
                        header_text(a, arm->model->name ? arm->model->name : ""),
                        arm->model->version_text);
}

static void copy_entry(struct arena *a, struct entry *e) {
    struct entry_arm *arms = arena_dup(a, e->arms, e->narms * sizeof *arms);
    e->name = arena_strdup(a, e->name);
    e->state = arena_strdup(a, e->state);
    e->reason = arena_strdup(a, e->reason);
    e->arms = arms;
    e->model = NULL;
    e->idle = false;
    e->blocks = e->plan && e->plan->spec.limits;
    if (e->plan)
        e->plan->refs++;
    if (e->gate)
        gate_ref(e->gate);
    if (e->shadow_gate)
        gate_ref(e->shadow_gate);
    for (size_t i = 0; i < e->narms; i++) {
        arms[i].name = arena_strdup(a, arms[i].name);
        arms[i].state = arena_strdup(a, arms[i].state);
        arms[i].reason = arena_strdup(a, arms[i].reason);
        arms[i].cells = ARENA_NEW(a, struct arm_cells);
        if (arms[i].model) {
            arms[i].model->refs++;
            arms[i].served_by = served_by(a, &arms[i]);
            arms[i].served_only = arena_printf(a, "%sonly", arms[i].served_by);
        }
        if (arms[i].live)
            arms[i].live->refs++;
        if (arms[i].fit)
            arms[i].fit->refs++;
        if (!e->model)
            e->model = arms[i].model;
        e->idle = e->idle || arms[i].idle;
        e->blocks = e->blocks || (arms[i].model && arms[i].model->blocks) ||
                    (arms[i].fit && arms[i].fit->batcher);
    }
}

struct snapshot *snapshot_new(const struct entry *entries, size_t n, bool settled) {
    struct arena *a = arena_new();
    struct snapshot *s = ARENA_NEW(a, struct snapshot);
    s->arena = a;
    s->n = n;
    s->settled = settled;
    s->entries = ARENA_ARRAY(a, struct entry, n ? n : 1);
    if (n) {
        memcpy(s->entries, entries, n * sizeof *entries);
        qsort(s->entries, n, sizeof *entries, by_name);
    }
    s->nslots = 4;
    while (s->nslots < 2 * n)
        s->nslots *= 2;
    s->slots = ARENA_ARRAY(a, uint32_t, s->nslots);
    for (size_t i = 0; i < n; i++) {
        struct entry *e = &s->entries[i];
        copy_entry(a, e);
        size_t at = hash(e->project, e->name) & (s->nslots - 1);
        while (s->slots[at])
            at = (at + 1) & (s->nslots - 1);
        s->slots[at] = (uint32_t)i + 1;
    }
    return s;
}

static void entry_free(struct entry *e) {
    if (e->plan && --e->plan->refs == 0)
        plan_free(e->plan);
    if (e->gate)
        gate_unref(e->gate);
    if (e->shadow_gate)
        gate_unref(e->shadow_gate);
    for (size_t i = 0; i < e->narms; i++) {
        struct entry_arm *arm = &e->arms[i];
        fit_unref(arm->fit);
        if (arm->model && --arm->model->refs == 0)
            model_free(arm->model);
        if (arm->live && --arm->live->refs == 0)
            free(arm->live);
    }
}

static void snapshot_free(struct snapshot *s) {
    for (size_t i = 0; i < s->n; i++)
        entry_free(&s->entries[i]);
    arena_free(s->arena);
}

static uint64_t oldest_reader(void) {
    uint64_t oldest = UINT64_MAX;
    for (struct reader *r = atomic_load(&readers); r; r = r->next) {
        uint64_t at = atomic_load(&r->epoch);
        if (at && at < oldest)
            oldest = at;
    }
    return oldest;
}

bool snapshot_reclaim(void) {
    if (!replaced)
        return false;
    uint64_t oldest = oldest_reader();
    for (struct snapshot **at = &replaced; *at;) {
        struct snapshot *s = *at;
        if (s->gone > oldest) {
            at = &s->older;
            continue;
        }
        *at = s->older;
        snapshot_free(s);
    }
    return replaced != NULL;
}

void snapshot_publish(struct snapshot *next) {
    struct snapshot *old = atomic_exchange(&current, next);
    uint64_t now = atomic_fetch_add(&epoch, 1) + 1;
    if (old) {
        old->gone = now;
        old->older = replaced;
        replaced = old;
    }
    while (snapshot_reclaim() && !next)
        clock_sleep_ms(1);
}
