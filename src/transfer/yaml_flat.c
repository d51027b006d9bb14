/* SPDX-License-Identifier: Apache-2.0 */
#include "yaml_flat.h"

#include <yaml.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

#define ITEMS_MAX 100000

struct flat {
    struct ctx *c;
    struct pairs *out;
    void *items;
    size_t cap;
    const char *outer, *key; /* of the mapping within; waiting for its value */
    int depth, lists;
    bool top;
};

static bool is_null(const yaml_event_t *e) {
    const char *s = (const char *)e->data.scalar.value;
    return e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (!*s || str_eq(s, "~") || str_ieq(s, "null"));
}

static void scalar(struct flat *f, const yaml_event_t *e) {
    const char *text =
        arena_strndup(f->c->arena, (const char *)e->data.scalar.value, e->data.scalar.length);
    if (f->lists || f->depth < 1 || f->depth > 2)
        return;
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

static void step(struct flat *f, const yaml_event_t *e) {
    switch (e->type) {
    case YAML_MAPPING_START_EVENT:
        f->top = f->top || f->depth == 0;
        if (!f->lists && f->depth == 1) {
            f->outer = f->key ? f->key : "";
            f->key = NULL;
        }
        f->depth++;
        return;
    case YAML_MAPPING_END_EVENT:
        f->depth--;
        f->key = NULL;
        return;
    case YAML_SEQUENCE_START_EVENT:
        f->lists++;
        return;
    case YAML_SEQUENCE_END_EVENT:
        f->lists--;
        if (!f->lists)
            f->key = NULL;
        return;
    case YAML_SCALAR_EVENT:
        scalar(f, e);
        return;
    default:
        return;
    }
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
        good = yaml_parser_parse(&parser, &e) && out->n < ITEMS_MAX;
        if (!good)
            break;
        step(&f, &e);
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
