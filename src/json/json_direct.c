/* SPDX-License-Identifier: Apache-2.0 */
/* Direct: a plain body goes from text into its struct without a tree between. Whatever is not plain
 * (escapes, bytes beyond ASCII, null, numbers as text, members of other names, anything wrong) is
 * given up, and the decoder that knows every leniency and every complaint starts over: the two
 * never differ, one is only faster. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_in.h"

#define DEPTH_CAP 32 /* shapes may hold themselves */

struct scan {
    struct arena *arena;
    const char *at, *end;
    unsigned depth;
};

static bool scan_object(struct scan *x, const struct shape *shape, char *out);

/* The next byte that is no blank, 0 at the end. */
static char peek(struct scan *x) {
    while (x->at < x->end && (*x->at == ' ' || *x->at == '\n' || *x->at == '\t' || *x->at == '\r'))
        x->at++;
    return x->at < x->end ? *x->at : '\0';
}

static bool take(struct scan *x, char wanted) {
    if (peek(x) != wanted)
        return false;
    x->at++;
    return true;
}

/* A string of plain ASCII; *text points into the body. */
static bool scan_string(struct scan *x, const char **text, size_t *n) {
    if (!take(x, '"'))
        return false;
    const char *p = x->at;
    while (p < x->end && *p != '"' && *p != '\\' && *p >= 0x20 && *p <= 0x7e)
        p++;
    if (p == x->end || *p != '"')
        return false;
    *text = x->at;
    *n = (size_t)(p - x->at);
    x->at = p + 1;
    return true;
}

struct number {
    const char *text;
    uint64_t digits; /* all of them, the point left out */
    int count;       /* of significant ones */
    int exponent;    /* of ten */
    bool minus, real;
};

static bool digit(const struct scan *x) {
    return x->at < x->end && *x->at >= '0' && *x->at <= '9';
}

static void scan_digits(struct scan *x, struct number *v) {
    for (; digit(x); x->at++) {
        if (v->count > 0 || *x->at != '0')
            v->count++;
        if (v->count <= 18)
            v->digits = v->digits * 10 + (uint64_t)(*x->at - '0');
    }
}

static bool scan_exponent(struct scan *x, struct number *v) {
    bool minus = false;
    int e = 0;
    v->real = true;
    x->at++;
    if (x->at < x->end && (*x->at == '-' || *x->at == '+'))
        minus = *x->at++ == '-';
    if (!digit(x))
        return false;
    for (; digit(x); x->at++)
        e = e < 10000 ? e * 10 + (*x->at - '0') : e;
    v->exponent += minus ? -e : e;
    return true;
}

/* A number by JSON's grammar, with something behind it. */
static bool scan_number(struct scan *x, struct number *v) {
    *v = (struct number){0};
    peek(x);
    v->text = x->at;
    if (x->at < x->end && *x->at == '-') {
        v->minus = true;
        x->at++;
    }
    if (!digit(x))
        return false;
    const char *first = x->at;
    scan_digits(x, v);
    if (*first == '0' && x->at - first > 1)
        return false;
    if (x->at < x->end && *x->at == '.') {
        v->real = true;
        x->at++;
        if (!digit(x))
            return false;
        const char *begin = x->at;
        scan_digits(x, v);
        if (x->at - begin > 10000)
            return false;
        v->exponent = -(int)(x->at - begin);
    }
    if (x->at < x->end && (*x->at == 'e' || *x->at == 'E') && !scan_exponent(x, v))
        return false;
    return x->at < x->end;
}

static bool scan_i64(struct scan *x, const struct field *f, char *slot) {
    struct number v;
    if (!scan_number(x, &v) || v.real || v.count > 18)
        return false;
    int64_t n = v.minus ? -(int64_t)v.digits : (int64_t)v.digits;
    if ((f->min || f->max) && n < f->min)
        return false;
    if (f->max && n > f->max)
        return false;
    *(struct opt_i64 *)slot = SET_I64(n);
    return true;
}

/* Up to 2^53 and 10^22 digits and power are exact doubles, so one operation rounds correctly. */
static bool small_double(const struct number *v, double *out) {
    static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (v->count > 15 || v->exponent < -22 || v->exponent > 22)
        return false;
    double d = (double)v->digits;
    d = v->exponent < 0 ? d / power[-v->exponent] : d * power[v->exponent];
    *out = v->minus ? -d : d;
    return true;
}

static bool scan_f64(struct scan *x, char *slot) {
    struct number v;
    double d;
    if (!scan_number(x, &v))
        return false;
    if (!v.real) {
        if (v.count > 18)
            return false;
        d = (double)(v.minus ? -(int64_t)v.digits : (int64_t)v.digits);
    } else if (!small_double(&v, &d)) {
        d = strtod(v.text, NULL); /* ends at the byte behind the number, which is there */
        if (!isfinite(d))
            return false;
    }
    *(struct opt_f64 *)slot = SET_F64(d);
    return true;
}

static bool scan_str(struct scan *x, const struct field *f, char *slot) {
    const char *text;
    size_t n;
    if (!scan_string(x, &text, &n))
        return false;
    bool bounded = f->min || f->max;
    if (bounded && ((int64_t)n < f->min || (f->max && (int64_t)n > f->max)))
        return false;
    if (n == 0 && ((f->flags & F_REQUIRED) && !(f->flags & F_EMPTY_OK)))
        return false;
    *(const char **)slot = arena_strndup(x->arena, text, n);
    return true;
}

static bool scan_enum(struct scan *x, const struct field *f, char *slot) {
    const char *text;
    size_t n;
    if (!scan_string(x, &text, &n))
        return false;
    for (size_t i = 0; f->names[i]; i++)
        if (strlen(f->names[i]) == n && memcmp(f->names[i], text, n) == 0) {
            *(const char **)slot = f->names[i];
            return true;
        }
    return false;
}

