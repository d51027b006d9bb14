/* SPDX-License-Identifier: Apache-2.0 */
#include "execute.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "input.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/graphql/graphql.h"
#include "quern/json/json_in.h"
#include "quern/json/json_out.h"
#include "schema.h"

#define READS_MAX 2000
#define NOTES_MAX 1000

struct run {
    struct ctx *c;
    const struct gql_definition *all;
    struct gql_input input;
    struct json_writer w;
    struct buf errors; /* JSON texts, comma-separated */
    unsigned reads, notes;
    bool full; /* the answer has outgrown GQL_ANSWER_MAX and will be thrown away */
};

/* One response key: fields of the same key, also from fragments, are one field. */
struct pick {
    const char *key;
    const struct gql_selection *field;
    const struct gql_selection **sets; /* selection sets of all of them */
    size_t n_sets, cap_sets;
    struct picks *below; /* what the sets ask for; NULL: not collected yet */
};
struct picks {
    struct pick *items;
    size_t n, cap;
};

static void note(struct run *r, const char *message) {
    struct json_writer w;
    if (++r->notes > NOTES_MAX)
        return;
    if (r->errors.len)
        buf_putc(&r->errors, ',');
    jw_init(&w, &r->errors);
    jw_str(&w, message);
}

/* The failure in the slot becomes one line of "errors". */
static void note_failure(struct run *r) {
    note(r, r->c->err.message ? r->c->err.message : "Internal error");
    err_clear(r->c);
}

static struct pick *pick_of(struct run *r, struct picks *p, const struct gql_selection *s) {
    const char *key = s->alias ? s->alias : s->name;
    for (size_t i = 0; i < p->n; i++)
        if (str_eq(p->items[i].key, key))
            return &p->items[i];
    p->items = arena_room(r->c->arena, p->items, p->n, &p->cap, sizeof *p->items);
    p->items[p->n] = (struct pick){.key = key, .field = s};
    return &p->items[p->n++];
}

static int collect(struct run *r, const struct gql_selection *s, struct picks *out) {
    int rc = 0;
    for (; s && rc == 0; s = s->next) {
        bool wanted = true;
        rc = gql_input_wanted(&r->input, s->directives, &wanted);
        if (rc != 0 || !wanted)
            continue;
        if (s->kind == GQL_SPREAD) {
            rc = collect(r, gql_fragment(r->all, s->name)->first, out);
        } else if (s->kind == GQL_INLINE) {
            rc = collect(r, s->first, out);
        } else {
            struct pick *p = pick_of(r, out, s);
            if (!str_eq(p->field->name, s->name))
                return fail_field(r->c, ERR_INVALID, "query",
                                  "Fields '%s' conflict because '%s' and '%s' are different "
                                  "fields. Use different aliases.",
                                  p->key, p->field->name, s->name);
            if (!s->first)
                continue;
            p->sets = arena_room(r->c->arena, p->sets, p->n_sets, &p->cap_sets, sizeof *p->sets);
            p->sets[p->n_sets++] = s->first;
        }
    }
    return rc;
}

/* Once, however many objects it is then asked of. */
static int collect_below(struct run *r, struct pick *of) {
    int rc = 0;
    if (of->below)
        return 0;
    of->below = ARENA_NEW(r->c->arena, struct picks);
    for (size_t i = 0; i < of->n_sets && rc == 0; i++)
        rc = collect(r, of->sets[i], of->below);
    return rc;
}

/* A few selections of long lists, each under ten names, make an answer of any size. */
static bool is_full(struct run *r) {
    r->full = r->full || r->w.out->len > GQL_ANSWER_MAX;
    return r->full;
}

static bool is_object(const struct field *f) {
    return f->type == T_OBJ || f->type == T_LIST;
}

