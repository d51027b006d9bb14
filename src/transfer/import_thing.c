/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "files.h"
#include "import.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/db/db.h"

void import_begin(const struct import *m, struct pair_ctx *p) {
    ctx_begin(&p->from);
    ctx_begin(&p->to);
    p->to.project = m->o->project;
}

void import_end(struct pair_ctx *p) {
    p->from.db = NULL;
    ctx_end(&p->from);
    ctx_end(&p->to);
}

void import_say(const struct import *m, enum transfer_kind kind, const char *what, struct ctx *c,
                const char *why) {
    m->report->kinds[kind].faults++;
    if (m->o->say)
        m->o->say(m->o->arg, arena_printf(c->arena, "%s: %s", what, why));
    err_clear(c);
}

const char *import_why(const struct ctx *c) {
    return c->err.message ? c->err.message : "failed";
}

const char *import_word(enum transfer_kind kind) {
    static const char *const words[TRANSFER_KINDS] = {
        [TRANSFER_EXPERIMENTS] = "experiment",
        [TRANSFER_RUNS] = "run",
        [TRANSFER_LOGGED_MODELS] = "logged model",
        [TRANSFER_MODELS] = "registered model",
        [TRANSFER_TRACES] = "trace",
        [TRANSFER_EVALUATIONS] = "evaluation dataset",
        [TRANSFER_SCORERS] = "scorer",
        [TRANSFER_ISSUES] = "issue",
    };
    return words[kind];
}

int import_look(struct import *m, enum transfer_kind kind, struct ctx *from, int rc, const char *id,
                bool later) {
    const char *word = import_word(kind);
    if (rc > 0 && !later)
        rc = fail(from, ERR_INVALID,
                  "the ids of its %ss come in no order, so that it would have no end", word);
    if ((rc == -ERR_INVALID || rc == -ERR_NOT_FOUND || rc == -ERR_TOO_LARGE) && later) {
        m->report->kinds[kind].seen++;
        import_say(m, kind, arena_printf(from->arena, "%s %s", word, id), from, import_why(from));
        return 2;
    }
    if (rc < 0)
        import_say(m, kind, "the source", from, import_why(from));
    return rc;
}

void import_check_rows(struct import *m, enum transfer_kind kind) {
    int64_t n = 0, seen = m->report->kinds[kind].seen;
    struct ctx c;
    ctx_begin(&c);
    int rc = m->source->ops->rows ? m->source->ops->rows(m->source, &c, kind, &n) : 0;
    if (rc < 0)
        import_say(m, kind, "the source", &c, import_why(&c));
    else if (m->source->ops->rows && n > seen)
        import_say(m, kind, "the source", &c,
                   arena_printf(c.arena,
                                "it has %" PRId64 " of them, of which only %" PRId64
                                " can be reached: ids are there twice, or damaged, or were added "
                                "meanwhile",
                                n, seen));
    c.db = NULL;
    ctx_end(&c);
}

int import_walk(struct import *m, const struct walk *w) {
    struct buf after = {0};
    int rc = 1;
    buf_puts(&after, "");
    while (rc > 0) {
        struct pair_ctx p;
        import_begin(m, &p);
        void *thing = arena_alloc(p.from.arena, w->h->size);
        memset(thing, 0, w->h->size);
        rc = w->next(m->source->ops, m->source, &p.from, after.data, thing);
        const char *id = *(const char *const *)thing;
        rc = import_look(m, w->h->kind, &p.from, rc, id, id && strcmp(id, after.data) > 0);
        if (rc > 0) {
            buf_clear(&after);
            buf_puts(&after, id);
        }
        if (rc == 1)
            w->take(m, &p, thing);
        import_end(&p);
    }
    buf_free(&after);
    if (rc == 0)
        import_check_rows(m, w->h->kind);
    return rc;
}

const void *import_lost(const void *here, size_t nhere, const void *in, size_t nin, size_t size,
                        int (*order)(const void *a, const void *b)) {
    const char *have = here, *given = in;
    for (size_t i = 0, k = 0; i < nhere; i++) {
        while (k < nin && order(given + k * size, have + i * size) < 0)
            k++;
        if (k == nin || order(given + k * size, have + i * size) != 0)
            return have + i * size;
    }
    return NULL;
}

