/* SPDX-License-Identifier: Apache-2.0 */
#include "document.h"

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "scan.h"

/* Deeper nesting than any bound below allows; keeps the stack of this parser small. */
#define NESTING_MAX 32

struct parse {
    struct gql_scan s;
    unsigned depth;
};

static bool is_mark(const struct parse *p, char mark) {
    return p->s.now.kind == GQL_PUNCT && p->s.now.mark == mark;
}

static bool is_word(const struct parse *p, const char *word) {
    return p->s.now.kind == GQL_NAME && str_eq(p->s.now.text, word);
}

static int expect(struct parse *p, char mark) {
    if (is_mark(p, mark))
        return gql_scan_next(&p->s);
    return gql_scan_fail(&p->s, arena_printf(p->s.c->arena, "Expected '%c'", mark));
}

static int take_name(struct parse *p, const char **out) {
    if (p->s.now.kind != GQL_NAME)
        return gql_scan_fail(&p->s, "Expected Name");
    *out = p->s.now.text;
    return gql_scan_next(&p->s);
}

static int deeper(struct parse *p) {
    return ++p->depth > NESTING_MAX ? gql_scan_fail(&p->s, "Nested too deeply") : 0;
}

static int parse_value(struct parse *p, struct gql_value **out);

/* Items up to `end`; with names they are members or arguments. */
static int parse_values(struct parse *p, char end, bool named, struct gql_value **first) {
    struct gql_value **tail = first;
    int rc = deeper(p);
    while (rc == 0 && !is_mark(p, end)) {
        const char *name = NULL;
        if (named) {
            rc = take_name(p, &name);
            rc = rc ? rc : expect(p, ':');
        }
        rc = rc ? rc : parse_value(p, tail);
        if (rc == 0) {
            (*tail)->name = name;
            tail = &(*tail)->next;
        }
    }
    p->depth--;
    return rc ? rc : gql_scan_next(&p->s);
}

static int parse_value(struct parse *p, struct gql_value **out) {
    struct gql_value *v = *out = ARENA_NEW(p->s.c->arena, struct gql_value);
    const struct gql_token *t = &p->s.now;
    bool list = is_mark(p, '['), object = is_mark(p, '{'), variable = is_mark(p, '$');
    if (list || object) {
        v->kind = list ? GQL_LIST : GQL_OBJECT;
        int rc = gql_scan_next(&p->s);
        return rc ? rc : parse_values(p, list ? ']' : '}', object, &v->first);
    }
    if (variable) {
        v->kind = GQL_VARIABLE;
        int rc = gql_scan_next(&p->s);
        return rc ? rc : take_name(p, &v->text);
    }
    v->text = t->text;
    if (t->kind == GQL_NUMBER)
        v->kind = t->fraction ? GQL_FLOAT : GQL_INT;
    else if (t->kind == GQL_TEXT)
        v->kind = GQL_STRING;
    else if (t->kind == GQL_NAME)
        v->kind = is_word(p, "null")                          ? GQL_NULL
                  : is_word(p, "true") || is_word(p, "false") ? GQL_BOOL
                                                              : GQL_ENUM;
    else
        return gql_scan_fail(&p->s, "Expected a value");
    return gql_scan_next(&p->s);
}

static int parse_arguments(struct parse *p, struct gql_value **first) {
    if (!is_mark(p, '('))
        return 0;
    int rc = gql_scan_next(&p->s);
    return rc ? rc : parse_values(p, ')', true, first);
}

static int parse_directives(struct parse *p, struct gql_directive **first) {
    int rc = 0;
    while (rc == 0 && is_mark(p, '@')) {
        struct gql_directive *d = *first = ARENA_NEW(p->s.c->arena, struct gql_directive);
        first = &d->next;
        rc = gql_scan_next(&p->s);
        rc = rc ? rc : take_name(p, &d->name);
        rc = rc ? rc : parse_arguments(p, &d->arguments);
    }
    return rc;
}

static int parse_set(struct parse *p, struct gql_selection **first);

static int parse_spread(struct parse *p, struct gql_selection *s) {
    int rc = gql_scan_next(&p->s);
    s->kind = GQL_SPREAD;
    if (rc == 0 && p->s.now.kind == GQL_NAME && !is_word(p, "on")) {
        rc = take_name(p, &s->name);
        return rc ? rc : parse_directives(p, &s->directives);
    }
    s->kind = GQL_INLINE;
    if (rc == 0 && is_word(p, "on")) {
        rc = gql_scan_next(&p->s);
        rc = rc ? rc : take_name(p, &s->name);
    }
    rc = rc ? rc : parse_directives(p, &s->directives);
    return rc ? rc : parse_set(p, &s->first);
}

