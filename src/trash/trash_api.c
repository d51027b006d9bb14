/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "quern/access/access.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/page.h"
#include "quern/db/db.h"
#include "quern/trash/trash.h"
#include "trash.h"

struct list_in {
    const char *kind, *page_token;
    struct opt_i64 max_results;
};
SHAPE_LOCAL(list_in_shape, "TrashQuery", struct list_in,
            FIELD_ENUM(struct list_in, kind, F_QUERY, trash_kinds,
                       "Only this kind; runs and logged models of a deleted experiment are listed "
                       "only when asked for by kind"),
            FIELD_MAX(struct list_in, max_results, T_I64, F_QUERY, 1, 1000,
                      "Things per page; default 100"),
            FIELD(struct list_in, page_token, T_STR, F_QUERY,
                  "next_page_token of the page before"));

struct thing {
    const char *kind, *id, *name, *deleted_by;
    struct opt_i64 deleted_ms, purge_ms, files, bytes;
};
SHAPE_LOCAL(thing_shape, "TrashThing", struct thing,
            FIELD_ENUM(struct thing, kind, F_ALWAYS, trash_kinds, "What it is"),
            FIELD(struct thing, id, T_STR, F_ALWAYS, "What to restore or erase it by"),
            FIELD(struct thing, name, T_STR, F_ALWAYS,
                  "Name, 'name/version', or path of an artifact"),
            FIELD(struct thing, deleted_ms, T_I64, F_ALWAYS, "Milliseconds since the epoch"),
            FIELD(struct thing, deleted_by, T_STR, 0, "Principal; absent when not known"),
            FIELD(struct thing, purge_ms, T_I64, F_ALWAYS, "From when on it is erased"),
            FIELD(struct thing, files, T_I64, 0, "Files of an artifact tree"),
            FIELD(struct thing, bytes, T_I64, 0, "Bytes of an artifact tree"));

struct list_out {
    struct list things;
    const char *next_page_token;
};
SHAPE_LOCAL(list_out_shape, "TrashList", struct list_out,
            FIELD_SUB(struct list_out, things, T_LIST, F_ALWAYS, &thing_shape, "Newest first"),
            FIELD(struct list_out, next_page_token, T_STR, 0, "Absent on the last page"));

static struct thing show(const struct trash_row *t) {
    struct thing o = {.kind = trash_kinds[t->kind],
                      .id = t->id,
                      .name = t->name,
                      .deleted_by = t->by,
                      .deleted_ms = SET_I64(t->deleted_ms),
                      .purge_ms = SET_I64(t->since_ms + trash_keep_ms)};
    if (t->kind == TRASH_ARTIFACT) {
        o.files = SET_I64(t->files);
        o.bytes = SET_I64(t->bytes);
    }
    return o;
}

static int list_door(struct ctx *c, const void *in_, void *out_) {
    const struct list_in *in = in_;
    struct list_out *out = out_;
    struct trash_rows found;
    int64_t before = 0;
    int rc = page_offset(c, in->page_token, &before);
    if (rc == 0)
        rc = trash_list(c, in->kind, before, in->max_results.set ? in->max_results.v : 100, &found);
    if (rc != 0)
        return rc;
    struct thing *items = ARENA_ARRAY(c->arena, struct thing, found.n + 1);
    for (size_t i = 0; i < found.n; i++)
        items[i] = show(&found.items[i]);
    out->things = (struct list){items, found.n};
    if (found.next)
        out->next_page_token = page_token(c, found.next);
    return 0;
}

struct thing_in {
    const char *kind, *id;
};
SHAPE_LOCAL(thing_in_shape, "TrashName", struct thing_in,
            FIELD_ENUM(struct thing_in, kind, F_PATH | F_REQUIRED, trash_kinds, "What it is"),
            FIELD(struct thing_in, id, T_STR, F_PATH | F_REQUIRED,
                  "Id of a list, or the name of a registered model, version or artifact, which "
                  "means the newest deleted one"));

static int restore_door(struct ctx *c, const void *in_, void *out_) {
    const struct thing_in *in = in_;
    struct trash_row t;
    int rc = trash_find(c, in->kind, in->id, &t);
    if (rc == 0)
        rc = trash_restore(c, &t);
    if (rc == 0)
        *(struct thing *)out_ = show(&t);
    return rc;
}

struct purge {
    const char *kind, *id;
    struct trash_row t;
    bool begun;
    int more;
};

static int purge_op(struct ctx *c, void *arg) {
    struct purge *p = arg;
    int rc = trash_find(c, p->kind, p->id, &p->t);
    if (rc == -ERR_NOT_FOUND && p->begun) { /* another one has ended it */
        err_clear(c);
        p->more = 0;
        return 0;
    }
    if (rc == 0)
        rc = trash_purge(c, &p->t, TRASH_STEP);
    if (rc < 0)
        return rc;
    p->more = rc;
    return p->begun ? 0
                    : audit_append(c, "trash.purge",
                                   arena_printf(c->arena, "%s:%s", p->kind, p->t.name), "{}");
}

static int purge_door(struct ctx *c, const void *in_, void *out) {
    const struct thing_in *in = in_;
    struct purge p = {.kind = in->kind, .id = in->id};
    (void)out;
    do {
        int rc = db_write(trash_db, c, purge_op, &p);
        if (rc != 0)
            return rc;
        p.begun = true;
        p.id = p.t.id; /* a name would find an older one next */
    } while (p.more > 0);
    return 0;
}

static const struct route rows[] = {
    {.id = "trash.list",
     .method = "GET",
     .path = "/api/v1/trash",
     .in = &list_in_shape,
     .out = &list_out_shape,
     .perm = PERM_READ,
     .lane = LANE_READ,
     .flags = ROUTE_OBJECT,
     .fn = list_door,
     .summary = "Lists what was deleted and can be restored."},
    {.id = "trash.restore",
     .method = "POST",
     .path = "/api/v1/trash/{kind}/{id}/restore",
     .in = &thing_in_shape,
     .out = &thing_shape,
     .perm = PERM_WRITE,
     .lane = LANE_WRITE,
     .flags = ROUTE_OBJECT | ROUTE_AUDIT,
     .fn = restore_door,
     .summary = "Puts back what was deleted; 409 says what stands in the way."},
    {.id = "trash.purge",
     .method = "DELETE",
     .path = "/api/v1/trash/{kind}/{id}",
     .in = &thing_in_shape,
     .perm = PERM_ADMIN,
     .lane = LANE_WORK,
     .fn = purge_door,
     .summary = "Erases what was deleted now, for good."},
};
const struct route_list trash_routes = {rows, ARRAY_LEN(rows)};
