/* SPDX-License-Identifier: Apache-2.0 */
#include "yaml_tree.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "json_value.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

struct anchor {
    const char *name;
    struct node *node;
    struct anchor *next;
};

struct reader {
    struct ctx *c;
    yaml_parser_t parser;
    size_t nodes;
    struct anchor *anchors;
};

int node_fail(struct ctx *c, const struct node *at, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const char *text = arena_vprintf(c->arena, fmt, ap);
    va_end(ap);
    return fail_field(c, ERR_INVALID, "definition", "line %u, column %u: %s", at->line, at->column,
                      text);
}

static int mark_fail(struct reader *r, yaml_mark_t mark, const char *text) {
    return fail_field(r->c, ERR_INVALID, "definition", "line %zu, column %zu: %s", mark.line + 1,
                      mark.column + 1, text);
}

static int next_event(struct reader *r, yaml_event_t *event) {
    if (yaml_parser_parse(&r->parser, event)) {
        return 0;
    }
    yaml_mark_t mark =
        r->parser.error == YAML_READER_ERROR ? r->parser.mark : r->parser.problem_mark;
    const char *problem = r->parser.problem ? r->parser.problem : "not readable as YAML";
    const char *text = r->parser.context
                           ? arena_printf(r->c->arena, "%s %s", problem, r->parser.context)
                           : problem;
    return mark_fail(r, mark, text);
}

static struct node *new_node(struct reader *r, const yaml_event_t *event, enum node_kind kind) {
    struct node *n = ARENA_NEW(r->c->arena, struct node);
    n->kind = kind;
    n->line = (unsigned)event->start_mark.line + 1;
    n->column = (unsigned)event->start_mark.column + 1;
    n->size = 1;
    return n;
}

static int remember(struct reader *r, const char *name, struct node *n) {
    struct anchor *a = ARENA_NEW(r->c->arena, struct anchor);
    a->name = name;
    a->node = n;
    a->next = r->anchors;
    r->anchors = a;
    return 0;
}

static int read_node(struct reader *r, yaml_event_t *event, unsigned depth, struct node **out);

static void push(struct ctx *c, struct node ***list, size_t n, struct node *item) {
    /* Grown at powers of two: the arena keeps the outgrown halves, which the node cap bounds. */
    if (n == 0) {
        *list = ARENA_ARRAY(c->arena, struct node *, 4);
    } else if (n >= 4 && (n & (n - 1)) == 0) {
        struct node **wider = ARENA_ARRAY(c->arena, struct node *, n * 2);
        memcpy(wider, *list, n * sizeof(struct node *));
        *list = wider;
    }
    (*list)[n] = item;
}

static int read_children(struct reader *r, struct node *parent, unsigned depth) {
    yaml_event_type_t end =
        parent->kind == NODE_MAP ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
    for (;;) {
        yaml_event_t event;
        int rc = next_event(r, &event);
        if (rc) {
            return rc;
        }
        if (event.type == end) {
            yaml_event_delete(&event);
            return 0;
        }
        struct node *first = NULL, *second = NULL;
        rc = read_node(r, &event, depth + 1, &first);
        if (rc) {
            return rc;
        }
        if (parent->kind == NODE_SEQ) {
            push(r->c, &parent->items, parent->n++, first);
            parent->size += first->size;
            continue;
        }
        if (first->kind != NODE_SCALAR) {
            return node_fail(r->c, first, "a key must be a plain name, not a list or a mapping");
        }
        if (first->plain && str_eq(first->text, "<<")) {
            return node_fail(r->c, first, "merge keys (<<) are not read; write the values out");
        }
        if (node_get(parent, first->text)) {
            return node_fail(r->c, first, "\"%s\" is written twice in one mapping", first->text);
        }
        rc = next_event(r, &event);
        if (rc) {
            return rc;
        }
        rc = read_node(r, &event, depth + 1, &second);
        if (rc) {
            return rc;
        }
        push(r->c, &parent->keys, parent->n, first);
        push(r->c, &parent->items, parent->n++, second);
        parent->size += 1 + second->size;
    }
}

