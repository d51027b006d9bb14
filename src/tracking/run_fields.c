/* SPDX-License-Identifier: Apache-2.0 */
#include "run_fields.h"

#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/page.h"
#include "quern/db/db.h"
#include "quern/json/json_out.h"
#include "rows.h"
#include "run.h"

enum part { METRICS, PARAMS, TAGS, PARTS };

#define ALL_SQL(columns, table)                                                                    \
    "SELECT j.key, x.key_id, " columns " FROM json_each(?) j CROSS JOIN " table                    \
    " x ON x.run_id = j.value"
/* Names of one experiment are known as numbers; those of several are looked up for each run. */
#define SOME_SQL(columns, table)                                                                   \
    "SELECT j.key, k.key, " columns " FROM json_each(?) j CROSS JOIN json_each(?) k"               \
    " CROSS JOIN " table " x ON x.run_id = j.value AND x.key_id = k.value"
#define NAMED_SQL(columns, table)                                                                  \
    "SELECT j.key, n.key, " columns " FROM json_each(?) j CROSS JOIN run r ON r.id = j.value"      \
    " CROSS JOIN json_each(?) n"                                                                   \
    " CROSS JOIN run_key k ON k.experiment_id = r.experiment_id AND k.name = n.value"              \
    " CROSS JOIN " table " x ON x.run_id = r.id AND x.key_id = k.id"
static const struct {
    const char *name, *all, *some, *named;
} parts[PARTS] = {
    {"metrics", ALL_SQL("x.value, x.is_nan", "metric_latest"),
     SOME_SQL("x.value, x.is_nan", "metric_latest"),
     NAMED_SQL("x.value, x.is_nan", "metric_latest")},
    {"params", ALL_SQL("x.value", "run_param"), SOME_SQL("x.value", "run_param"),
     NAMED_SQL("x.value", "run_param")},
    {"tags", ALL_SQL("x.value", "run_tag"), SOME_SQL("x.value", "run_tag"),
     NAMED_SQL("x.value", "run_tag")},
};

struct wish {
    bool info, all[PARTS];
    const char **names[PARTS];
    size_t n[PARTS];
};

/* Names already met, by number: a name is read once however many runs have it. */
struct known {
    int64_t *ids;
    const char **names;
    size_t n, cap; /* cap a power of two, at most half full */
};

struct fill {
    struct ctx *c;
    const char *rows;
    struct run_fields *runs;
    size_t n;
    size_t *caps;
    struct known known;
};

static int read_field(struct ctx *c, const char *text, size_t at, struct wish *w) {
    if (!strcmp(text, "info")) {
        w->info = true;
        return 0;
    }
    for (size_t k = 0; k < PARTS; k++) {
        size_t len = strlen(parts[k].name);
        if (!str_starts(text, parts[k].name))
            continue;
        if (!text[len]) {
            w->all[k] = true;
            return 0;
        }
        if (text[len] != '.' || !text[len + 1])
            continue;
        for (size_t i = 0; i < w->n[k]; i++)
            if (!strcmp(w->names[k][i], text + len + 1))
                return 0;
        w->names[k][w->n[k]++] = text + len + 1;
        return 0;
    }
    return fail_field(
        c, ERR_INVALID, arena_printf(c->arena, "fields[%zu]", at),
        "Invalid field '%.200s': it must be info, metrics, params, tags, or one of the "
        "last three with a dot and a name, as in metrics.loss",
        text);
}

static int read_wish(struct ctx *c, const struct strs *fields, struct wish *w) {
    *w = (struct wish){.info = fields->n == 0};
    if (fields->n > FIELDS_MAX)
        return fail_field(c, ERR_INVALID, "fields",
                          "'fields' holds %zu names, at most %d are allowed", fields->n,
                          FIELDS_MAX);
    for (size_t k = 0; k < PARTS; k++)
        w->names[k] = ARENA_ARRAY(c->arena, const char *, fields->n + 1);
    for (size_t i = 0; i < fields->n; i++) {
        int rc = read_field(c, fields->items[i], i, w);
        if (rc)
            return rc;
    }
    return 0;
}

