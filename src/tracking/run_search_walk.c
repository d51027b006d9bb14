/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/bitmap.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/db/filter_sql.h"
#include "run_search.h"
#include "run_search_group.h"
#include "run_search_set.h"
#include "run_search_sql.h"
#include "run_search_stream.h"

#define FEW_RUNS 2000 /* so many are sorted rather than walked to */
#define PROBED_AT_ONCE 512
#define PROBED_STREAMS 8 /* what a probe opens is looked for among all that is open */
#define PROBE_COST 8     /* visits of a scan that take as long as one probe */

struct walk {
    struct ctx *c;
    const struct search_plan *p;
    enum walk_way way;
    struct groups groups;
    struct run_set view; /* what streams by key must be held against */
    struct run_set set;  /* what is walked among; the conditions' runs as well, once found */
    const struct search_cond **conds;
    size_t nconds, nown, counted; /* probed conditions; the search's; those in the cost */
    bool met;                     /* the set holds the search's conditions */
    bool few;                     /* so few runs meet the conditions that sorting them is better */
    int64_t at_once, probed, passed, cost;
};

/* ------------------------------------------------------------------ conditions */

static int meet_cost(struct walk *w) {
    for (; w->counted < w->nconds; w->counted++) {
        int64_t rows = 0;
        int rc = run_set_cost(w->c, w->p, w->conds[w->counted], &rows);
        if (rc)
            return rc;
        w->cost += rows;
    }
    return 0;
}

/* True when more probes for what the page lacks would cost more than a scan of each condition. */
static int scan_is_better(struct walk *w, bool *better) {
    *better = w->way == WALK_TURNS;
    if (w->way != WALK_ADAPTS)
        return 0;
    int rc = meet_cost(w);
    int64_t lacking = groups_lacking(&w->groups);
    double left = (double)(lacking > 1 ? lacking : 1) * (double)w->probed /
                  (double)(w->passed ? w->passed : 1);
    *better = left * (double)w->nconds * PROBE_COST > (double)w->cost + left;
    return rc;
}

/* All conditions' runs; those of a stage's own conditions are left out of what stages share. */
static int meet_all(struct walk *w, struct run_set *stage_set) {
    int rc = 0;
    for (size_t i = 0; !rc && !w->met && i < w->nown; i++)
        rc = run_set_meet(w->c, &w->set, w->p, w->conds[i]);
    w->met = true;
    if (!rc && w->set.among && w->way == WALK_ADAPTS)
        w->few = bitmap_count(w->set.among) <= FEW_RUNS;
    struct run_set own = {.bits = w->set.bits};
    for (size_t i = w->nown; !rc && i < w->nconds; i++)
        rc = run_set_meet(w->c, &own, w->p, w->conds[i]);
    *stage_set = run_set_both(w->c, &w->set, &own);
    return rc;
}

/* ------------------------------------------------------------------ stages */

static int open_streams(struct walk *w, struct streams *s, const struct stage *stage, bool probing,
                        const struct run_set *set, const struct stream_value *from) {
    /* Streams by key see deleted runs as well; streams of runs are bounded by themselves. */
    bool keyed = stage->kind != STAGE_STARTED && stage->kind != STAGE_ANY;
    struct run_set seen = keyed ? run_set_both(w->c, set, &w->view) : *set;
    bool ordered = stage->kind != STAGE_NAN && stage->kind != STAGE_ANY;
    return streams_open(w->c, s, w->p, stage, w->conds, probing ? w->nconds : 0, &seen,
                        ordered ? from : NULL);
}

/* A value stays while its stream moves on. */
static struct stream_value keep(const struct stream_value *v, struct buf *text) {
    struct stream_value kept = *v;
    if (v->text) {
        buf_clear(text);
        buf_put(text, v->text, v->len);
        kept.text = text->data;
    }
    return kept;
}

