/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PIPELINE_YAML_TREE_H
#define QUERN_PIPELINE_YAML_TREE_H
/* Yaml tree: one YAML (or JSON) document as nodes that know their line and column. Bounded: text of
 * at most 1 MiB, 20,000 nodes with aliases counted at their full size, 32 levels. Explicit tags,
 * merge keys, duplicate keys and a second document are refused. */
#include <stdbool.h>
#include <stddef.h>

struct ctx;
struct json_t;

enum node_kind { NODE_SCALAR, NODE_SEQ, NODE_MAP };

struct node {
    enum node_kind kind;
    unsigned line, column; /* from 1 */
    const char *text;      /* NODE_SCALAR */
    bool plain;            /* unquoted, so 1 and true are not text */
    struct node **keys;    /* NODE_MAP: scalars */
    struct node **items;   /* values */
    size_t n;
    size_t size; /* nodes below, itself included */
};

#define YAML_TEXT_CAP ((size_t)1 << 20)
#define YAML_NODE_CAP ((size_t)20000)
#define YAML_DEPTH_CAP 32u

int yaml_parse(struct ctx *c, const char *text, size_t n, struct node **out);
/* fail_field "definition" with "line L, column C: ...". */
int node_fail(struct ctx *c, const struct node *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
struct node *node_get(const struct node *map, const char *key); /* NULL when absent */
bool node_is_null(const struct node *n);                        /* plain null, ~ or nothing */
/* The value as JSON, on the context's arena: plain null, true/false, integers and decimals are
 * typed as in YAML 1.2's core schema, all else is text. */
struct json_t *node_json(struct ctx *c, const struct node *n);

#endif
