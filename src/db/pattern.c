/* SPDX-License-Identifier: Apache-2.0 */
#include "pattern.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"

enum { PATTERN_MAX = 500, REPEATS_MAX = 1000 };

struct translation {
    const char *p;
    struct buf out;
    unsigned repeats; /* product of all counted repeats: bounds the size of the automaton */
    const char *why;
};

static void refuse(struct translation *t, const char *why) {
    if (!t->why)
        t->why = why;
}

/* \d and its like; NULL when the letter is none of them. */
static const char *class_of(char letter, bool in_brackets) {
    switch (letter) {
    case 'd':
        return in_brackets ? "0-9" : "[0-9]";
    case 'D':
        return in_brackets ? NULL : "[^0-9]";
    case 's':
        return in_brackets ? "[:space:]" : "[[:space:]]";
    case 'S':
        return in_brackets ? NULL : "[^[:space:]]";
    case 'w':
        return in_brackets ? "[:alnum:]_" : "[[:alnum:]_]";
    case 'W':
        return in_brackets ? NULL : "[^[:alnum:]_]";
    default:
        return NULL;
    }
}

static void escape(struct translation *t) {
    char letter = *++t->p;
    const char *class = class_of(letter, false);
    if (class)
        buf_puts(&t->out, class);
    else if (letter == 'b')
        buf_puts(&t->out, "\\b");
    else if (letter == 't')
        buf_putc(&t->out, '\t');
    else if (letter == 'n')
        buf_putc(&t->out, '\n');
    else if (letter && strchr(".[]{}()*+?^$|\\", letter)) {
        buf_putc(&t->out, '\\');
        buf_putc(&t->out, letter);
    } else if (letter && strchr("-/ _:,;'\"@#%&=<>~`!", letter))
        buf_putc(&t->out, letter);
    else {
        refuse(t, "mlflow_the regular expression uses an escape that RLIKE does not know");
        return;
    }
    t->p++;
}

/* In POSIX a backslash in brackets is itself, and ']' and '-' count by place. */
static void brackets(struct translation *t) {
    bool close = false, dash = false, any = false;
    struct buf set = {0};
    bool negate = *++t->p == '^';
    if (negate)
        t->p++;
    for (bool first = true; *t->p && (*t->p != ']' || first) && !t->why; first = false) {
        if (t->p[0] == '[' && t->p[1] && strchr(":.=", t->p[1])) {
            const char *end = strstr(t->p, ":]");
            if (t->p[1] != ':' || !end) {
                refuse(t,
                       "mlflow_the regular expression has a bracket form that RLIKE does not know");
                break;
            }
            buf_put(&set, t->p, (size_t)(end + 2 - t->p));
            t->p = end + 2;
        } else if (*t->p == '\\') {
            char letter = *++t->p;
            const char *class = class_of(letter, true);
            if (class)
                buf_puts(&set, class);
            else if (letter == ']')
                close = true;
            else if (letter == '-')
                dash = true;
            else if (letter == 't' || letter == 'n')
                buf_putc(&set, letter == 't' ? '\t' : '\n');
            else if (letter && !strchr("DSWbB0123456789", letter))
                buf_putc(&set, letter);
            else {
                refuse(t, "mlflow_the regular expression uses an escape that RLIKE does not know");
                break;
            }
            t->p++;
        } else if (*t->p == ']') {
            close = true;
            t->p++;
        } else
            buf_putc(&set, *t->p++);
        any = true;
    }
    if (*t->p != ']' || !any)
        refuse(t, "mlflow_the regular expression has a '[' without its ']'");
    else
        t->p++;
    /* A '^' that was escaped must not come first, nor stand alone in brackets. */
    size_t caret = set.len && set.data[0] == '^' && !negate && !close ? 1 : 0;
    if (caret && set.len == 1 && !dash)
        buf_puts(&t->out, "\\^");
    else {
        buf_puts(&t->out, negate ? "[^" : "[");
        if (close)
            buf_putc(&t->out, ']');
        if (set.len > caret)
            buf_put(&t->out, set.data + caret, set.len - caret);
        if (caret)
            buf_putc(&t->out, '^');
        if (dash)
            buf_putc(&t->out, '-');
        buf_putc(&t->out, ']');
    }
    buf_free(&set);
}

static bool number(struct translation *t, unsigned *out) {
    unsigned n = 0;
    if (*t->p < '0' || *t->p > '9')
        return false;
    for (; *t->p >= '0' && *t->p <= '9'; t->p++)
        if ((n = n * 10 + (unsigned)(*t->p - '0')) > REPEATS_MAX)
            n = REPEATS_MAX + 1;
    *out = n;
    return true;
}

static void repeat(struct translation *t) {
    const char *from = t->p++;
    unsigned low = 0, high = 0;
    bool has_low = number(t, &low);
    high = low;
    if (*t->p == ',') {
        t->p++;
        if (!number(t, &high))
            high = low + 1;
    }
    if (*t->p != '}' || (!has_low && high == 0)) {
        refuse(t, "mlflow_the regular expression has a '{' that begins no repeat; write \\{");
        return;
    }
    t->p++;
    unsigned most = high > low ? high : low;
    t->repeats *= most ? most : 1;
    if (t->repeats > REPEATS_MAX)
        refuse(t, "mlflow_the regular expression repeats too often; at most 1000 in all");
    else if (!has_low)
        buf_puts(&t->out, "{0"), buf_put(&t->out, from + 1, (size_t)(t->p - from - 1));
    else
        buf_put(&t->out, from, (size_t)(t->p - from));
}

static void translate(struct translation *t) {
    while (*t->p && !t->why) {
        bool quantified = false;
        switch (*t->p) {
        case '\\':
            escape(t);
            break;
        case '[':
            brackets(t);
            break;
        case '{':
            repeat(t);
            quantified = true;
            break;
        case '(':
            buf_putc(&t->out, *t->p++);
            if (t->p[0] == '?' && t->p[1] == ':')
                t->p += 2;
            else if (t->p[0] == '?')
                refuse(t,
                       "mlflow_the regular expression uses a (?...) form that RLIKE does not know");
            break;
        case '*':
        case '+':
        case '?':
            buf_putc(&t->out, *t->p++);
            quantified = true;
            break;
        default:
            buf_putc(&t->out, *t->p++);
        }
        /* Lazy or greedy is the same to a question that is answered by yes or no. */
        if (quantified && *t->p == '?')
            t->p++;
        else if (quantified && (*t->p == '+' || *t->p == '*' || *t->p == '{'))
            refuse(t, "mlflow_the regular expression repeats a repeat");
    }
}

regex_t *pattern_compile(const char *pattern, const char **why) {
    if (strlen(pattern) > PATTERN_MAX) {
        *why = "mlflow_the regular expression is too long; at most 500 bytes";
        return NULL;
    }
    struct translation t = {.p = pattern, .repeats = 1};
    translate(&t);
    regex_t *compiled = NULL;
    if (!t.why) {
        compiled = mem_alloc(sizeof *compiled);
        if (regcomp(compiled, t.out.data ? t.out.data : "", REG_EXTENDED | REG_NOSUB) != 0) {
            free(compiled);
            compiled = NULL;
            t.why = "mlflow_the regular expression is not valid";
        }
    }
    *why = t.why;
    buf_free(&t.out);
    return compiled;
}
