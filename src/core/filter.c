/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/core/filter.h"

#include <string.h>
#include <strings.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

enum token_kind { END, WORD, NUMBER, QUOTED, BACKTICK, OP, OPEN, CLOSE, COMMA, SEMICOLON, BROKEN };

struct token {
    enum token_kind kind;
    size_t start, len; /* in the text, quotes included */
};

struct scanner {
    struct ctx *c;
    const char *text;
    size_t at;
    struct token now;
};

static bool blank(char ch) {
    return ch == ' ' || (ch >= '\t' && ch <= '\r');
}

/* What a bare word may hold: names as MLflow allows them, without blanks, and anything that is not
 * ASCII. A dot may join a bare entity to a quoted key, so the scanner of keys ends there. */
static bool word_char(char ch) {
    return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
           (ch && strchr("_.-/:+@#$%&*~^|?", ch)) || (unsigned char)ch >= 0x80;
}

/* End of a quoted run that starts at i, or 0 when it is not closed. A doubled quote stands for
 * itself. */
static size_t quoted_end(const char *s, size_t i) {
    char q = s[i++];
    for (; s[i]; i++) {
        if (s[i] != q)
            continue;
        if (s[i + 1] == q && q != '`')
            i++;
        else
            return i + 1;
    }
    return 0;
}

/* Words after which a quoted text may follow without a blank. */
static bool before_quote(const char *t, size_t n) {
    static const char *const words[] = {"LIKE", "ILIKE", "RLIKE", "AND"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strlen(words[i]) == n && !strncasecmp(t, words[i], n))
            return true;
    return false;
}

static void advance(struct scanner *s) {
    const char *t = s->text;
    size_t i = s->at;
    while (blank(t[i]))
        i++;
    struct token k = {.kind = BROKEN, .start = i, .len = 1};
    char ch = t[i];
    if (!ch) {
        k.kind = END;
        k.len = 0;
    } else if (ch == '(' || ch == ')') {
        k.kind = ch == '(' ? OPEN : CLOSE;
    } else if (ch == ',' || ch == ';') {
        k.kind = ch == ',' ? COMMA : SEMICOLON;
    } else if (strchr("=<>!", ch)) {
        k.len = strspn(t + i, "=<>!");
        k.kind = OP;
    } else if (ch == '\'' || ch == '"' || ch == '`') {
        size_t end = quoted_end(t, i);
        if (end) {
            k.kind = ch == '`' ? BACKTICK : QUOTED;
            k.len = end - i;
        } else {
            k.len = strlen(t + i);
        }
    } else if (word_char(ch)) {
        size_t n = i;
        while (word_char(t[n]))
            n++;
        k.kind = WORD;
        k.len = n - i;
        double v;
        char *word = arena_strndup(s->c->arena, t + i, k.len);
        if (str_to_f64(word, &v))
            k.kind = NUMBER;
        if ((t[n] == '\'' || t[n] == '"' || t[n] == '`') && !before_quote(t + i, k.len)) {
            /* entity.`key`: one token; any other quote within a word is broken */
            size_t end = t[n - 1] == '.' && k.kind == WORD ? quoted_end(t, n) : 0;
            k.len = end ? end - i : strcspn(t + i, " \t\r\n");
            if (!end)
                k.kind = BROKEN;
        }
    }
    s->now = k;
    s->at = i + k.len;
}

static const char *token_text(const struct scanner *s) {
    return arena_strndup(s->c->arena, s->text + s->now.start, s->now.len);
}

/* Words are compared without making a copy. */
static bool is_word(const struct scanner *s, const char *upper) {
    size_t n = strlen(upper);
    if (s->now.kind != WORD || s->now.len != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        char ch = s->text[s->now.start + i];
        if (ch >= 'a' && ch <= 'z')
            ch = (char)(ch - 'a' + 'A');
        if (ch != upper[i])
            return false;
    }
    return true;
}

