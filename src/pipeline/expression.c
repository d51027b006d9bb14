/* SPDX-License-Identifier: Apache-2.0 */
#include "expression.h"

#include <ctype.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "json_value.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

#define EXPR_DEPTH_CAP 32u
#define EXPR_TEXT_CAP ((size_t)4096)

enum expr_kind {
    EXPR_OR,
    EXPR_AND,
    EXPR_NOT,
    EXPR_EQ,
    EXPR_NE,
    EXPR_LT,
    EXPR_LE,
    EXPR_GT,
    EXPR_GE,
    EXPR_IN,
    EXPR_VALUE,
    EXPR_PATH,
    EXPR_LIST,
};

struct expr {
    enum expr_kind kind;
    struct expr *left, *right;
    struct expr *next; /* EXPR_LIST: items hang on left */
    json_t *value;
    const char *path;
};

struct parser {
    struct ctx *c;
    const char *text, *at;
    unsigned depth;
};

static int parse_fail(struct parser *p, const char *what) {
    return fail(p->c, ERR_INVALID, "%s at character %zu of \"%s\"", what,
                (size_t)(p->at - p->text) + 1, p->text);
}

static void blanks(struct parser *p) {
    while (*p->at == ' ' || *p->at == '\t' || *p->at == '\n') {
        p->at++;
    }
}

static bool name_char(char ch) {
    return isalnum((unsigned char)ch) || ch == '_' || ch == '-';
}

static bool take(struct parser *p, const char *symbol) {
    blanks(p);
    size_t n = strlen(symbol);
    if (strncmp(p->at, symbol, n) != 0 || (name_char(symbol[0]) && name_char(p->at[n]))) {
        return false;
    }
    p->at += n;
    return true;
}

static struct expr *make(struct parser *p, enum expr_kind kind, struct expr *l, struct expr *r) {
    struct expr *e = ARENA_NEW(p->c->arena, struct expr);
    e->kind = kind;
    e->left = l;
    e->right = r;
    return e;
}

static int parse_or(struct parser *p, struct expr **out);
static int parse_term(struct parser *p, struct expr **out);

static int parse_text(struct parser *p, struct expr **out) {
    char quote = *p->at;
    const char *end = strchr(p->at + 1, quote);
    if (!end) {
        return parse_fail(p, "text without a closing quote");
    }
    *out = make(p, EXPR_VALUE, NULL, NULL);
    (*out)->value = json_on_arena(p->c, json_stringn(p->at + 1, (size_t)(end - p->at - 1)));
    p->at = end + 1;
    return 0;
}

static int parse_number(struct parser *p, struct expr **out) {
    const char *end = p->at + 1;
    while (isalnum((unsigned char)*end) || *end == '.' ||
           ((*end == '-' || *end == '+') && (end[-1] == 'e' || end[-1] == 'E'))) {
        end++;
    }
    double number;
    if (!str_to_f64(arena_strndup(p->c->arena, p->at, (size_t)(end - p->at)), &number)) {
        return parse_fail(p, "not a number");
    }
    p->at = end;
    *out = make(p, EXPR_VALUE, NULL, NULL);
    (*out)->value = json_on_arena(p->c, json_real(number));
    return 0;
}

static int parse_path(struct parser *p, struct expr **out) {
    const char *start = p->at;
    while (name_char(*p->at) || *p->at == '.' || *p->at == '[') {
        if (*p->at == '[') {
            const char *end = p->at + 1 + strspn(p->at + 1, "0123456789");
            if (end == p->at + 1 || *end != ']') {
                return parse_fail(p, "a number in [ ] was expected");
            }
            p->at = end;
        }
        p->at++;
    }
    *out = make(p, EXPR_PATH, NULL, NULL);
    (*out)->path = arena_strndup(p->c->arena, start, (size_t)(p->at - start));
    return 0;
}

static int parse_list(struct parser *p, struct expr **out) {
    *out = make(p, EXPR_LIST, NULL, NULL);
    struct expr **tail = &(*out)->left;
    if (take(p, "]")) {
        return 0;
    }
    do {
        int rc = parse_term(p, tail);
        if (rc) {
            return rc;
        }
        tail = &(*tail)->next;
    } while (take(p, ","));
    return take(p, "]") ? 0 : parse_fail(p, "\",\" or \"]\" was expected");
}