static size_t slot_of(const struct known *k, int64_t id) {
    size_t i = (size_t)((uint64_t)id * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (k->cap - 1);
    while (k->names[i] && k->ids[i] != id)
        i = (i + 1) & (k->cap - 1);
    return i;
}

static void grow(struct ctx *c, struct known *k) {
    struct known more = {.cap = k->cap ? k->cap * 2 : 64, .n = k->n};
    more.ids = ARENA_ARRAY(c->arena, int64_t, more.cap);
    more.names = ARENA_ARRAY(c->arena, const char *, more.cap);
    for (size_t i = 0; i < k->cap; i++)
        if (k->names[i]) {
            size_t to = slot_of(&more, k->ids[i]);
            more.ids[to] = k->ids[i];
            more.names[to] = k->names[i];
        }
    *k = more;
}

static int name_of(struct ctx *c, struct known *k, int64_t id, const char **out) {
    if (k->n * 2 >= k->cap)
        grow(c, k);
    size_t i = slot_of(k, id);
    if (!k->names[i]) {
        char *name = NULL;
        int rc = db_get_text(c, "SELECT name FROM run_key WHERE id = ?", &name, "i", id);
        if (rc < 0)
            return rc;
        k->ids[i] = id;
        k->names[i] = name ? name : "";
        k->n++;
    }
    *out = k->names[i];
    return 0;
}

/* Maps have the form of lists: items, then how many. */
static int take(struct fill *f, struct stmt *st, enum part part, const char *const *names) {
    int rc;
    memset(f->caps, 0, f->n * sizeof *f->caps);
    while ((rc = stmt_next(st)) > 0) {
        size_t i = (size_t)stmt_i64(st, 0);
        const char *name = NULL;
        if (i >= f->n)
            continue;
        rc = answer_check(f->c);
        if (!rc && names)
            name = names[stmt_i64(st, 1)];
        else if (!rc)
            rc = name_of(f->c, &f->known, stmt_i64(st, 1), &name);
        if (rc)
            break;
        struct run_fields *r = &f->runs[i];
        if (part == METRICS) {
            struct list l = {.items = r->metrics.items, .n = r->metrics.n};
            struct fpair *p = list_push(f->c, &l, &f->caps[i], sizeof *p);
            p->key = name;
            p->value = stmt_i64(st, 3) ? __builtin_nan("") : stmt_f64(st, 2);
            r->metrics = (struct fpairs){.items = l.items, .n = l.n};
        } else {
            struct pairs *to = part == PARAMS ? &r->params : &r->tags;
            struct list l = {.items = to->items, .n = to->n};
            struct pair *p = list_push(f->c, &l, &f->caps[i], sizeof *p);
            p->key = name;
            p->value = stmt_text(f->c, st, 2);
            *to = (struct pairs){.items = l.items, .n = l.n};
        }
    }
    stmt_end(st);
    return rc;
}

static int fill_some(struct fill *f, const struct search_plan *p, enum part part,
                     const struct wish *w) {
    struct buf b = {0};
    struct json_writer json;
    const char **names = ARENA_ARRAY(f->c->arena, const char *, w->n[part] + 1);
    size_t n = 0;
    int rc = 0;
    bool one = p->nexperiments == 1;
    jw_init(&json, &b);
    jw_arr(&json);
    for (size_t i = 0; i < w->n[part] && rc >= 0; i++) {
        int64_t key = 0;
        if (one && (rc = run_key_find(f->c, p->experiments[0], w->names[part][i], &key)) <= 0)
            continue;
        if (one)
            jw_i64(&json, key);
        else
            jw_str(&json, w->names[part][i]);
        names[n++] = w->names[part][i];
    }
    jw_arr_end(&json);
    const char *keys = arena_strndup(f->c->arena, b.data, b.len);
    buf_free(&b);
    if (rc < 0 || n == 0)
        return rc < 0 ? rc : 0;
    return take(f, db_query(f->c, one ? parts[part].some : parts[part].named, "ss", f->rows, keys),
                part, names);
}

static int fill_ids(struct fill *f, bool info) {
    struct run_info *infos = info ? ARENA_ARRAY(f->c->arena, struct run_info, f->n) : NULL;
    int rc = 0;
    if (info) {
        rc = run_load_infos(f->c, f->rows, f->n, infos);
        for (size_t i = 0; i < f->n; i++) {
            f->runs[i].info = &infos[i];
            f->runs[i].run_id = infos[i].run_id;
        }
        return rc;
    }
    struct stmt *st = db_query(f->c,
                               "SELECT j.key, r.uuid FROM json_each(?) j"
                               " CROSS JOIN run r INDEXED BY run_brief ON r.id = j.value",
                               "s", f->rows);
    while ((rc = stmt_next(st)) > 0)
        if ((size_t)stmt_i64(st, 0) < f->n)
            f->runs[stmt_i64(st, 0)].run_id = stmt_text(f->c, st, 1);
    stmt_end(st);
    return rc;
}

int run_fields_search(struct ctx *c, const struct run_search *in, const struct strs *fields,
                      struct run_fields_page *out) {
    struct wish w;
    struct search_plan p;
    int64_t *rows = NULL;
    size_t n = 0;
    int rc = read_wish(c, fields, &w);
    if (!rc)
        rc = run_search_plan(c, in, &p);
    if (rc || p.nothing)
        return rc;
    rc = run_search_rows(c, &p, &rows, &n);
    if (rc || n == 0)
        return rc;
    if (n > (size_t)p.limit) {
        n = (size_t)p.limit;
        out->next_page_token = page_token(c, p.offset + p.limit);
    }
    struct fill f = {.c = c,
                     .rows = run_rows_json(c, rows, n),
                     .runs = ARENA_ARRAY(c->arena, struct run_fields, n),
                     .n = n,
                     .caps = ARENA_ARRAY(c->arena, size_t, n)};
    out->runs = (struct list){.items = f.runs, .n = n};
    rc = fill_ids(&f, w.info);
    for (enum part part = METRICS; part < PARTS && rc >= 0; part++) {
        if (w.all[part])
            rc = take(&f, db_query(c, parts[part].all, "s", f.rows), part, NULL);
        else if (w.n[part])
            rc = fill_some(&f, &p, part, &w);
    }
    return rc < 0 ? rc : 0;
}