/* Names and selection sets fit the shape; nothing has run yet. */
static int check(struct run *r, struct pick *of, const struct shape *s) {
    int rc = collect_below(r, of);
    for (size_t i = 0; i < of->below->n && rc == 0; i++) {
        struct pick *p = &of->below->items[i];
        const char *name = p->field->name;
        const struct gql_read *more = gql_read(s->name, false, name);
        const struct field *f = gql_member(s, name);
        if (str_eq(name, "__typename") || (!more && !f && gql_absent(s, name)))
            continue;
        if (!more && !f)
            return fail_field(r->c, ERR_INVALID, "query", "Cannot query field '%s' on type '%s'.",
                              name, gql_type_name(r->c, s, "", s));
        if ((more || is_object(f)) && !p->n_sets)
            return fail_field(r->c, ERR_INVALID, "query",
                              "Field '%s' must have a selection of subfields.", name);
        if (f && !more && !is_object(f) && p->n_sets)
            return fail_field(r->c, ERR_INVALID, "query",
                              "Field '%s' must not have a selection since it has no subfields.",
                              name);
        const struct shape *sub = f && !more ? f->sub : NULL;
        if (more) {
            f = gql_member(gql_route(more->route)->out, more->name);
            sub = f ? f->sub : NULL;
        }
        rc = sub ? check(r, p, sub) : 0;
    }
    return rc;
}

static void write_object(struct run *r, struct pick *of, const struct shape *s, const void *value,
                         const struct shape *parent, const char *name);

static void write_scalar(struct run *r, const struct field *f, const void *at) {
    const struct opt_i64 *whole = at;
    const struct opt_f64 *real = at;
    char text[32];
    switch (f->type) {
    case T_I64:
        snprintf(text, sizeof text, "%" PRId64, whole->set ? whole->v : 0);
        jw_str(&r->w, text);
        break;
    case T_F64: /* NaN and infinities have no form in GraphQL's Float */
        if (isfinite(real->v))
            jw_f64(&r->w, real->set ? real->v : 0);
        else
            jw_null(&r->w);
        break;
    case T_BOOL:
        jw_bool(&r->w, ((const struct opt_bool *)at)->set && ((const struct opt_bool *)at)->v);
        break;
    default:
        jw_str(&r->w, *(const char *const *)at ? *(const char *const *)at : "");
    }
}

static void write_member(struct run *r, struct pick *p, const struct shape *s,
                         const struct field *f, const void *value) {
    const char *at = (const char *)value + f->offset;
    const struct list *list = (const void *)at;
    const struct strs *strs = (const void *)at;
    if (f->type == T_OBJ) {
        const void *sub = *(const void *const *)at;
        write_object(r, p, f->sub, sub ? sub : arena_alloc(r->c->arena, f->sub->size), s,
                     p->field->name);
    } else if (f->type == T_LIST) {
        jw_arr(&r->w);
        for (size_t i = 0; i < list->n && !is_full(r); i++)
            write_object(r, p, f->sub, (const char *)list->items + i * f->sub->size, s,
                         p->field->name);
        jw_arr_end(&r->w);
    } else if (f->type == T_STRS) {
        jw_arr(&r->w);
        for (size_t i = 0; i < strs->n; i++)
            jw_str(&r->w, strs->items[i]);
        jw_arr_end(&r->w);
    } else {
        write_scalar(r, f, at);
    }
}

/* Text of a member by a dotted path of wire names; "" where it is absent. */
static const char *text_at(const struct shape *s, const void *value, const char *path) {
    for (;;) {
        size_t n = strcspn(path, ".");
        const struct field *f = NULL;
        for (size_t i = 0; i < s->n && !f; i++)
            if (strlen(s->fields[i].name) == n && !memcmp(s->fields[i].name, path, n))
                f = &s->fields[i];
        const void *at = f && value ? (const char *)value + f->offset : NULL;
        const char *const *text = at;
        if (!at)
            return "";
        if (!path[n])
            return f->type == T_STR && *text ? *text : "";
        value = *(const void *const *)at;
        s = f->sub;
        path += n + 1;
    }
}