static int count(struct reader *r, const yaml_event_t *event, size_t nodes) {
    r->nodes += nodes;
    return r->nodes > YAML_NODE_CAP
               ? mark_fail(r, event->start_mark, "more than 20,000 values, aliases counted in full")
               : 0;
}

/* Takes the event and deletes it. */
static int read_node(struct reader *r, yaml_event_t *event, unsigned depth, struct node **out) {
    struct ctx *c = r->c;
    const yaml_char_t *tag = NULL, *anchor = NULL;
    struct node *n = NULL;
    int rc = count(r, event, 1);
    if (rc == 0 && depth > YAML_DEPTH_CAP) {
        rc = mark_fail(r, event->start_mark, "nested deeper than 32 levels");
    }
    if (rc == 0 && event->type == YAML_SCALAR_EVENT) {
        tag = event->data.scalar.tag;
        anchor = event->data.scalar.anchor;
        n = new_node(r, event, NODE_SCALAR);
        const char *text = (const char *)event->data.scalar.value;
        n->text = arena_strndup(c->arena, text, event->data.scalar.length);
        n->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        if (memchr(text, 0, event->data.scalar.length)) {
            rc = mark_fail(r, event->start_mark, "text must not contain a NUL character");
        }
    } else if (rc == 0 && event->type == YAML_SEQUENCE_START_EVENT) {
        tag = event->data.sequence_start.tag;
        anchor = event->data.sequence_start.anchor;
        n = new_node(r, event, NODE_SEQ);
    } else if (rc == 0 && event->type == YAML_MAPPING_START_EVENT) {
        tag = event->data.mapping_start.tag;
        anchor = event->data.mapping_start.anchor;
        n = new_node(r, event, NODE_MAP);
    } else if (rc == 0 && event->type == YAML_ALIAS_EVENT) {
        const struct anchor *a = r->anchors;
        while (a && !str_eq(a->name, (const char *)event->data.alias.anchor)) {
            a = a->next;
        }
        if (a) {
            n = a->node;
            rc = count(r, event, n->size);
        } else {
            rc = mark_fail(r, event->start_mark, "an alias to an anchor that was not set before");
        }
    } else if (rc == 0) {
        rc = mark_fail(r, event->start_mark, "a value was expected here");
    }
    if (rc == 0 && tag && !str_eq((const char *)tag, "!")) {
        rc = mark_fail(r, event->start_mark, "explicit tags (!...) are not read");
    }
    const char *name = anchor && rc == 0 ? arena_strdup(c->arena, (const char *)anchor) : NULL;
    bool alias = event->type == YAML_ALIAS_EVENT;
    yaml_event_delete(event);
    if (rc == 0 && !alias && n->kind != NODE_SCALAR) {
        rc = read_children(r, n, depth);
    }
    if (rc == 0 && name) {
        rc = remember(r, name, n);
    }
    *out = n;
    return rc;
}

static int read_document(struct reader *r, struct node **out) {
    yaml_event_t event;
    bool seen = false;
    for (;;) {
        int rc = next_event(r, &event);
        if (rc) {
            return rc;
        }
        yaml_event_type_t type = event.type;
        if (type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_END_EVENT) {
            yaml_event_delete(&event);
        } else if (type == YAML_STREAM_END_EVENT) {
            yaml_event_delete(&event);
            break;
        } else if (type == YAML_DOCUMENT_START_EVENT) {
            rc = seen
                     ? mark_fail(r, event.start_mark, "a second document; one file is one pipeline")
                     : 0;
            yaml_event_delete(&event);
            seen = true;
        } else {
            rc = read_node(r, &event, 1, out);
        }
        if (rc) {
            return rc;
        }
    }
    return *out ? 0
                : fail_field(r->c, ERR_INVALID, "definition",
                             "line 1, column 1: the definition is empty; it needs \"name\" and "
                             "\"steps\"");
}

