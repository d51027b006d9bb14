/* SPDX-License-Identifier: Apache-2.0 */
#include "yaml_flat.h"

#include <yaml.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

#define ITEMS_MAX 100000
#define DEPTH_MAX 64

struct flat {
    struct ctx *c;
    struct pairs *out;
    void *items;
    size_t cap;
    const char *outer, *key; /* of the mapping within; waiting for its value */
    int depth, lists;        /* mappings that are open; lists that are open */
    int odd;                 /* mappings open within lists, or below the second level */
    int documents;
    bool top, bad;
};

static bool is_null(const yaml_event_t *e) {
    const char *s = (const char *)e->data.scalar.value;
    return e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (!*s || str_eq(s, "~") || str_ieq(s, "null"));
}

/* Where pairs are taken. */
static bool takes(const struct flat *f) {
    return f->depth >= 1 && !f->lists && !f->odd;
}

static void scalar(struct flat *f, const yaml_event_t *e) {
    if (!takes(f))
        return;
    const char *text =
        arena_strndup(f->c->arena, (const char *)e->data.scalar.value, e->data.scalar.length);
    if (!f->key) {
        f->key = text;
        return;
    }
    if (!is_null(e)) {
        struct pair *p = arena_push(f->c->arena, &f->items, &f->out->n, &f->cap, sizeof *p);
        p->key = f->depth == 2 ? arena_printf(f->c->arena, "%s/%s", f->outer, f->key) : f->key;
        p->value = text;
    }
    f->key = NULL;
}

/* What is no scalar may stand for a value and is passed over; as a key it has no name, and what
 * follows would be taken for one. */
static void pass(struct flat *f) {
    f->bad = f->bad || (takes(f) && !f->key);
}

static void open_mapping(struct flat *f) {
    if (f->depth == 0 && !f->lists) {
        f->top = true;
        f->depth = 1;
        return;
    }
    pass(f);
    if (f->lists || f->odd || f->depth != 1) {
        f->odd++;
        return;
    }
    f->outer = f->key;
    f->key = NULL;
    f->depth = 2;
}

static void step(struct flat *f, const yaml_event_t *e) {
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        f->bad = f->bad || f->documents++ > 0; /* of two, which? */
        return;
    case YAML_MAPPING_START_EVENT:
        open_mapping(f);
        break;
    case YAML_MAPPING_END_EVENT:
        if (f->odd)
            f->odd--;
        else
            f->depth--;
        if (takes(f))
            f->key = NULL;
        return;
    case YAML_SEQUENCE_START_EVENT:
        pass(f);
        f->lists++;
        break;
    case YAML_SEQUENCE_END_EVENT:
        f->lists--;
        if (takes(f))
            f->key = NULL;
        return;
    case YAML_ALIAS_EVENT:
        pass(f);
        if (takes(f))
            f->key = NULL;
        return;
    case YAML_SCALAR_EVENT:
        scalar(f, e);
        return;
    default:
        return;
    }
    f->bad = f->bad || f->depth + f->odd + f->lists > DEPTH_MAX;
}

bool yaml_flat(struct ctx *c, const char *text, size_t n, struct pairs *out) {
    struct flat f = {.c = c, .out = out};
    yaml_parser_t parser;
    bool good = true, end = false;
    *out = (struct pairs){0};
    if (!yaml_parser_initialize(&parser))
        mem_die();
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    while (good && !end) {
        yaml_event_t e;
        if (!yaml_parser_parse(&parser, &e)) {
            good = false;
            break;
        }
        step(&f, &e);
        good = !f.bad && out->n < ITEMS_MAX;
        end = e.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&e);
    }
    yaml_parser_delete(&parser);
    out->items = f.items;
    return good && f.top;
}

const char *yaml_get(const struct pairs *p, const char *key) {
    for (size_t i = 0; i < p->n; i++)
        if (str_eq(p->items[i].key, key))
            return p->items[i].value;
    return NULL;
}

int64_t yaml_number(const struct pairs *p, const char *key) {
    const char *text = yaml_get(p, key);
    int64_t n = 0;
    return text && str_to_i64(text, &n) ? n : 0;
}