int import_by_version(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int import_version_lost(struct ctx *c, const void *version) {
    return fail(c, ERR_CONFLICT,
                "it has a version %" PRId64 " here that the source has not; nothing of it was "
                "changed",
                *(const int64_t *)version);
}

void import_remember(struct import *m, int64_t id) {
    m->experiments = arena_room(m->arena, m->experiments, m->nexperiments, &m->cap, sizeof id);
    m->experiments[m->nexperiments++] = id;
}

static bool taken(const struct import *m, int64_t experiment) {
    size_t low = 0, high = m->nexperiments;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (m->experiments[mid] < experiment)
            low = mid + 1;
        else
            high = mid;
    }
    return low < m->nexperiments && m->experiments[low] == experiment;
}

bool import_homeless(struct import *m, enum transfer_kind kind, struct ctx *c, const char *what,
                     int64_t experiment) {
    if (taken(m, experiment))
        return false;
    m->report->kinds[kind].seen++;
    import_say(m, kind, what, c,
               arena_printf(c->arena, "its experiment %" PRId64 " was not taken", experiment));
    return true;
}

struct put_call {
    const struct handling *h;
    const void *thing;
    bool good;
};

static int put_op(struct ctx *c, void *arg) {
    const struct put_call *p = arg;
    return p->h->put(c, p->thing);
}

/* Put and undone again, since an operation that fails leaves nothing. */
static int try_op(struct ctx *c, void *arg) {
    struct put_call *p = arg;
    p->good = p->h->put(c, p->thing) >= 0;
    return p->good ? fail(c, ERR_INTERNAL, "only tried") : -c->err.code;
}

/* Whether it would be put. What lies in an experiment cannot be tried, as that is not there. */
static bool would_put(const struct import *m, struct ctx *c, struct put_call *call) {
    if (call->h->kind != TRANSFER_EXPERIMENTS && call->h->kind != TRANSFER_MODELS)
        return true;
    if (db_write(m->o->db, c, try_op, call) != 0 && call->good)
        err_clear(c);
    return call->good;
}

/* 1 the same, 0 another or none (*there tells), negative. */
static int compare(const struct import *m, struct ctx *c, const struct handling *h,
                   const void *thing, bool *there) {
    void *here = arena_alloc(c->arena, h->size);
    int rc = db_read_begin(m->o->db, c);
    if (rc != 0)
        return rc;
    rc = h->get(c, thing, here);
    db_read_end(c);
    *there = rc > 0;
    if (rc <= 0)
        return rc;
    struct digest want = h->digest(thing), got = h->digest(here);
    return digest_equal(&want, &got);
}

enum settled import_settle(struct import *m, struct ctx *c, const struct handling *h,
                           const void *thing, const char *what) {
    struct transfer_count *n = &m->report->kinds[h->kind];
    struct put_call call = {.h = h, .thing = thing};
    bool there = false, now = false;
    int rc = compare(m, c, h, thing, &there);
    n->seen++;
    if (rc > 0) {
        n->same++;
        n->equal++;
        return EQUAL;
    }
    if (rc == 0 && m->o->dry_run && !would_put(m, c, &call)) {
        import_say(m, h->kind, what, c, import_why(c));
        return REFUSED;
    }
    if (rc == 0 && m->o->dry_run) {
        n->fresh += !there;
        n->changed += there;
        return LOOKED;
    }
    if (rc == 0)
        rc = db_write(m->o->db, c, put_op, &call);
    if (rc < 0) {
        import_say(m, h->kind, what, c, import_why(c));
        return REFUSED;
    }
    n->fresh += !there;
    n->changed += there;
    rc = compare(m, c, h, thing, &now);
    n->equal += rc > 0;
    if (rc <= 0)
        import_say(m, h->kind, what, c,
                   rc < 0 ? import_why(c) : "stands here in another form after it was put");
    return rc > 0 ? EQUAL : DIFFERS;
}

/* Names begin with the experiment's number, and so could lead to what another experiment here has.
 */
static bool elsewhere(const struct import *m, struct ctx *c, const char *logical) {
    struct copy_experiment e;
    int64_t id = 0;
    if (!str_to_i64(arena_strndup(c->arena, logical, strcspn(logical, "/")), &id) || taken(m, id) ||
        db_read_begin(m->o->db, c) != 0)
        return false;
    bool there = experiment_copy_get(c, id, &e) > 0;
    db_read_end(c);
    if (there)
        import_say(m, TRANSFER_FILES, logical, c,
                   "it lies with an experiment here that the source has not");
    return there;
}

void import_files(const struct import *m, struct ctx *c, const char *rel, const char *logical) {
    if (!logical || (!rel && !m->source->ops->list) || elsewhere(m, c, logical))
        return;
    if (rel)
        (void)files_copy(c, m->o, &m->place, rel, logical, m->report);
    else
        (void)files_fetch(m->o, m->source, logical, m->report);
}
