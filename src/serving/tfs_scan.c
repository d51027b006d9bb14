/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "json_scan.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "tfs.h"

/* Values that the context may stand for in all examples together: no byte of the body vouches for
 * them. */
#define CONTEXT_MAX ((size_t)1 << 22)

/* What was found of a body. */
struct parts {
    bool data, rows, context;
    struct scan context_at;
};

static int scan_signature(struct scan *s) {
    struct bytes name;
    if (scan_peek(s) != '"')
        return fail_field(s->c, ERR_INVALID, "signature_name",
                          "signature_name is %s; it must be a string", scan_kind(s));
    int rc = scan_string(s, &name);
    if (rc < 0 || name.len == 0 || bytes_eq(name, "serving_default"))
        return rc;
    return fail_field(s->c, ERR_INVALID, "signature_name",
                      "signature '%.*s' is not known; models have 'serving_default' alone",
                      (int)(name.len > 80 ? 80 : name.len), name.data);
}

static int scan_text_of(struct scan *s, struct bytes *out) {
    char ch = scan_peek(s);
    const char *from = s->p;
    int rc = scan_skip(s);
    if (rc == 0 && ch == '{')
        *out = (struct bytes){from, (size_t)(s->p - from)};
    return rc;
}

static int scan_data(struct scan *s, const char *member, bool rows, struct parts *f,
                     struct tfs_body *out) {
    if (f->data)
        return fail_field(s->c, ERR_INVALID, member,
                          f->rows == rows ? "%s stands there twice"
                                          : "%s beside the other form: a body has either "
                                            "instances or inputs",
                          member);
    f->data = true;
    f->rows = out->rows = rows;
    if (rows && scan_peek(s) != '[')
        return fail_field(s->c, ERR_INVALID, member, "%s is %s; it must be a list", member,
                          scan_kind(s));
    return payload_value(s, member, &out->p);
}

static int scan_member(struct scan *s, enum tfs_verb verb, struct bytes key, struct parts *f,
                       struct tfs_body *out) {
    if (bytes_eq(key, "signature_name"))
        return scan_signature(s);
    if (verb == TFS_PREDICT && bytes_eq(key, "instances"))
        return scan_data(s, "instances", true, f, out);
    if (verb == TFS_PREDICT && bytes_eq(key, "inputs"))
        return scan_data(s, "inputs", false, f, out);
    if (verb == TFS_PREDICT && bytes_eq(key, "parameters"))
        return scan_text_of(s, &out->more);
    if (verb != TFS_PREDICT && bytes_eq(key, "examples"))
        return scan_data(s, "examples", true, f, out);
    if (verb != TFS_PREDICT && bytes_eq(key, "context")) {
        f->context = true;
        f->context_at = *s;
        if (scan_peek(s) != '{')
            return fail_field(s->c, ERR_INVALID, "context", "context is %s; it must be an object",
                              scan_kind(s));
    }
    return scan_skip(s);
}

/* The context is one example whose features every other has: a column that stays where it is. */
static int add_context(struct ctx *c, struct scan *at, struct payload *p) {
    struct payload one = {0};
    const char *from = at->p;
    struct scan skip = *at;
    int rc = scan_skip(&skip);
    if (rc < 0)
        return rc;
    size_t n = (size_t)(skip.p - from);
    char *text = arena_alloc(c->arena, n + 3); /* as a list of one */
    text[0] = '[';
    memcpy(text + 1, from, n);
    memcpy(text + 1 + n, "]", 2);
    struct scan s;
    scan_init(&s, c, text, n + 2);
    s.extended = true;
    rc = payload_value(&s, "context", &one);
    if (rc < 0)
        return rc;
    struct column *all = ARENA_ARRAY(c->arena, struct column, p->n + one.n + 1);
    if (p->n)
        memcpy(all, p->columns, p->n * sizeof *all);
    for (size_t i = 0; i < one.n; i++) {
        struct column col = one.columns[i];
        bool own = false;
        for (size_t k = 0; k < p->n; k++)
            own = own || strcmp(p->columns[k].name, col.name) == 0;
        if (own || !col.name)
            continue;
        size_t cells;
        if (__builtin_mul_overflow(col.width, p->rows, &cells) || cells > CONTEXT_MAX)
            return fail_field(c, ERR_INVALID, "context",
                              "context: feature '%s' is too large for %zu examples", col.name,
                              p->rows);
        col.stride = 0;
        col.shape[0] = (int64_t)p->rows;
        all[p->n++] = col;
    }
    p->columns = all;
    return 0;
}

static const char *lacks(enum tfs_verb verb) {
    return verb == TFS_PREDICT ? "the body has neither instances nor inputs"
                               : "the body has no examples";
}

static int check_examples(struct ctx *c, const struct payload *p) {
    if (p->n == 1 && !p->columns[0].name)
        return fail_field(c, ERR_INVALID, "examples",
                          "examples must be objects: a value or a list of values per feature");
    return 0;
}

int tfs_scan(struct ctx *c, enum tfs_verb verb, const char *body, size_t n, struct tfs_body *out) {
    struct parts f = {0};
    struct scan s;
    *out = (struct tfs_body){0};
    scan_init(&s, c, body, n);
    s.extended = true;
    if (scan_peek(&s) != '{')
        return fail(c, ERR_INVALID, "the body is %s; it must be a JSON object", scan_kind(&s));
    int rc = scan_enter(&s, '{');
    for (bool first = true; rc == 0 && (rc = scan_more(&s, '}', &first)) > 0;) {
        struct bytes key;
        rc = scan_key(&s, &key);
        if (rc == 0)
            rc = scan_member(&s, verb, key, &f, out);
    }
    if (rc == 0)
        rc = scan_end(&s);
    if (rc == 0 && !f.data)
        rc = fail(c, ERR_INVALID, "%s", lacks(verb));
    if (rc == 0 && verb != TFS_PREDICT)
        rc = check_examples(c, &out->p);
    if (rc == 0 && f.context)
        rc = add_context(c, &f.context_at, &out->p);
    return rc;
}