static int parse_term(struct parser *p, struct expr **out) {
    static const struct {
        const char *word;
        int kind;
    } words[] = {{"true", 1}, {"false", 2}, {"null", 3}};
    blanks(p);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (take(p, words[i].word)) {
            *out = make(p, EXPR_VALUE, NULL, NULL);
            (*out)->value = words[i].kind == 3 ? json_null() : json_boolean(words[i].kind == 1);
            return 0;
        }
    }
    int rc;
    if (*p->at == '\'' || *p->at == '"') {
        return parse_text(p, out);
    }
    if (isdigit((unsigned char)*p->at) || *p->at == '-' || *p->at == '.') {
        return parse_number(p, out);
    }
    if (take(p, "${")) {
        blanks(p);
        rc = isalpha((unsigned char)*p->at) ? parse_path(p, out)
                                            : parse_fail(p, "a name was expected");
        return rc ? rc : take(p, "}") ? 0 : parse_fail(p, "\"}\" was expected");
    }
    if (isalpha((unsigned char)*p->at) || *p->at == '_') {
        return parse_path(p, out);
    }
    bool list = *p->at == '[';
    if (list || *p->at == '(') {
        if (++p->depth > EXPR_DEPTH_CAP) {
            return parse_fail(p, "nested deeper than 32 levels");
        }
        p->at++;
        rc = list ? parse_list(p, out) : parse_or(p, out);
        if (rc == 0 && !list && !take(p, ")")) {
            rc = parse_fail(p, "\")\" was expected");
        }
        p->depth--;
        return rc;
    }
    return parse_fail(p,
                      *p->at ? "a value or a name was expected" : "the expression ends too early");
}

static int parse_test(struct parser *p, struct expr **out) {
    static const struct {
        const char *symbol;
        enum expr_kind kind;
    } ops[] = {{"==", EXPR_EQ}, {"!=", EXPR_NE}, {"<=", EXPR_LE}, {">=", EXPR_GE},
               {"<", EXPR_LT},  {">", EXPR_GT},  {"in", EXPR_IN}};
    struct expr *left = NULL, *right = NULL;
    int rc = parse_term(p, &left);
    if (rc) {
        return rc;
    }
    const char *before = p->at;
    bool negated = take(p, "not");
    for (size_t i = negated ? ARRAY_LEN(ops) - 1 : 0; i < ARRAY_LEN(ops); i++) {
        if (take(p, ops[i].symbol)) {
            rc = parse_term(p, &right);
            *out = make(p, ops[i].kind, left, right);
            if (negated) {
                *out = make(p, EXPR_NOT, *out, NULL);
            }
            return rc;
        }
    }
    p->at = before;
    *out = left;
    blanks(p);
    return *p->at == '=' ? parse_fail(p, "\"=\" is not a comparison; write ==") : 0;
}

static int parse_not(struct parser *p, struct expr **out) {
    unsigned negations = 0;
    blanks(p);
    while (take(p, "not") || (p->at[0] == '!' && p->at[1] != '=' && take(p, "!"))) {
        negations++;
        blanks(p);
    }
    int rc = parse_test(p, out);
    if (rc == 0 && negations % 2) {
        *out = make(p, EXPR_NOT, *out, NULL);
    } else if (rc == 0 && negations) {
        *out = make(p, EXPR_NOT, make(p, EXPR_NOT, *out, NULL), NULL);
    }
    return rc;
}

static int parse_and(struct parser *p, struct expr **out) {
    int rc = parse_not(p, out);
    while (rc == 0 && (take(p, "and") || take(p, "&&"))) {
        struct expr *right = NULL;
        rc = parse_not(p, &right);
        *out = make(p, EXPR_AND, *out, right);
    }
    return rc;
}

static int parse_or(struct parser *p, struct expr **out) {
    int rc = parse_and(p, out);
    while (rc == 0 && (take(p, "or") || take(p, "||"))) {
        struct expr *right = NULL;
        rc = parse_and(p, &right);
        *out = make(p, EXPR_OR, *out, right);
    }
    return rc;
}

int expr_parse(struct ctx *c, const char *text, struct expr **out) {
    struct parser p = {.c = c, .text = text, .at = text};
    *out = NULL;
    if (strlen(text) > EXPR_TEXT_CAP) {
        return fail(c, ERR_TOO_LARGE, "an expression of more than 4,096 characters");
    }
    int rc = parse_or(&p, out);
    if (rc) {
        return rc;
    }
    blanks(&p);
    return *p.at ? parse_fail(&p, "an operator (and, or, ==, <, in, ...) was expected") : 0;
}

static int test(struct ctx *c, const struct expr *e, json_t *root, unsigned depth, bool *out);

static json_t *list_value(struct ctx *c, const struct expr *e, json_t *root);

static json_t *value_of(struct ctx *c, const struct expr *e, json_t *root) {
    json_t *v = NULL;
    bool yes = false;
    switch (e->kind) {
    case EXPR_VALUE:
        return e->value;
    case EXPR_PATH:
        v = json_walk(root, e->path);
        return v ? v : json_null();
    case EXPR_LIST:
        return list_value(c, e, root);
    default:
        return test(c, e, root, 0, &yes) ? NULL : json_boolean(yes);
    }
}