static int invalid_from(struct scanner *s, size_t start) {
    size_t end = s->now.start + s->now.len;
    if (end < start)
        end = start;
    const char *part = arena_strndup(s->c->arena, s->text + start, end - start);
    return fail(s->c, ERR_INVALID, "Invalid clause(s) in filter string: '%s' (at byte %zu)", part,
                start);
}

static int invalid(struct scanner *s) {
    return invalid_from(s, s->now.start);
}

/* Without its quotes, doubled ones made single. */
static const char *unquote(const struct scanner *s, size_t start, size_t len) {
    const char *t = s->text + start;
    char q = t[0], *out = arena_alloc(s->c->arena, len);
    size_t o = 0;
    for (size_t i = 1; i + 1 < len; i++) {
        out[o++] = t[i];
        if (q != '`' && t[i] == q)
            i++;
    }
    return out;
}

/* Splits the current token at its first dot; false when it cannot be an identifier. */
static bool identifier(const struct scanner *s, const char **entity, const char **key,
                       bool *quoted) {
    const char *t = s->text + s->now.start;
    size_t n = s->now.len;
    *entity = NULL;
    *quoted = false;
    if (s->now.kind == QUOTED || s->now.kind == BACKTICK) {
        *key = unquote(s, s->now.start, n);
        *quoted = true;
        return **key != '\0';
    }
    if (s->now.kind != WORD)
        return false;
    const char *dot = memchr(t, '.', n);
    if (dot) {
        size_t head = (size_t)(dot - t);
        *entity = arena_strndup(s->c->arena, t, head);
        t += head + 1;
        n -= head + 1;
        if (head == 0 || n == 0)
            return false;
    }
    if (*t == '\'' || *t == '"' || *t == '`') {
        *key = unquote(s, (size_t)(t - s->text), n);
        *quoted = true;
    } else if (memchr(t, '\'', n) || memchr(t, '"', n) || memchr(t, '`', n)) {
        return false;
    } else {
        *key = arena_strndup(s->c->arena, t, n);
    }
    return **key != '\0';
}

static const char *const op_names[] = {
    "=",     "!=", ">",      ">=",    "<",       "<=",          "LIKE",
    "ILIKE", "IN", "NOT IN", "RLIKE", "IS NULL", "IS NOT NULL",
};

const char *filter_op_text(enum filter_op op) {
    return (size_t)op < ARRAY_LEN(op_names) ? op_names[op] : "?";
}

static int comparator(struct scanner *s, struct filter_clause *f) {
    if (s->now.kind == OP) {
        const char *text = token_text(s);
        for (int op = OP_EQ; op <= OP_LE; op++)
            if (str_eq(text, op_names[op])) {
                f->op = (enum filter_op)op;
                advance(s);
                return 0;
            }
        return invalid_from(s, f->position);
    }
    if (is_word(s, "LIKE"))
        f->op = OP_LIKE;
    else if (is_word(s, "ILIKE"))
        f->op = OP_ILIKE;
    else if (is_word(s, "RLIKE"))
        f->op = OP_RLIKE;
    else if (is_word(s, "IN"))
        f->op = OP_IN;
    else if (is_word(s, "NOT")) {
        advance(s);
        if (!is_word(s, "IN"))
            return invalid_from(s, f->position);
        f->op = OP_NOT_IN;
    } else if (is_word(s, "IS")) {
        advance(s);
        f->op = OP_IS_NULL;
        if (is_word(s, "NOT")) {
            f->op = OP_NOT_NULL;
            advance(s);
        }
        if (!is_word(s, "NULL"))
            return invalid_from(s, f->position);
    } else {
        return invalid_from(s, f->position);
    }
    advance(s);
    return 0;
}

