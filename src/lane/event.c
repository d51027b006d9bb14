/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/core/event.h"
#include "quern/db/db.h"
#include "quern/lane/lane.h"

#define LISTENERS_MAX 16

/* Filled at the start, by one thread; the writer may already be at work. */
static struct {
    event_listener *fn;
    void *arg;
} listeners[LISTENERS_MAX];
static atomic_uint listener_count;

struct told {
    const char *type, *subject;
    int64_t seq;
};

void event_listen(event_listener *fn, void *arg) {
    unsigned n = atomic_load(&listener_count);
    if (n == LISTENERS_MAX)
        abort(); /* a programmer's mistake: raise LISTENERS_MAX */
    listeners[n].fn = fn;
    listeners[n].arg = arg;
    atomic_store(&listener_count, n + 1);
}

static void tell(void *arg) {
    const struct told *t = arg;
    for (unsigned i = 0, n = atomic_load(&listener_count); i < n; i++)
        listeners[i].fn(t->type, t->subject, t->seq, listeners[i].arg);
}

int event_emit(struct ctx *c, const char *type, const char *subject_ref, const char *json_data) {
    const struct event_row *row = event_row(type);
    size_t kind = row ? strlen(row->subject) : 0;
    if (!row || strncmp(subject_ref, row->subject, kind) != 0 || subject_ref[kind] != ':')
        return fail(c, ERR_INTERNAL, "event %s of %s has no row in event.def", type, subject_ref);
    int rc =
        db_exec(c,
                "INSERT INTO event (project_id, type, subject, data, created_ms) "
                "VALUES (?, ?, ?, ?, ?)",
                "isssi", c->project, type, subject_ref, json_data ? json_data : "{}", c->now_ms);
    if (rc)
        return rc;
    struct told *t = ARENA_NEW(c->arena, struct told);
    t->type = arena_strdup(c->arena, type);
    t->subject = arena_strdup(c->arena, subject_ref);
    t->seq = db_last_id(c);
    db_after_commit(c, tell, t);
    return 0;
}

int event_expire(struct ctx *c, int64_t before_ms, int64_t most) {
    int rc = db_exec(c,
                     "DELETE FROM event WHERE seq < (SELECT min(seq) FROM event) + ?"
                     " AND seq < (SELECT max(seq) FROM event) AND created_ms < ?",
                     "ii", most, before_ms);
    return rc < 0 ? rc : (int)db_changes(c);
}