static int walk_stage(struct walk *w, const struct stage *stage) {
    struct run_set set = w->set;
    struct streams s = {0};
    struct stream_value at = {0};
    struct buf text = {0};
    struct groups *g = &w->groups;
    bool probing = w->nconds > 0 && !w->met && w->way != WALK_SETS &&
                   (w->way != WALK_ADAPTS || streams_count(w->p, stage) <= PROBED_STREAMS);
    int rc = w->nconds && !probing ? meet_all(w, &set) : 0;
    if (!rc && !w->few)
        rc = open_streams(w, &s, stage, probing, &set, NULL);
    while (!rc && s.n > 0) {
        const struct stream *x = &s.items[0];
        if (g->members == 0 || stream_compare(stage, &x->value, &at) != 0) {
            rc = groups_end(g);
            if (rc || groups_full(g))
                break;
            at = keep(&x->value, &text);
        }
        if (x->passes)
            groups_add(g, x->run);
        w->passed += x->passes;
        w->probed += probing;
        rc = streams_next(&s);
        bool turn = false;
        if (!rc && probing && w->probed % w->at_once == 0 && s.n > 0)
            rc = scan_is_better(w, &turn);
        if (!rc && turn) {
            streams_close(&s);
            groups_drop(g); /* it is seen again from its first run */
            probing = false;
            rc = meet_all(w, &set);
            if (rc || w->few)
                break;
            rc = open_streams(w, &s, stage, false, &set, &at);
        }
    }
    streams_close(&s);
    if (!rc && !w->few)
        rc = groups_end(g);
    buf_free(&text);
    return rc;
}

static bool asks_for_key(const struct walk *w, const struct search_order *o) {
    for (size_t i = 0; i < w->p->nconds; i++) {
        const struct search_cond *s = &w->p->conds[i];
        if (s->kind == o->kind && s->clause->op != OP_IS_NULL && !strcmp(s->name, o->name))
            return true;
    }
    return false;
}

/* Without further orders the rest is by start, which has an index; else the stage is one group. */
static enum stage_kind stage_of_runs(const struct walk *w) {
    return w->p->norders > 1 ? STAGE_ANY : STAGE_STARTED;
}

/* Runs that lack what is ordered by: last, in the order of what follows. */
static int walk_missing(struct walk *w, const struct search_order *o) {
    static const struct filter_clause null = {.op = OP_IS_NULL};
    struct search_cond lacks = {
        .kind = o->kind, .clause = &null, .name = o->name, .keys = o->keys, .nkeys = o->nkeys};
    struct stage stage = {.kind = stage_of_runs(w), .desc = true};
    w->conds[w->nconds++] = &lacks;
    w->probed = w->passed = 0;
    int rc = walk_stage(w, &stage);
    w->nconds--;
    return rc;
}

/* The status after `seen` in the order's direction, NULL after the last. */
static int next_status(struct walk *w, const struct search_order *o, const char **seen) {
    struct sql q;
    sql_begin(w->c, &q);
    sql_add(w->c, &q,
            o->desc ? "SELECT max(v) FROM (SELECT (SELECT max(r.status)"
                    : "SELECT min(v) FROM (SELECT (SELECT min(r.status)",
            "");
    sql_add(w->c, &q,
            " FROM run r INDEXED BY run_status WHERE r.experiment_id = e.value"
            " AND r.deleted = f.value",
            "");
    if (*seen)
        sql_add(w->c, &q, o->desc ? " AND r.status < ?" : " AND r.status > ?", "s", *seen);
    sql_add(w->c, &q, ") AS v FROM json_each(?) e CROSS JOIN json_each(?) f)", "ss",
            filter_ids_json(w->c, w->p->experiments, w->p->nexperiments),
            w->p->deleted < 0 ? "[0,1]"
            : w->p->deleted   ? "[1]"
                              : "[0]");
    struct stmt *st = sql_query(w->c, &q);
    int rc = stmt_next(st);
    *seen = rc > 0 ? stmt_text(w->c, st, 0) : NULL;
    stmt_end(st);
    return rc < 0 ? rc : 0;
}