static bool surrogate(const char *s, const char *end, unsigned *value) {
    unsigned char hex[2];
    if (end - s < 6 || s[0] != '\\' || s[1] != 'u' || !hex_decode(s + 2, 4, hex)) {
        return false;
    }
    *value = (unsigned)hex[0] << 8 | hex[1];
    return *value >= 0xd800 && *value <= 0xdfff;
}

/* JSON writes characters beyond the first plane as two escapes, which YAML does not know: each pair
 * becomes YAML's \U escape. Escapes occur in quoted text only, and there a backslash always
 * takes the next character with it. */
static const char *join_surrogates(struct ctx *c, const char *text, size_t *n) {
    const char *end = text + *n, *first = text;
    while (first < end && (*first == ' ' || *first == '\n' || *first == '\r' || *first == '\t')) {
        first++;
    }
    if (first == end || *first != '{') {
        return text;
    }
    char *out = arena_alloc(c->arena, *n + 1), *to = out;
    for (const char *at = text; at < end;) {
        unsigned high, low;
        if (surrogate(at, end, &high) && high < 0xdc00 && surrogate(at + 6, end, &low) &&
            low >= 0xdc00) {
            unsigned code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            to += snprintf(to, 11, "\\U%08x", code); /* shorter than the twelve it replaces */
            at += 12;
        } else {
            size_t take = *at == '\\' && end - at > 1 ? 2 : 1;
            memcpy(to, at, take);
            to += take;
            at += take;
        }
    }
    *n = (size_t)(to - out);
    return out;
}

int yaml_parse(struct ctx *c, const char *text, size_t n, struct node **out) {
    *out = NULL;
    if (n > YAML_TEXT_CAP) {
        return fail_field(c, ERR_TOO_LARGE, "definition",
                          "the definition has %zu bytes; the most is %zu", n, YAML_TEXT_CAP);
    }
    if (!utf8_valid(text, n)) {
        return fail_field(c, ERR_INVALID, "definition", "the definition is not valid UTF-8");
    }
    text = join_surrogates(c, text, &n);
    struct reader r = {.c = c};
    if (!yaml_parser_initialize(&r.parser)) {
        mem_die();
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, n);
    int rc = read_document(&r, out);
    yaml_parser_delete(&r.parser);
    return rc;
}

struct node *node_get(const struct node *map, const char *key) {
    for (size_t i = 0; map && map->kind == NODE_MAP && i < map->n; i++) {
        if (str_eq(map->keys[i]->text, key)) {
            return map->items[i];
        }
    }
    return NULL;
}

bool node_is_null(const struct node *n) {
    return n->kind == NODE_SCALAR && n->plain &&
           (!*n->text || str_eq(n->text, "~") || str_ieq(n->text, "null"));
}

static json_t *build(const struct node *n) {
    if (n->kind == NODE_SEQ) {
        json_t *list = json_array();
        for (size_t i = 0; i < n->n; i++) {
            json_array_append_new(list, build(n->items[i]));
        }
        return list;
    }
    if (n->kind == NODE_MAP) {
        json_t *map = json_object();
        for (size_t i = 0; i < n->n; i++) {
            json_object_set_new(map, n->keys[i]->text, build(n->items[i]));
        }
        return map;
    }
    int64_t whole;
    double number;
    if (!n->plain) {
        return json_string(n->text);
    }
    if (node_is_null(n)) {
        return json_null();
    }
    if (str_ieq(n->text, "true") || str_ieq(n->text, "false")) {
        return json_boolean(str_ieq(n->text, "true"));
    }
    if (str_to_i64(n->text, &whole)) {
        return json_integer(whole);
    }
    if (str_to_f64(n->text, &number)) {
        return json_real(number);
    }
    return json_string(n->text);
}

struct json_t *node_json(struct ctx *c, const struct node *n) {
    return json_on_arena(c, build(n));
}
