/* SPDX-License-Identifier: Apache-2.0 */
/* Random filters and orders as trees, written in random spelling, are parsed to the same trees; and
 * whatever bytes come, the parser answers with a tree or with an error that names a place. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/filter.h"

#define ROUNDS 20000
#define CLAUSES 6
#define ITEMS 4

static struct ctx c;
static uint64_t seed = 20240611;

static unsigned dice(unsigned n) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(seed >> 33) % n;
}

static const char *pick(const char *const *of, size_t n) {
    return of[dice((unsigned)n)];
}

static const char *random_text(const char *alphabet_of[], size_t n, unsigned most) {
    struct buf b = {0};
    for (unsigned i = 1 + dice(most); i; i--)
        buf_puts(&b, pick((const char *const *)alphabet_of, n));
    const char *text = arena_strndup(c.arena, b.data, b.len);
    buf_free(&b);
    return text;
}

static const char *bare_parts[] = {"a", "Z", "0",  "_", "-", "/", ":",        "x.y", "acc",
                                   "@", "#", "|?", "7", "q", "$", "\xc3\xa9", "loss"};
static const char *any_parts[] = {"a", "B",  " ", "'",  "\"", "`",    "%",  "_",
                                  ",", "(",  ")", ";",  "=",  "AND ", "\t", "\xe2\x82\xac",
                                  ".", "is", "!", "--", "''", "\\",   "9",  "null",
                                  "\n"};

static const char *const entities[] = {"metrics", "params", "tags",  "attributes",
                                       "dataset", "foo",    "Metric"};

static struct filter_clause random_clause(void) {
    struct filter_clause f = {.op = (enum filter_op)dice(OP_NOT_NULL + 1)};
    f.entity = dice(4) ? pick(entities, ARRAY_LEN(entities)) : NULL;
    f.key_quoted = dice(3) == 0;
    f.key = f.key_quoted
                ? random_text(any_parts, ARRAY_LEN(any_parts), 6)
                : arena_printf(c.arena, "k%s", random_text(bare_parts, ARRAY_LEN(bare_parts), 5));
    if (!f.entity && !f.key_quoted && strchr(f.key, '.'))
        f.entity = "e"; /* a dot would split the key */
    if (f.op == OP_IS_NULL || f.op == OP_NOT_NULL)
        return f;
    if (f.op == OP_IN || f.op == OP_NOT_IN) {
        f.kind = VALUE_LIST;
        f.n = 1 + dice(ITEMS);
        f.items = ARENA_ARRAY(c.arena, const char *, f.n);
        for (size_t i = 0; i < f.n; i++)
            f.items[i] = dice(5) ? random_text(any_parts, ARRAY_LEN(any_parts), 5) : "";
    } else if (dice(2)) {
        static const char *const numbers[] = {"0",
                                              "-1",
                                              "5.",
                                              ".5",
                                              "1e3",
                                              "-2.5E-7",
                                              "+4",
                                              "12345678901234567890",
                                              "1.7976931348623157e308"};
        f.kind = VALUE_NUMBER;
        f.text = dice(2) ? pick(numbers, ARRAY_LEN(numbers))
                         : arena_printf(c.arena, "%.17g", (dice(2000001) - 1e6) / (1 + dice(999)));
        CHECK(str_to_f64(f.text, &f.number));
    } else {
        f.kind = VALUE_TEXT;
        f.text = dice(6) ? random_text(any_parts, ARRAY_LEN(any_parts), 8) : "";
    }
    return f;
}

/* ------------------------------------------------------------------ spelling */

static void blanks(struct buf *b, unsigned least) {
    static const char *const kinds[] = {" ", "  ", "\t", "\n", " \r\n "};
    for (unsigned i = least + (dice(3) == 0); i; i--)
        buf_puts(b, pick(kinds, ARRAY_LEN(kinds)));
}

static void quoted(struct buf *b, const char *text, char quote) {
    buf_putc(b, quote);
    for (const char *p = text; *p; p++) {
        if (*p == quote)
            buf_putc(b, quote);
        buf_putc(b, *p);
    }
    buf_putc(b, quote);
}

static void word(struct buf *b, const char *upper) {
    for (const char *p = upper; *p; p++) {
        if (*p == ' ')
            blanks(b, 1);
        else
            buf_putc(b, *p >= 'A' && *p <= 'Z' && dice(2) ? (char)(*p + 32) : *p);
    }
}

static void key(struct buf *b, const char *entity, const char *name, bool quotes) {
    if (entity) {
        buf_puts(b, entity);
        buf_putc(b, '.');
    }
    if (quotes)
        quoted(b, name, strchr(name, '`') || dice(2) ? (dice(2) ? '\'' : '"') : '`');
    else
        buf_puts(b, name);
}

