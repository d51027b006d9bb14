/* SPDX-License-Identifier: Apache-2.0 */
#include "etag.h"

#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "quern/http/server.h"
#include "quern/json/json_out.h"
#include "quern/lane/lane.h"

#define TAG_LEN 32 /* hex digits: 128 bits */

static const char *tag_of(struct ctx *c, const char *json, size_t n) {
    char hex[65];
    sha256_hex(json, n, hex);
    return arena_printf(c->arena, "\"%.*s\"", TAG_LEN, hex);
}

void etag_answer(struct call *k) {
    struct ctx *c = call_ctx(k);
    const struct route *row = call_route(k);
    struct buf text = {0};
    if (!row->twin || !str_eq(row->method, "GET") || c->reply.kind != REPLY_SHAPE || !row->out)
        return;
    json_encode(&text, row->out, call_out(k));
    reply_etag(c, tag_of(c, text.data, text.len));
    buf_putc(&text, '\n');
    reply_bytes(c, "application/json", arena_dup(c->arena, text.data, text.len), text.len);
    buf_free(&text);
}

static size_t slot_size(const struct field *f) {
    switch (f->type) {
    case T_I64:
        return sizeof(struct opt_i64);
    case T_F64:
        return sizeof(struct opt_f64);
    case T_BOOL:
        return sizeof(struct opt_bool);
    case T_LIST:
        return sizeof(struct list);
    case T_STRS:
        return sizeof(struct strs);
    case T_MAP:
        return sizeof(struct pairs);
    case T_FMAP:
        return sizeof(struct fpairs);
    case T_STR:
    case T_ENUM:
    case T_OBJ:
    case T_JSON:
        break;
    }
    return sizeof(void *);
}

/* What names the thing, from the change's input to that of the GET. */
static void copy_input(const struct shape *from, const void *in, const struct shape *to,
                       void *out) {
    for (size_t i = 0; i < to->n; i++)
        for (size_t j = 0; j < from->n; j++)
            if (str_eq(to->fields[i].name, from->fields[j].name) &&
                to->fields[i].type == from->fields[j].type)
                memcpy((char *)out + to->fields[i].offset,
                       (const char *)in + from->fields[j].offset, slot_size(&to->fields[i]));
}

static const struct route *find(const struct route_list *routes, const char *id) {
    for (const struct route_list *l = routes; l && l->n; l++)
        for (size_t i = 0; i < l->n; i++)
            if (str_eq(l->rows[i].id, id))
                return &l->rows[i];
    return NULL;
}

/* The thing's ETag now, in *tag; NULL when there is no such thing. */
static int current(struct call *k, const struct route *twin, const char **tag) {
    struct ctx *c = call_ctx(k);
    const struct route *row = call_route(k);
    void *in = arena_alloc(c->arena, twin->in->size);
    void *out = arena_alloc(c->arena, twin->out->size);
    struct buf text = {0};
    copy_input(row->in, call_in(k), twin->in, in);
    *tag = NULL;
    int rc = route_run(c, twin, in, out);
    if (rc == -ERR_NOT_FOUND) {
        err_clear(c);
        return 0;
    }
    if (rc == 0) {
        json_encode(&text, twin->out, out);
        *tag = tag_of(c, text.data, text.len);
        buf_free(&text);
    }
    return rc;
}

/* Whether a list of entity tags holds `tag`; weak ones never do. */
static bool lists(const char *header, const char *tag) {
    size_t n = strlen(tag);
    for (const char *p = header; *p;) {
        p += strspn(p, " \t,");
        if (str_starts(p, tag) && (!p[n] || strchr(" \t,", p[n])))
            return true;
        p += strcspn(p, ",");
    }
    return false;
}

int etag_check(struct call *k, const struct route_list *routes) {
    struct ctx *c = call_ctx(k);
    const struct route *row = call_route(k);
    const char *match = ctx_header(c, "if-match"), *none = ctx_header(c, "if-none-match");
    const char *tag = NULL;
    if (!match && !none)
        return 0;
    const struct route *twin = row->twin ? find(routes, row->twin) : NULL;
    if (!twin)
        return fail_field(c, ERR_PRECONDITION, match ? "If-Match" : "If-None-Match",
                          "Conditions are not supported on this route; send it without.");
    int rc = current(k, twin, &tag);
    if (rc != 0)
        return rc;
    if (match && !tag)
        return fail_field(c, ERR_PRECONDITION, "If-Match", "There is no such thing.");
    if (match && !str_eq(match, "*") && !lists(match, tag))
        return fail_field(c, ERR_PRECONDITION, "If-Match",
                          "It has changed since: its ETag is %s now. Read it again.", tag);
    if (none && tag && (str_eq(none, "*") || lists(none, tag)))
        return fail_field(c, ERR_PRECONDITION, "If-None-Match", "It exists: its ETag is %s.", tag);
    return 0;
}
