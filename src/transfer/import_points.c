/* SPDX-License-Identifier: Apache-2.0 */
#include "import.h"
#include "quern/db/db.h"

#define POINTS_PER_WRITE 5000

struct points_call {
    const char *run_id;
    const struct copy_point *points;
    size_t n;
};

static int points_op(struct ctx *c, void *arg) {
    const struct points_call *p = arg;
    return run_points_in(c, p->run_id, p->points, p->n);
}

/* One passing of the source's points: counted into a digest, and put if that is wanted. */
struct points_pass {
    struct import *m;
    const char *run_id;
    struct digest_points digest;
    bool put;
    int rc; /* of putting */
};

/* Each piece in a context of its own: a run can have millions of points. */
static int put_piece(struct points_pass *p, const struct copy_point *points, size_t n) {
    struct ctx c;
    ctx_begin(&c);
    c.project = p->m->o->project;
    for (size_t at = 0; at < n && p->rc == 0; at += POINTS_PER_WRITE) {
        struct points_call call = {p->run_id, points + at,
                                   n - at < POINTS_PER_WRITE ? n - at : POINTS_PER_WRITE};
        p->rc = db_write(p->m->o->db, &c, points_op, &call);
    }
    if (p->rc != 0)
        import_say(p->m, TRANSFER_POINTS, p->run_id, &c, import_why(&c));
    ctx_end(&c);
    return p->rc;
}

static int take_piece(void *arg, const struct copy_point *points, size_t n) {
    struct points_pass *p = arg;
    int rc = digest_points_add(&p->digest, points, n);
    return rc == 0 && p->put ? put_piece(p, points, n) : rc;
}

/* false after a fault that was told. */
static bool points_there(struct import *m, const char *run_id, bool put, struct digest *out,
                         int64_t *n) {
    struct points_pass pass = {.m = m, .run_id = run_id, .put = put};
    struct ctx c;
    ctx_begin(&c);
    digest_points_begin(&pass.digest);
    int rc = m->source->ops->points(m->source, &c, run_id, take_piece, &pass);
    *out = digest_points_end(&pass.digest);
    *n = pass.digest.n;
    if (rc < 0 && pass.rc == 0)
        import_say(m, TRANSFER_POINTS, run_id, &c, import_why(&c));
    c.db = NULL;
    ctx_end(&c);
    return rc >= 0;
}

static int points_here(const struct import *m, const char *run_id, struct digest *out, int64_t *n) {
    struct digest_points d;
    struct ctx c;
    ctx_begin(&c);
    c.project = m->o->project;
    digest_points_begin(&d);
    int rc = db_read_begin(m->o->db, &c);
    if (rc == 0) {
        rc = run_points_out(&c, run_id, digest_points_add, &d);
        db_read_end(&c);
    }
    *out = digest_points_end(&d);
    *n = d.n;
    if (rc == -ERR_NOT_FOUND) /* the run is not here */
        rc = 0;
    ctx_end(&c);
    return rc;
}

/* A run that has no points here gets them while they are read for the first time. Only one that has
 * others here than there is read twice: to be compared, since what is here already may be all of
 * it, and to be put. */
void import_points(struct import *m, const char *run_id, enum settled run) {
    struct transfer_count *count = &m->report->kinds[TRANSFER_POINTS];
    struct digest want, got;
    int64_t n = 0, before = 0, now = 0;
    struct ctx c;
    ctx_begin(&c);
    if (points_here(m, run_id, &got, &before) < 0) {
        import_say(m, TRANSFER_POINTS, run_id, &c, "its points here cannot be read");
        ctx_end(&c);
        return;
    }
    const bool put = run >= DIFFERS;
    bool good = points_there(m, run_id, put && before == 0, &want, &n);
    bool same = good && digest_equal(&want, &got);
    if (good && !same && put && before > 0)
        good = points_there(m, run_id, true, &want, &n);
    count->seen += n;
    count->same += before < n ? before : n;
    count->fresh += n > before ? n - before : 0;
    if (good && !same && put) {
        int rc = points_here(m, run_id, &got, &now);
        same = rc == 0 && digest_equal(&want, &got);
        if (!same)
            import_say(m, TRANSFER_POINTS, run_id, &c,
                       rc < 0    ? "its points here cannot be read"
                       : now > n ? "has points here that the source has not"
                                 : "its points differ here");
    }
    count->equal += same ? n : 0;
    ctx_end(&c);
}
