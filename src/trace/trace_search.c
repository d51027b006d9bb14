/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_search.h"

#include <string.h>

#include "quern/access/access.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/page.h"
#include "quern/db/db.h"
#include "trace_filter.h"

#define OFFSET_MAX 1000000000
#define ORDERS_MAX 20

/* The experiments asked for that are this project's; texts that are no numbers name none. */
int trace_from(struct ctx *c, const struct strs *ids, const char *join, struct sql *q) {
    struct buf list = {0};
    int64_t id = 0, only = 0;
    size_t n = 0;
    buf_putc(&list, '[');
    for (size_t i = 0; i < ids->n; i++) {
        if (!str_to_i64(ids->items[i], &id))
            continue;
        buf_printf(&list, "%s%lld", n ? "," : "", (long long)id);
        only = id;
        n++;
    }
    buf_putc(&list, ']');
    sql_add(c, q, " FROM trace t", "");
    sql_add(c, q, join, "");
    if (n == 1) /* the index then gives the order of time */
        sql_add(c, q,
                " WHERE t.experiment_id = ? AND EXISTS (SELECT 1 FROM experiment e"
                " WHERE e.id = t.experiment_id AND e.project_id = ?)",
                "ii", only, c->project);
    else
        sql_add(c, q,
                " WHERE t.experiment_id IN (SELECT e.id FROM json_each(?) j"
                " JOIN experiment e ON e.id = j.value WHERE e.project_id = ?)",
                "si", arena_strdup(c->arena, list.data), c->project);
    buf_free(&list);
    return access_object_filter(c, OBJECT_EXPERIMENT, "t.experiment_id", q);
}

static int add_orders(struct ctx *c, const struct strs *orders, struct sql *q) {
    int rc = orders->n > ORDERS_MAX ? fail_field(c, ERR_INVALID, "order_by",
                                                 "At most %d orders can be given.", ORDERS_MAX)
                                    : 0;
    sql_add(c, q, " ORDER BY ", "");
    for (size_t i = 0; i < orders->n && rc == 0; i++) {
        rc = trace_order_sql(c, orders->items[i], q);
        sql_add(c, q, ", ", "");
    }
    sql_add(c, q, "t.timestamp_ms DESC, t.trace_id ASC", "");
    return rc;
}

int trace_search(struct ctx *c, const struct trace_search *in, struct trace_found *out) {
    int64_t offset = 0;
    struct sql q;
    *out = (struct trace_found){0};
    int rc = page_offset(c, in->page_token, &offset);
    sql_begin(c, &q);
    sql_add(c, &q, "SELECT t.id", "");
    rc = rc ? rc : trace_from(c, &in->experiment_ids, "", &q);
    rc = rc ? rc : trace_filter_sql(c, in->filter, &q);
    rc = rc ? rc : add_orders(c, &in->order_by, &q);
    if (rc != 0 || offset > OFFSET_MAX)
        return rc;
    sql_add(c, &q, " LIMIT ? OFFSET ?", "ii", in->max_results + 1, offset);
    out->rows = ARENA_ARRAY(c->arena, int64_t, (size_t)in->max_results + 1);
    struct stmt *st = sql_query(c, &q);
    while ((rc = stmt_next(st)) > 0) {
        if (out->n == (size_t)in->max_results) {
            out->next_page_token = page_token(c, offset + in->max_results);
            break;
        }
        out->rows[out->n++] = stmt_i64(st, 0);
    }
    stmt_end(st);
    return rc < 0 ? rc : 0;
}

int trace_count(struct ctx *c, const struct strs *experiment_ids, const char *filter,
                const char *also, const char *also2, int64_t *n) {
    struct sql q;
    sql_begin(c, &q);
    sql_add(c, &q, "SELECT count(*)", "");
    int rc = trace_from(c, experiment_ids, "", &q);
    rc = rc ? rc : trace_filter_sql(c, filter, &q);
    rc = rc ? rc : trace_filter_sql(c, also, &q);
    rc = rc ? rc : trace_filter_sql(c, also2, &q);
    if (rc != 0)
        return rc;
    struct stmt *st = sql_query(c, &q);
    rc = stmt_next(st);
    *n = rc > 0 ? stmt_i64(st, 0) : 0;
    stmt_end(st);
    return rc < 0 ? rc : 0;
}