static json_t *list_value(struct ctx *c, const struct expr *e, json_t *root) {
    json_t *list = json_on_arena(c, json_array());
    for (const struct expr *i = e->left; i; i = i->next) {
        json_t *v = value_of(c, i, root);
        if (!v) {
            return NULL;
        }
        json_array_append(list, v);
    }
    return list;
}

static bool same(const json_t *a, const json_t *b) {
    double x, y;
    if (json_number(a, &x) && json_number(b, &y)) {
        return !(x < y) && !(x > y);
    }
    return json_equal(a, b);
}

static int order(struct ctx *c, const struct expr *e, const json_t *a, const json_t *b, bool *out) {
    double x, y;
    int sign;
    if (json_number(a, &x) && json_number(b, &y)) {
        sign = (x > y) - (x < y);
    } else if (json_is_string(a) && json_is_string(b)) {
        sign = strcmp(json_string_value(a), json_string_value(b));
    } else {
        const struct expr *lacks = json_is_null(a) ? e->left : json_is_null(b) ? e->right : NULL;
        if (lacks && lacks->path) {
            return fail(c, ERR_INVALID, "%s has no value to compare", lacks->path);
        }
        return fail(c, ERR_INVALID, "cannot order %s and %s", json_canonical(c, a),
                    json_canonical(c, b));
    }
    *out = e->kind == EXPR_LT   ? sign < 0
           : e->kind == EXPR_LE ? sign <= 0
           : e->kind == EXPR_GT ? sign > 0
                                : sign >= 0;
    return 0;
}

static bool truth(const json_t *v) {
    double number;
    if (json_number(v, &number)) {
        return number < 0 || number > 0;
    }
    if (json_is_string(v)) {
        return json_string_length(v) > 0;
    }
    return json_is_true(v) || json_array_size(v) > 0 || json_object_size(v) > 0;
}

static int test_in(struct ctx *c, const json_t *a, const json_t *b, bool *out) {
    *out = false;
    if (json_is_object(b) && json_is_string(a)) {
        *out = json_object_get(b, json_string_value(a)) != NULL;
    } else if (json_is_string(b) && json_is_string(a)) {
        *out = strstr(json_string_value(b), json_string_value(a)) != NULL;
    } else if (json_is_array(b)) {
        for (size_t i = 0; i < json_array_size(b) && !*out; i++) {
            *out = same(a, json_array_get(b, i));
        }
    } else {
        return fail(c, ERR_INVALID, "\"in\" wants a list, a mapping or text on its right, not %s",
                    json_canonical(c, b));
    }
    return 0;
}

static int test(struct ctx *c, const struct expr *e, json_t *root, unsigned depth, bool *out) {
    if (depth > EXPR_TEXT_CAP) { /* a left-leaning chain is as deep as it is long */
        return fail(c, ERR_TOO_LARGE, "the expression is too long");
    }
    int rc;
    if (e->kind == EXPR_OR || e->kind == EXPR_AND) {
        rc = test(c, e->left, root, depth + 1, out);
        return rc || *out == (e->kind == EXPR_OR) ? rc : test(c, e->right, root, depth + 1, out);
    }
    if (e->kind == EXPR_NOT) {
        rc = test(c, e->left, root, depth + 1, out);
        *out = !*out;
        return rc;
    }
    const json_t *a = value_of(c, e->kind >= EXPR_VALUE ? e : e->left, root);
    if (!a || e->kind >= EXPR_VALUE) {
        *out = a && truth(a);
        return a ? 0 : -c->err.code;
    }
    const json_t *b = value_of(c, e->right, root);
    if (!b) {
        return -c->err.code;
    }
    if (e->kind == EXPR_EQ || e->kind == EXPR_NE) {
        *out = same(a, b) == (e->kind == EXPR_EQ);
        return 0;
    }
    return e->kind == EXPR_IN ? test_in(c, a, b, out) : order(c, e, a, b, out);
}

int expr_test(struct ctx *c, const struct expr *e, struct json_t *root, bool *out) {
    *out = false;
    return test(c, e, root, 0, out);
}

int expr_paths(const struct expr *e, int (*fn)(void *arg, const char *path), void *arg) {
    int rc = 0;
    for (; e && rc == 0; e = e->next) {
        if (e->kind == EXPR_PATH) {
            rc = fn(arg, e->path);
        }
        if (rc == 0 && e->left) {
            rc = expr_paths(e->left, fn, arg);
        }
        if (rc == 0 && e->right) {
            rc = expr_paths(e->right, fn, arg);
        }
    }
    return rc;
}
