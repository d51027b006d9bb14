/* SPDX-License-Identifier: Apache-2.0 */
#include "column.h"

#include <string.h>

#include "experiment.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/page.h"
#include "quern/db/db.h"
#include "rows.h"

#define USUAL 1000

#define NAMES_SQL(counter)                                                                         \
    "SELECT id, name, " counter " FROM run_key WHERE experiment_id = ? AND " counter " > 0"        \
    " AND name >= ? AND (? IS NULL OR name < ?) ORDER BY name LIMIT ? OFFSET ?"
#define COUNT_SQL(counter)                                                                         \
    "SELECT count(*) FROM run_key WHERE experiment_id = ? AND " counter " > 0"                     \
    " AND name >= ? AND (? IS NULL OR name < ?)"
static const struct {
    const char *kind, *names, *count;
} kinds[] = {
    {"metric", NAMES_SQL("metrics"), COUNT_SQL("metrics")},
    {"param", NAMES_SQL("params"), COUNT_SQL("params")},
    {"tag", NAMES_SQL("tags"), COUNT_SQL("tags")},
};

/* The least text that is greater than all that begin with the prefix: bytes 0xff cannot occur. */
static const char *prefix_end(struct ctx *c, const char *prefix) {
    size_t n = strlen(prefix);
    if (n == 0)
        return NULL;
    char *end = arena_strdup(c->arena, prefix);
    end[n - 1] = (char)((unsigned char)end[n - 1] + 1);
    return end;
}

struct found {
    struct column col;
    int64_t key;
};

int column_search(struct ctx *c, const struct column_search *in, struct column_page *out) {
    struct experiment e;
    int64_t skip = 0, start;
    int rc = experiment_get(c, in->experiment_id, &e);
    if (!rc)
        rc = page_offset(c, in->page_token, &skip);
    if (rc)
        return rc;
    start = skip;
    int64_t limit = in->max_results.set ? in->max_results.v : USUAL;
    const char *low = in->prefix ? in->prefix : "", *high = prefix_end(c, low);
    struct list found = {0};
    size_t cap = 0;
    for (size_t k = 0; k < ARRAY_LEN(kinds) && (int64_t)found.n <= limit; k++) {
        size_t before = found.n;
        if (in->kind && strcmp(in->kind, kinds[k].kind) != 0)
            continue;
        struct stmt *st = db_query(c, kinds[k].names, "isssii", e.id, low, high, high,
                                   limit + 1 - (int64_t)found.n, skip);
        while ((rc = stmt_next(st)) > 0) {
            struct found *f = list_push(c, &found, &cap, sizeof *f);
            f->key = stmt_i64(st, 0);
            f->col.kind = kinds[k].kind;
            f->col.name = stmt_text(c, st, 1);
            f->col.count = SET_I64(stmt_i64(st, 2));
        }
        stmt_end(st);
        int64_t n = 0;
        if (rc == 0 && skip > 0 && found.n == before)
            rc = db_get_i64(c, kinds[k].count, &n, NULL, "isss", e.id, low, high, high);
        if (rc < 0)
            return rc;
        skip = found.n > before ? 0 : skip - n;
    }
    if ((int64_t)found.n > limit) {
        found.n = (size_t)limit;
        out->next_page_token = page_token(c, start + limit);
    }
    struct found *items = found.items;
    struct column *columns = out->columns.items = ARENA_ARRAY(c->arena, struct column, found.n + 1);
    out->columns.n = found.n;
    for (size_t i = 0; i < found.n; i++) {
        columns[i] = items[i].col;
        rc = column_describe(c, items[i].key, !in->distinct.set || in->distinct.v, &columns[i]);
        if (rc)
            return rc;
    }
    return 0;
}