static int parse_field(struct parse *p, struct gql_selection *s) {
    int rc = take_name(p, &s->name);
    if (rc == 0 && is_mark(p, ':')) {
        s->alias = s->name;
        rc = gql_scan_next(&p->s);
        rc = rc ? rc : take_name(p, &s->name);
    }
    rc = rc ? rc : parse_arguments(p, &s->arguments);
    rc = rc ? rc : parse_directives(p, &s->directives);
    return rc == 0 && is_mark(p, '{') ? parse_set(p, &s->first) : rc;
}

static int parse_set(struct parse *p, struct gql_selection **first) {
    int rc = expect(p, '{');
    rc = rc ? rc : deeper(p);
    if (rc == 0 && is_mark(p, '}'))
        rc = gql_scan_fail(&p->s, "Expected Name");
    while (rc == 0 && !is_mark(p, '}')) {
        struct gql_selection *s = *first = ARENA_NEW(p->s.c->arena, struct gql_selection);
        first = &s->next;
        rc = is_mark(p, '.') ? parse_spread(p, s) : parse_field(p, s);
    }
    p->depth--;
    return rc ? rc : gql_scan_next(&p->s);
}

/* The type as written, for messages: Name, [Type], Type!. */
static int parse_type(struct parse *p, struct buf *text) {
    const char *name = NULL;
    int rc = deeper(p);
    if (rc == 0 && is_mark(p, '[')) {
        buf_putc(text, '[');
        rc = gql_scan_next(&p->s);
        rc = rc ? rc : parse_type(p, text);
        rc = rc ? rc : expect(p, ']');
        buf_putc(text, ']');
    } else if (rc == 0) {
        rc = take_name(p, &name);
        buf_puts(text, rc ? "" : name);
    }
    if (rc == 0 && is_mark(p, '!')) {
        buf_putc(text, '!');
        rc = gql_scan_next(&p->s);
    }
    p->depth--;
    return rc;
}

static int parse_variables(struct parse *p, struct gql_variable **first) {
    int rc = gql_scan_next(&p->s);
    while (rc == 0 && !is_mark(p, ')')) {
        struct gql_variable *v = *first = ARENA_NEW(p->s.c->arena, struct gql_variable);
        struct gql_directive *ignored = NULL;
        struct buf type = {0};
        first = &v->next;
        rc = expect(p, '$');
        rc = rc ? rc : take_name(p, &v->name);
        rc = rc ? rc : expect(p, ':');
        rc = rc ? rc : parse_type(p, &type);
        v->type = arena_strdup(p->s.c->arena, type.data ? type.data : "");
        v->required = str_ends(v->type, "!");
        buf_free(&type);
        if (rc == 0 && is_mark(p, '=')) {
            rc = gql_scan_next(&p->s);
            rc = rc ? rc : parse_value(p, &v->fallback);
        }
        rc = rc ? rc : parse_directives(p, &ignored);
    }
    return rc ? rc : gql_scan_next(&p->s);
}

static int parse_definition(struct parse *p, struct gql_definition *d) {
    struct gql_directive *ignored = NULL;
    const char *condition = NULL;
    int rc = 0;
    if (is_mark(p, '{'))
        return parse_set(p, &d->first);
    d->fragment = is_word(p, "fragment");
    d->mutation = is_word(p, "mutation");
    if (!d->fragment && !d->mutation && !is_word(p, "query"))
        return gql_scan_fail(&p->s, "Expected query, mutation or fragment");
    rc = gql_scan_next(&p->s);
    if (rc == 0 && (d->fragment || p->s.now.kind == GQL_NAME))
        rc = take_name(p, &d->name);
    if (rc == 0 && d->fragment) {
        rc = is_word(p, "on") ? gql_scan_next(&p->s) : gql_scan_fail(&p->s, "Expected 'on'");
        rc = rc ? rc : take_name(p, &condition);
    } else if (rc == 0 && is_mark(p, '(')) {
        rc = parse_variables(p, &d->variables);
    }
    rc = rc ? rc : parse_directives(p, &ignored);
    return rc ? rc : parse_set(p, &d->first);
}

int gql_parse(struct ctx *c, const char *text, size_t n, struct gql_definition **out) {
    struct parse p = {.s = {.c = c, .text = text, .n = n}};
    struct gql_definition **tail = out;
    *out = NULL;
    if (n > GQL_TEXT_MAX)
        return fail_field(c, ERR_INVALID, "query",
                          "The query is %zu bytes long; at most %d are taken.", n, GQL_TEXT_MAX);
    int rc = gql_scan_next(&p.s);
    if (rc == 0 && p.s.now.kind == GQL_END)
        rc = gql_scan_fail(&p.s, "Unexpected <EOF>");
    while (rc == 0 && p.s.now.kind != GQL_END) {
        *tail = ARENA_NEW(c->arena, struct gql_definition);
        rc = parse_definition(&p, *tail);
        tail = &(*tail)->next;
    }
    return rc;
}
