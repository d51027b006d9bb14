/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <inttypes.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/json/json_in.h"

/* From a head to a decoded request, or to the reason why not. */

static enum dialect dialect_of_path(const char *path) {
    if (str_starts(path, "/api/2.0/mlflow") || str_starts(path, "/api/3.0/mlflow") ||
        str_starts(path, "/ajax-api/"))
        return DIALECT_MLFLOW;
    if (str_starts(path, "/v2/") || str_eq(path, "/v2") || str_starts(path, "/v1/models"))
        return DIALECT_OIP;
    if (str_eq(path, "/invocations"))
        return DIALECT_SCORING;
    return str_starts(path, "/api/") ? DIALECT_PROBLEM : DIALECT_TEXT;
}

enum dialect call_dialect(const struct call *k) {
    if (k->refused)
        return DIALECT_TEXT;
    return k->entry ? k->entry->row->dialect : dialect_of_path(k->c.path);
}

static void allow_header(struct call *k) {
    struct buf text = {0};
    for (unsigned m = 0; m < METHOD_COUNT; m++)
        if ((k->allow | 1u << METHOD_OPTIONS) & 1u << m)
            buf_printf(&text, "%s%s", text.len ? ", " : "", method_text((enum method)m));
    reply_header(&k->c, "Allow", arena_strdup(k->c.arena, text.data));
    buf_free(&text);
}

static int no_route(struct call *k) {
    struct ctx *c = &k->c;
    enum dialect d = call_dialect(k);
    const char *near = NULL;
    if (d == DIALECT_PROBLEM || d == DIALECT_TEXT)
        near = router_nearest(k->s->router, c->arena, c->path, strlen(c->path));
    if (near)
        return fail(c, ERR_NO_ROUTE, "There is nothing at %s. Did you mean %s?", c->path, near);
    return fail(c, ERR_NO_ROUTE, "There is nothing at %s.", c->path);
}

int call_find(struct call *k) {
    struct ctx *c = &k->c;
    struct route_match match;
    router_find(k->s->router, c->arena, k->method, c->path, strlen(c->path), &match);
    k->allow = match.allow;
    if (match.entry) {
        k->entry = match.entry;
        k->nvars = match.nvars;
        memcpy(k->vars, match.vars, sizeof(k->vars));
        return 0;
    }
    if (!match.allow)
        return no_route(k);
    allow_header(k);
    if (k->method == METHOD_OPTIONS) {
        reply_status(c, 204);
        reply_bytes(c, NULL, "", 0);
        return 1; /* answered */
    }
    return fail(c, ERR_METHOD, "%s is not a method of %s; see the Allow header.", c->method,
                c->path);
}

/* The media type without its parameters. */
static bool media_is(const char *type, const char *want) {
    size_t n = strcspn(type, "; \t");
    return n == strlen(want) && strncasecmp(type, want, n) == 0;
}

static bool media_is_json(const char *type) {
    size_t n = strcspn(type, "; \t");
    return media_is(type, "application/json") ||
           (n > 5 && strncasecmp(type + n - 5, "+json", 5) == 0);
}

static int check_content_type(struct call *k) {
    const struct route *row = k->entry->row;
    struct ctx *c = &k->c;
    if (row->flags & (ROUTE_RAW_BODY | ROUTE_UPLOAD))
        return 0;
    if (row->dialect == DIALECT_MLFLOW) {
        if (k->method != METHOD_POST && k->method != METHOD_PUT)
            return 0;
        if (!*c->content_type)
            return fail(c, ERR_INVALID, "Bad Request. Content-Type header is missing.");
        if (!media_is(c->content_type, "application/json"))
            return fail(c, ERR_INVALID,
                        "Bad Request. Content-Type must be one of ['application/json'].");
        return 0;
    }
    if (row->dialect == DIALECT_PROBLEM && call_has_body(k) && !media_is_json(c->content_type))
        return fail(c, ERR_MEDIA_TYPE,
                    "The body must come with Content-Type: application/json (curl --json does).");
    return 0;
}

/* A body of a GET means nothing, and anybody may GET /livez: it must not take up the memory that
 * all bodies share. */
#define UNASKED_BODY_MAX (64u << 10)

static int check_body_size(struct call *k) {
    const struct route *row = k->entry->row;
    bool unasked = k->method == METHOD_GET || k->method == METHOD_HEAD;
    k->body_cap = row->body_cap ? row->body_cap : k->s->o.body_cap;
    if (!row->body_cap && unasked && k->body_cap > UNASKED_BODY_MAX)
        k->body_cap = UNASKED_BODY_MAX;
    if (row->flags & ROUTE_UPLOAD)
        k->body_cap = row->body_cap ? row->body_cap : k->s->o.upload_cap;
    if (k->body_length > k->body_cap)
        return fail(&k->c, ERR_TOO_LARGE,
                    "The body has %" PRIu64 " bytes, at most %" PRIu64 " are taken here.",
                    k->body_length, k->body_cap);
    if (!(row->flags & ROUTE_UPLOAD) && k->body_length)
        return body_reserve(k, (size_t)k->body_length);
    return 0;
}

bool call_undecoded(const struct call *k) {
    return !k->decoded;
}

/* Path, query and (unless raw or streamed) the body into k->in. */
int call_decode(struct call *k) {
    if (k->decoded)
        return 0;
    const struct route *row = k->entry->row;
    struct ctx *c = &k->c;
    k->decoded = true;
    if (row->out)
        k->out = arena_alloc(c->arena, row->out->size ? row->out->size : 1);
    if (!row->in)
        return 0;
    struct json_t *tree = NULL;
    struct pairs query;
    const struct pairs path = {.items = k->vars, .n = k->nvars};
    const bool body = !(row->flags & (ROUTE_RAW_BODY | ROUTE_UPLOAD)) && c->body_len;
    k->in = arena_alloc(c->arena, row->in->size ? row->in->size : 1);
    if (body && !(c->query && *c->query) && k->method != METHOD_GET && k->method != METHOD_HEAD &&
        json_direct(c, row->in, c->body, c->body_len, k->in))
        return 0;
    if (body) {
        int rc = json_parse(c, row->dialect, c->body, c->body_len, &tree);
        if (rc)
            return rc;
    }
    target_query(c->arena, c->query, &query);
    return json_decode(c, row->dialect, row->in, tree, &query, &path, k->in);
}

int call_admit(struct call *k) {
    struct server *s = k->s;
    const struct route *row = k->entry->row;
    if (atomic_load_explicit(&s->draining, memory_order_relaxed) &&
        !(row->flags & ROUTE_NO_HOST_CHECK)) {
        k->close = true;
        return fail(&k->c, ERR_BUSY, "The server is shutting down, try again.");
    }
    int rc = s->o.admit ? s->o.admit(&k->c, row, s->o.admit_arg) : 0;
    if (!rc)
        rc = check_content_type(k);
    if (!rc)
        rc = check_body_size(k);
    if (!rc)
        rc = decode_open(k);
    if (!rc && (row->flags & ROUTE_UPLOAD)) {
        rc = call_decode(k);
        if (!rc)
            rc = row->upload->begin(&k->c, k->in, &k->upload);
        k->upload_open = !rc;
    }
    return rc;
}