static bool scan_bool(struct scan *x, char *slot) {
    bool yes = peek(x) == 't';
    const char *word = yes ? "true" : "false";
    size_t n = strlen(word);
    if ((size_t)(x->end - x->at) < n || memcmp(x->at, word, n) != 0)
        return false;
    x->at += n;
    *(struct opt_bool *)slot = SET_BOOL(yes);
    return true;
}

static bool scan_item(struct scan *x, const struct field *f, void **items, size_t n, size_t *cap) {
    if (f->type == T_LIST) {
        *items = arena_room(x->arena, *items, n, cap, f->sub->size);
        return scan_object(x, f->sub, (char *)*items + n * f->sub->size);
    }
    const char *text;
    size_t len;
    *items = arena_room(x->arena, *items, n, cap, sizeof(char *));
    if (!scan_string(x, &text, &len))
        return false;
    ((const char **)*items)[n] = arena_strndup(x->arena, text, len);
    return true;
}

/* T_LIST and T_STRS: struct list and struct strs have the same form. */
static bool scan_list(struct scan *x, const struct field *f, char *slot) {
    void *items = NULL;
    size_t n = 0, cap = 0;
    if (!take(x, '['))
        return false;
    if (!take(x, ']')) {
        do
            if (!scan_item(x, f, &items, n++, &cap))
                return false;
        while (take(x, ','));
        if (!take(x, ']'))
            return false;
    }
    if ((f->max && (int64_t)n > f->max) || ((f->min || f->max) && (int64_t)n < f->min))
        return false;
    if (!items) /* as the other decoder has it */
        items = arena_alloc_n(x->arena, 0, 1);
    if (f->type == T_LIST)
        *(struct list *)slot = (struct list){.items = items, .n = n};
    else
        *(struct strs *)slot = (struct strs){.items = items, .n = n};
    return true;
}

static bool scan_value(struct scan *x, const struct field *f, char *slot) {
    switch (f->type) {
    case T_STR:
        return scan_str(x, f, slot);
    case T_I64:
        return scan_i64(x, f, slot);
    case T_F64:
        return scan_f64(x, slot);
    case T_BOOL:
        return scan_bool(x, slot);
    case T_ENUM:
        return scan_enum(x, f, slot);
    case T_OBJ:
        *(void **)slot = arena_alloc(x->arena, f->sub->size);
        return scan_object(x, f->sub, *(char **)slot);
    case T_LIST:
    case T_STRS:
        return scan_list(x, f, slot);
    case T_JSON:
    case T_MAP:
    case T_FMAP:
        break;
    }
    return false;
}

static bool named(const char *name, const char *text, size_t n) {
    return name && strncmp(name, text, n) == 0 && name[n] == '\0';
}

/* Members mostly come in one order, so the search begins behind the one found last. */
static bool scan_member(struct scan *x, const struct shape *shape, size_t *last, uint64_t *seen,
                        uint64_t *other, char *out) {
    const char *key;
    size_t n;
    if (!scan_string(x, &key, &n) || !take(x, ':'))
        return false;
    for (size_t i = 0, k = *last; i < shape->n; i++, k++) {
        if (k >= shape->n)
            k = 0;
        const struct field *f = &shape->fields[k];
        uint64_t bit = UINT64_C(1) << k;
        if (named(f->name, key, n)) {
            *last = k + 1;
            if (*seen & bit)
                return false;
            *seen |= bit;
            return scan_value(x, f, out + f->offset);
        }
        if (named(f->alias, key, n)) {
            /* A second name; what it says counts only where the first says nothing. */
            if (*other & bit || !scan_string(x, &key, &n))
                return false;
            *other |= bit;
            return true;
        }
    }
    return false;
}

/* One name that stands for two fields is for the other decoder. */
static bool ambiguous(const struct shape *shape) {
    for (size_t i = 0; i < shape->n; i++)
        for (size_t k = 0; shape->fields[i].alias && k < shape->n; k++)
            if (k != i && (str_eq(shape->fields[i].alias, shape->fields[k].name) ||
                           str_eq(shape->fields[i].alias, shape->fields[k].alias)))
                return true;
    return false;
}

static bool scan_object(struct scan *x, const struct shape *shape, char *out) {
    uint64_t seen = 0, other = 0;
    size_t last = 0;
    if (shape->n > 64 || x->depth == DEPTH_CAP || ambiguous(shape) || !take(x, '{'))
        return false;
    x->depth++;
    if (!take(x, '}')) {
        do
            if (!scan_member(x, shape, &last, &seen, &other, out))
                return false;
        while (take(x, ','));
        if (!take(x, '}'))
            return false;
    }
    for (size_t i = 0; i < shape->n; i++) {
        const struct field *f = &shape->fields[i];
        uint64_t bit = UINT64_C(1) << i;
        if ((f->flags & F_REQUIRED) && !(seen & bit))
            return false;
        if ((other & bit) &&
            (!(seen & bit) || f->type != T_STR || !**(const char **)(out + f->offset)))
            return false;
    }
    x->depth--;
    return true;
}

bool json_direct(struct ctx *c, const struct shape *shape, const char *text, size_t n, void *out) {
    struct scan x = {.arena = c->arena, .at = text, .end = text + n};
    for (size_t i = 0; i < shape->n; i++)
        if (shape->fields[i].flags & (F_PATH | F_QUERY))
            return false;
    if (n > 0 && scan_object(&x, shape, out) && peek(&x) == '\0' && x.at == x.end)
        return true;
    memset(out, 0, shape->size);
    return false;
}