/* Runs a row in the caller's snapshot. The output, or NULL with the failure in the slot. */
static const void *read_row(struct run *r, const struct route *row, struct json_t *input) {
    void *in = arena_alloc(r->c->arena, row->in ? row->in->size : 1);
    void *out = arena_alloc(r->c->arena, row->out->size);
    if (++r->reads > READS_MAX) {
        (void)fail_field(r->c, ERR_INVALID, "query",
                         "The query needs more than %d reads; ask for fewer objects.", READS_MAX);
        return NULL;
    }
    /* The rows of objects ask for themselves. */
    bool level = r->c->who.level >= row->perm || (row->flags & ROUTE_OBJECT);
    if (!level || row->lane != LANE_READ) {
        (void)fail(r->c, ERR_FORBIDDEN, "Permission denied");
        return NULL;
    }
    int rc = json_decode(r->c, row->dialect, row->in, input, NULL, NULL, in);
    return rc == 0 && route_run(r->c, row, in, out) == 0 ? out : NULL;
}

static void write_read(struct run *r, struct pick *p, const struct gql_read *more,
                       const struct shape *s, const void *value) {
    const struct route *row = gql_route(more->route);
    const char *from = text_at(s, value, more->from);
    struct json_t *input = NULL;
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    if (from[strspn(from, plain)]) { /* an imported id, which must not become part of a filter */
        note(r, "This id cannot be looked up.");
        jw_null(&r->w);
        return;
    }
    char *text = arena_strdup(r->c->arena, more->argument);
    char *mark = strstr(text, "%s");
    text = arena_printf(r->c->arena, "%.*s%s%s", (int)(mark - text), text, from, mark + 2);
    int rc = json_parse(r->c, DIALECT_MLFLOW, text, strlen(text), &input);
    const void *out = rc == 0 ? read_row(r, row, input) : NULL;
    const struct field *f = gql_member(row->out, more->name);
    if (!out)
        note_failure(r);
    if (out && f)
        write_member(r, p, row->out, f, out);
    else
        jw_null(&r->w);
}

static void write_object(struct run *r, struct pick *of, const struct shape *s, const void *value,
                         const struct shape *parent, const char *name) {
    (void)collect_below(r, of); /* checked before */
    jw_obj(&r->w);
    for (size_t i = 0; i < of->below->n && !is_full(r); i++) {
        struct pick *p = &of->below->items[i];
        const struct gql_read *more = gql_read(s->name, false, p->field->name);
        const struct field *f = gql_member(s, p->field->name);
        jw_key(&r->w, p->key);
        if (str_eq(p->field->name, "__typename"))
            jw_str(&r->w, gql_type_name(r->c, parent, name, s));
        else if (more)
            write_read(r, p, more, s, value);
        else if (f)
            write_member(r, p, s, f, value);
        else
            jw_null(&r->w);
    }
    jw_obj_end(&r->w);
}

/* The page's own probe: it says back what it is told. */
static bool is_echo(const struct gql_definition *op, const char *name) {
    return str_eq(name, op->mutation ? "testMutation" : "test");
}

static void write_echo(struct run *r, struct pick *p) {
    const struct gql_value *v = gql_argument(p->field->arguments, "inputString");
    struct json_t *text = NULL;
    if ((v && gql_input_tree(&r->input, v, &text) != 0) || collect_below(r, p) != 0) {
        note_failure(r);
        jw_null(&r->w);
        return;
    }
    jw_obj(&r->w);
    for (size_t i = 0; i < p->below->n; i++) {
        const struct pick *below = &p->below->items[i];
        bool type = str_eq(below->field->name, "__typename");
        jw_key_str(&r->w, below->key,
                   type ? (r->input.op->mutation ? "TestMutation" : "Test")
                        : (json_is_string(text) ? json_string_value(text) : ""));
    }
    jw_obj_end(&r->w);
}

static int check_root(struct run *r, struct pick *p) {
    const char *name = p->field->name;
    if (str_eq(name, "__typename") || is_echo(r->input.op, name))
        return 0;
    const struct gql_read *read = gql_read(NULL, r->input.op->mutation, name);
    if (!read)
        return fail_field(r->c, ERR_INVALID, "query", "Cannot query field '%s' on type '%s'.", name,
                          r->input.op->mutation ? "Mutation" : "Query");
    if (!p->n_sets)
        return fail_field(r->c, ERR_INVALID, "query",
                          "Field '%s' must have a selection of subfields.", name);
    const struct gql_value *v = gql_argument(p->field->arguments, "input");
    if (v && v->kind != GQL_OBJECT && v->kind != GQL_VARIABLE)
        return fail_field(r->c, ERR_INVALID, "query",
                          "Argument 'input' of field '%s' must be an object.", name);
    return check(r, p, gql_route(read->route)->out);
}