static int walk_statuses(struct walk *w, const struct search_order *o) {
    const char *status = NULL;
    int rc = 0;
    while (!rc && !groups_full(&w->groups) && !w->few) {
        rc = next_status(w, o, &status);
        if (rc || !status)
            break;
        struct stage stage = {.kind = stage_of_runs(w), .desc = true, .status = status};
        rc = walk_stage(w, &stage);
    }
    return rc;
}

static int walk_stages(struct walk *w) {
    const struct search_order *o = w->p->norders ? &w->p->orders[0] : NULL;
    struct stage stage = {.kind = STAGE_STARTED, .desc = !o || o->desc, .order = o};
    if (!o || o->kind == BY_NUMBER)
        return walk_stage(w, &stage);
    if (o->kind == BY_TEXT)
        return walk_statuses(w, o);
    stage.kind = o->kind == BY_METRIC ? STAGE_NUMBER : STAGE_TEXT;
    int rc = walk_stage(w, &stage);
    if (!rc && !groups_full(&w->groups) && !w->few && o->kind == BY_METRIC) {
        stage.kind = STAGE_NAN;
        rc = walk_stage(w, &stage);
    }
    if (!rc && !groups_full(&w->groups) && !w->few && !asks_for_key(w, o))
        rc = walk_missing(w, o);
    return rc;
}

/* ------------------------------------------------------------------ the walk */

bool run_search_walkable(const struct search_plan *p) {
    const struct search_order *o = p->norders ? &p->orders[0] : NULL;
    struct stage runs = {.kind = STAGE_ANY};
    struct stage keyed = {.kind = o && o->kind == BY_METRIC ? STAGE_NUMBER : STAGE_TEXT,
                          .order = o};
    if (streams_count(p, &runs) > STREAMS_MAX)
        return false;
    if (!o || o->kind < BY_TEXT)
        return !o || streams_count(p, &keyed) <= STREAMS_MAX;
    return !strcmp(o->column, "r.start_ms") || !strcmp(o->column, "r.status");
}

int run_search_walk(struct ctx *c, const struct search_plan *p, enum walk_way way,
                    struct list *rows) {
    return run_search_walk_among(c, p, way, NULL, rows);
}

int run_search_walk_among(struct ctx *c, const struct search_plan *p, enum walk_way way,
                          struct bitmap *among, struct list *rows) {
    const struct search_order *o = p->norders ? &p->orders[0] : NULL;
    struct walk w = {.c = c, .p = p, .way = way, .at_once = PROBED_AT_ONCE};
    w.conds = ARENA_ARRAY(c->arena, const struct search_cond *, p->nconds + 2);
    for (size_t i = 0; i < p->nconds; i++) {
        const struct search_cond *s = &p->conds[i];
        /* Conditions on the metric that orders bound its streams. */
        if (!(o && o->kind == BY_METRIC && s->kind == BY_METRIC && !strcmp(s->name, o->name)))
            w.conds[w.nconds++] = s;
    }
    w.nown = w.nconds;
    int rc = run_set_begin(c, &w.view);
    w.set = (struct run_set){.bits = w.view.bits, .among = among};
    groups_begin(c, &w.groups, p, w.view.bits);
    if (way != WALK_ADAPTS)
        w.groups.listed = (size_t)(w.at_once = 16);
    if (!rc && o && o->kind < BY_TEXT)
        rc = run_set_view(c, &w.view, p);
    if (!rc)
        rc = walk_stages(&w);
    if (!rc && w.few) {
        size_t n = 0;
        struct search_plan met = *p; /* but for what the walk itself would have asked */
        const int64_t *ids = run_set_list(c, w.set.among, &n);
        if (w.nown == p->nconds)
            met.nconds = 0;
        return run_search_sorted(c, &met, ids, n, rows);
    }
    return rc ? rc : groups_page(&w.groups, rows);
}
