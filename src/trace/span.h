/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACE_SPAN_H
#define QUERN_TRACE_SPAN_H
/* Span: one node of a trace. A tree in the form that answers have: ids in base64, times as numbers,
 * attributes as [{"key": k, "value": {"string_value": ...}}]. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ctx;
struct json_t;
struct pairs;

/* Attributes that mean something; the last two are objects. */
#define SPAN_TYPE "mlflow.spanType"
#define SPAN_INPUTS "mlflow.spanInputs"
#define SPAN_OUTPUTS "mlflow.spanOutputs"
#define SPAN_MODEL "mlflow.llm.model"
#define SPAN_PROVIDER "mlflow.llm.provider"
#define SPAN_TOKENS "mlflow.chat.tokenUsage"
#define SPAN_COST "mlflow.llm.cost"

struct span {
    const char *trace_id;  /* "tr-" and 32 hex digits */
    const char *span_id;   /* 16 hex digits */
    const char *parent_id; /* NULL: the root */
    const char *name, *type;
    const char *status; /* UNSET, OK, ERROR */
    int64_t start_ns;
    int64_t end_ns; /* 0: not ended */
    const struct json_t *tree;
    const struct pairs *sender; /* tags of what sent it; NULL: none */
    const char *content;        /* the tree as text */
};

/* Checks the tree and fills *out. */
int span_read(struct ctx *c, const struct json_t *tree, struct span *out);
/* Value of an attribute as plain JSON, a new tree on the arena; NULL: none. A text that is JSON
 * itself, as MLflow's older exporters write, counts as what it holds. */
struct json_t *span_attribute(struct ctx *c, const struct span *s, const char *key);
/* Text of that value as MLflow shows it: a text as it is, anything else as JSON with blanks. */
const char *span_attribute_text(struct ctx *c, const struct span *s, const char *key);

const char *span_value_text(struct ctx *c, const struct json_t *value);
/* {"int_value": 1} is 1; a new reference. */
struct json_t *span_plain(const struct json_t *value);
/* A text that is JSON itself becomes what it holds; takes the value. */
struct json_t *span_unwrap(struct ctx *c, struct json_t *value);
/* A value as text of JSON, which MLflow's exporters send as it is; takes the value. */
struct json_t *span_json_text(struct json_t *value);
/* The tree goes with the arena. */
struct json_t *span_keep(struct ctx *c, struct json_t *tree);
/* A tree in the form of a client's traces.json; a new reference. */
struct json_t *span_file_form(struct ctx *c, const char *trace_id, const struct json_t *tree);

/* Inside a write: one span into its table; its trace's own row is left alone. */
int span_put(struct ctx *c, int64_t trace_row, const struct span *s);
/* Inside a write: spans of one trace into an experiment. */
int span_store(struct ctx *c, int64_t experiment, const char *location, const char *run_id,
               const struct span *spans, size_t n);
/* All spans of a trace by start, as an array of trees. */
int span_load(struct ctx *c, int64_t trace_row, struct json_t **out);

#endif