static void write_root(struct run *r, struct pick *p) {
    const struct gql_read *read = gql_read(NULL, r->input.op->mutation, p->field->name);
    const struct route *row = read ? gql_route(read->route) : NULL;
    const struct gql_value *v = gql_argument(p->field->arguments, "input");
    struct json_t *input = NULL;
    jw_key(&r->w, p->key);
    if (!row && is_echo(r->input.op, p->field->name)) {
        write_echo(r, p);
        return;
    }
    if (!row) {
        jw_str(&r->w, r->input.op->mutation ? "Mutation" : "Query");
        return;
    }
    int rc = v ? gql_input_tree(&r->input, v, &input) : 0;
    const void *out = rc == 0 ? read_row(r, row, input) : NULL;
    if (out) {
        write_object(r, p, row->out, out, NULL, p->field->name);
    } else {
        note_failure(r);
        jw_null(&r->w);
    }
}

static int pick_operation(struct run *r, const char *wanted) {
    const struct gql_definition *found = NULL;
    for (const struct gql_definition *d = r->all; d; d = d->next) {
        if (d->fragment || (wanted && !str_eq(d->name, wanted)))
            continue;
        if (found && !wanted)
            return fail_field(r->c, ERR_INVALID, "operationName",
                              "Must provide operation name if query contains multiple operations.");
        found = found ? found : d;
    }
    r->input.op = found;
    if (found)
        return 0;
    return wanted ? fail_field(r->c, ERR_INVALID, "operationName", "Unknown operation named '%s'.",
                               wanted)
                  : fail_field(r->c, ERR_INVALID, "query", "Must provide an operation.");
}

/* Everything that can be wrong with the request itself: then there is no data at all. */
static int prepare(struct run *r, const struct gql_request *in, struct picks *roots) {
    struct gql_definition *all = NULL;
    int rc = gql_parse(r->c, in->query, strlen(in->query), &all);
    r->all = all;
    rc = rc ? rc : pick_operation(r, in->operation && *in->operation ? in->operation : NULL);
    rc = rc ? rc : gql_bounds(r->c, r->all, r->input.op);
    rc = rc ? rc : gql_input_check(&r->input);
    rc = rc ? rc : collect(r, r->input.op->first, roots);
    for (size_t i = 0; i < roots->n && rc == 0; i++)
        rc = check_root(r, &roots->items[i]);
    return rc;
}

void gql_execute(struct ctx *c, const struct gql_request *in, struct buf *out) {
    struct run r = {.c = c, .input = {.c = c, .variables = in->variables}};
    struct picks roots = {0};
    jw_init(&r.w, out);
    jw_obj(&r.w);
    jw_key(&r.w, "data");
    if (prepare(&r, in, &roots) != 0) {
        note_failure(&r);
        jw_null(&r.w);
    } else {
        jw_obj(&r.w);
        for (size_t i = 0; i < roots.n && !is_full(&r); i++)
            write_root(&r, &roots.items[i]);
        jw_obj_end(&r.w);
    }
    if (r.full) {
        buf_clear(out);
        buf_clear(&r.errors);
        r.notes = 0;
        note(&r, arena_printf(c->arena, "The answer would exceed %u MiB; ask for less at once.",
                              GQL_ANSWER_MAX >> 20));
        jw_init(&r.w, out);
        jw_obj(&r.w);
        jw_key(&r.w, "data");
        jw_null(&r.w);
    }
    jw_key(&r.w, "errors");
    if (r.errors.len) {
        buf_putc(&r.errors, ']');
        jw_raw(&r.w, arena_printf(c->arena, "[%s", r.errors.data), r.errors.len + 1);
    } else {
        jw_null(&r.w);
    }
    jw_obj_end(&r.w);
    buf_free(&r.errors);
}