static void spell(struct buf *b, const struct filter_clause *f) {
    bool worded = f->op >= OP_LIKE;
    key(b, f->entity, f->key, f->key_quoted);
    blanks(b, worded);
    word(b, filter_op_text(f->op));
    if (f->kind == VALUE_NONE)
        return;
    blanks(b, worded && f->kind == VALUE_NUMBER);
    if (f->kind == VALUE_NUMBER)
        buf_puts(b, f->text);
    else if (f->kind == VALUE_TEXT)
        quoted(b, f->text, dice(2) ? '\'' : '"');
    else
        for (size_t i = 0; i < f->n; i++) {
            buf_putc(b, i ? ',' : '(');
            blanks(b, 0);
            quoted(b, f->items[i], dice(2) ? '\'' : '"');
            blanks(b, 0);
        }
    if (f->kind == VALUE_LIST)
        buf_puts(b, dice(4) ? ")" : ",)");
}

static bool alike(const char *a, const char *b) {
    return a && b ? !strcmp(a, b) : a == b;
}

static bool same(const struct filter_clause *a, const struct filter_clause *b) {
    bool yes = alike(a->entity, b->entity) && alike(a->key, b->key) &&
               a->key_quoted == b->key_quoted && a->op == b->op && a->kind == b->kind &&
               a->n == b->n && alike(a->text, b->text) &&
               (a->kind != VALUE_NUMBER || a->number == b->number);
    for (size_t i = 0; yes && i < a->n; i++)
        yes = alike(a->items[i], b->items[i]);
    return yes;
}

static void filters_come_back(void) {
    unsigned bad = 0;
    for (unsigned round = 0; round < ROUNDS && bad < 5; round++) {
        struct filter_clause made[CLAUSES];
        size_t at[CLAUSES], n = dice(CLAUSES + 1);
        struct filter f;
        struct buf b = {0};
        ctx_end(&c);
        ctx_begin(&c);
        blanks(&b, 0);
        for (size_t i = 0; i < n; i++) {
            if (i) {
                blanks(&b, 1);
                word(&b, "AND");
                blanks(&b, 1);
            }
            at[i] = b.len;
            made[i] = random_clause();
            spell(&b, &made[i]);
        }
        if (n && dice(8) == 0) {
            blanks(&b, 1);
            word(&b, "AND");
        }
        blanks(&b, 0);
        const char *text = arena_strndup(c.arena, b.len ? b.data : "", b.len);
        buf_free(&b);
        bool ok = filter_parse(&c, text, &f) == 0 && f.n == n;
        for (size_t i = 0; ok && i < n; i++)
            ok = same(&made[i], &f.clauses[i]) && f.clauses[i].position == at[i];
        if (!ok) {
            bad++;
            CHECK_STR(c.err.code ? c.err.message : "another tree", text);
        }
    }
    CHECK_INT(bad, 0);
}

static void orders_come_back(void) {
    for (unsigned round = 0; round < ROUNDS / 4; round++) {
        struct order_term o;
        struct buf b = {0};
        ctx_end(&c);
        ctx_begin(&c);
        struct filter_clause f = random_clause();
        unsigned way = dice(3);
        blanks(&b, 0);
        key(&b, f.entity, f.key, f.key_quoted);
        if (way) {
            blanks(&b, 1);
            word(&b, way == 1 ? "ASC" : "DESC");
        }
        blanks(&b, 0);
        const char *text = arena_strndup(c.arena, b.data, b.len);
        buf_free(&b);
        if (order_parse(&c, text, &o) != 0 || !alike(o.entity, f.entity) || !alike(o.key, f.key) ||
            o.desc != (way == 2)) {
            CHECK_STR(c.err.code ? c.err.message : "another order", text);
            return;
        }
    }
}

/* Trees that were spelt and then damaged. */
static void damage_is_refused_or_read(void) {
    unsigned refused = 0, read = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct filter f;
        struct buf b = {0};
        ctx_end(&c);
        ctx_begin(&c);
        struct filter_clause made = random_clause();
        spell(&b, &made);
        for (unsigned i = 1 + dice(3); i; i--)
            b.data[dice((unsigned)b.len)] = "'\"`()=<>!,; aZ0.\t\x80"[dice(18)];
        const char *text = arena_strndup(c.arena, b.data, b.len);
        buf_free(&b);
        int rc = filter_parse(&c, text, &f);
        if (rc == 0) {
            read++;
            for (size_t i = 0; i < f.n; i++)
                CHECK(f.clauses[i].key && *f.clauses[i].key &&
                      f.clauses[i].position < strlen(text) + 1);
        } else {
            refused++;
            CHECK_INT(rc, -ERR_INVALID);
            CHECK(c.err.message && *c.err.message);
        }
    }
    CHECK(refused > ROUNDS / 10 && read > ROUNDS / 10);
}

int main(void) {
    ctx_begin(&c);
    RUN(filters_come_back);
    RUN(orders_come_back);
    RUN(damage_is_refused_or_read);
    ctx_end(&c);
    return CHECK_END();
}