static int list_value(struct scanner *s, struct filter_clause *f) {
    size_t cap = 0;
    f->kind = VALUE_LIST;
    advance(s);
    while (s->now.kind != CLOSE) {
        if (s->now.kind == END || s->now.kind == BROKEN)
            return invalid_from(s, f->position);
        if (s->now.kind != QUOTED)
            return fail(s->c, ERR_INVALID,
                        "While parsing a list in the query, expected string value, punctuation, or "
                        "whitespace, but got different type in list: '%s' (at byte %zu)",
                        token_text(s), s->now.start);
        f->items = arena_room(s->c->arena, f->items, f->n, &cap, sizeof *f->items);
        f->items[f->n++] = unquote(s, s->now.start, s->now.len);
        advance(s);
        if (s->now.kind == COMMA)
            advance(s);
        else if (s->now.kind != CLOSE)
            return invalid_from(s, f->position);
    }
    advance(s);
    if (f->n == 0)
        return fail(
            s->c, ERR_INVALID,
            "While parsing a list in the query, expected a non-empty list of string values, "
            "but got empty list");
    return 0;
}

static int operand(struct scanner *s, struct filter_clause *f) {
    if (f->op == OP_IS_NULL || f->op == OP_NOT_NULL)
        return 0;
    bool wants_list = f->op == OP_IN || f->op == OP_NOT_IN;
    if (s->now.kind == OPEN && wants_list)
        return list_value(s, f);
    if (wants_list || s->now.kind == OPEN)
        return invalid_from(s, f->position);
    switch (s->now.kind) {
    case NUMBER:
        f->kind = VALUE_NUMBER;
        f->text = token_text(s);
        str_to_f64(f->text, &f->number);
        break;
    case QUOTED:
        f->kind = VALUE_TEXT;
        f->text = unquote(s, s->now.start, s->now.len);
        break;
    case WORD:
    case BACKTICK:
        return fail(s->c, ERR_INVALID,
                    "Parameter value is either not quoted or unidentified quote types used for "
                    "string value %s. Use either single or double quotes. (at byte %zu)",
                    token_text(s), s->now.start);
    default:
        return invalid_from(s, f->position);
    }
    advance(s);
    return 0;
}

static int clause(struct scanner *s, struct filter_clause *f) {
    f->position = s->now.start;
    if (!identifier(s, &f->entity, &f->key, &f->key_quoted))
        return invalid(s);
    advance(s);
    int r = comparator(s, f);
    return r < 0 ? r : operand(s, f);
}

/* After a clause: the end, or AND. */
static int joint(struct scanner *s) {
    if (s->now.kind == END)
        return 0;
    if (s->now.kind == SEMICOLON) {
        size_t semicolon = s->now.start;
        advance(s);
        if (s->now.kind != END)
            return fail(s->c, ERR_INVALID,
                        "Search filter contained multiple expression '%s'. Provide AND-ed "
                        "expression list.",
                        s->text);
        return invalid_from(s, semicolon);
    }
    if (!is_word(s, "AND"))
        return invalid(s);
    advance(s);
    return 0;
}

int filter_parse(struct ctx *c, const char *text, struct filter *out) {
    struct scanner s = {.c = c, .text = text};
    size_t cap = 0;
    *out = (struct filter){0};
    if (!text)
        return 0;
    for (advance(&s); s.now.kind != END;) {
        out->clauses = arena_room(c->arena, out->clauses, out->n, &cap, sizeof *out->clauses);
        int r = clause(&s, &out->clauses[out->n]);
        if (r == 0)
            r = joint(&s);
        if (r < 0)
            return r;
        out->n++;
    }
    return 0;
}

int order_parse(struct ctx *c, const char *text, struct order_term *out) {
    struct scanner s = {.c = c, .text = text ? text : ""};
    bool quoted;
    *out = (struct order_term){0};
    advance(&s);
    if (!identifier(&s, &out->entity, &out->key, &quoted))
        goto unparsed;
    advance(&s);
    if (s.now.kind == END)
        return 0;
    bool known = is_word(&s, "ASC") || is_word(&s, "DESC");
    out->desc = is_word(&s, "DESC");
    bool word = s.now.kind == WORD;
    advance(&s);
    if (s.now.kind != END || !word)
        goto unparsed;
    if (!known)
        return fail(c, ERR_INVALID, "Invalid ordering key in order_by clause '%s'.", s.text);
    return 0;
unparsed:
    return fail(c, ERR_INVALID, "Invalid order_by clause '%s'. Could not be parsed.", s.text);
}
