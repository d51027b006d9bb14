/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a small YAML file. The pairs are those that the parser's own tree has, in its order;
 * a file is refused only for what the header says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "yaml_flat.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void holds(bool yes) {
    if (!yes)
        abort();
}

struct want {
    struct ctx *c;
    const struct pairs *got;
    size_t at;
    bool plain; /* keys are scalars wherever one counts, and nothing lies deep */
};

static const char *text_of(struct want *w, const yaml_node_t *n) {
    return n->type == YAML_SCALAR_NODE
               ? arena_strndup(w->c->arena, (const char *)n->data.scalar.value,
                               n->data.scalar.length)
               : NULL;
}

static bool is_null(const yaml_node_t *n) {
    const char *s = (const char *)n->data.scalar.value;
    return n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (!*s || str_eq(s, "~") || str_ieq(s, "null"));
}

static void expect(struct want *w, const char *key, const char *value) {
    if (!w->got)
        return;
    holds(w->at < w->got->n);
    holds(str_eq(w->got->items[w->at].key, key) && str_eq(w->got->items[w->at].value, value));
    w->at++;
}

static void walk(struct want *w, yaml_document_t *d, const yaml_node_t *map, const char *outer) {
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top;
         p++) {
        const char *key = text_of(w, yaml_document_get_node(d, p->key));
        const yaml_node_t *v = yaml_document_get_node(d, p->value);
        w->plain = w->plain && key;
        if (!key)
            return;
        if (v->type == YAML_SCALAR_NODE && !is_null(v))
            expect(w, outer ? arena_printf(w->c->arena, "%s/%s", outer, key) : key, text_of(w, v));
        else if (v->type == YAML_MAPPING_NODE && !outer)
            walk(w, d, v, key);
    }
}

/* Nesting of the text, by its events. */
static size_t depth_of(const uint8_t *data, size_t size) {
    yaml_parser_t p;
    yaml_event_t e;
    size_t now = 0, most = 0;
    holds(yaml_parser_initialize(&p) == 1);
    yaml_parser_set_input_string(&p, data, size);
    for (bool end = false; !end && yaml_parser_parse(&p, &e);) {
        now += e.type == YAML_MAPPING_START_EVENT || e.type == YAML_SEQUENCE_START_EVENT;
        now -= e.type == YAML_MAPPING_END_EVENT || e.type == YAML_SEQUENCE_END_EVENT;
        most = now > most ? now : most;
        end = e.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&e);
    }
    yaml_parser_delete(&p);
    return most;
}

/* The tree of the only document; false when the text has none, or more. */
static bool load(yaml_parser_t *p, yaml_document_t *d) {
    yaml_document_t next;
    if (!yaml_parser_load(p, d))
        return false;
    bool one = yaml_document_get_root_node(d) != NULL && yaml_parser_load(p, &next);
    if (one) {
        one = yaml_document_get_root_node(&next) == NULL;
        yaml_document_delete(&next);
    }
    if (!one)
        yaml_document_delete(d);
    return one;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ctx c;
    struct pairs got;
    yaml_parser_t p;
    yaml_document_t d;
    ctx_begin(&c);
    bool good = yaml_flat(&c, (const char *)data, size, &got);
    for (size_t i = 0; i < got.n; i++) {
        holds(yaml_get(&got, got.items[i].key) != NULL);
        (void)yaml_number(&got, got.items[i].key);
    }
    holds(yaml_parser_initialize(&p) == 1);
    yaml_parser_set_input_string(&p, data, size);
    /* Aliases are passed over, the tree has what they stand for: such texts are not compared. */
    if (!memchr(data, '*', size) && load(&p, &d)) {
        const yaml_node_t *root = yaml_document_get_root_node(&d);
        struct want w = {.c = &c, .got = good ? &got : NULL, .plain = true};
        holds(!good || root->type == YAML_MAPPING_NODE);
        if (root->type == YAML_MAPPING_NODE)
            walk(&w, &d, root, NULL);
        holds(!good || w.at == got.n);
        holds(good || root->type != YAML_MAPPING_NODE || !w.plain || depth_of(data, size) > 60);
        yaml_document_delete(&d);
    }
    yaml_parser_delete(&p);
    ctx_end(&c);
    return 0;
}
