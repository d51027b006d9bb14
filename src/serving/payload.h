/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_PAYLOAD_H
#define QUERN_SERVING_PAYLOAD_H
/* Payload: what MLflow's scoring protocol carries (data frames, row and column tensors, CSV) before
 * it is known which model wants it, and its binding to a model's inputs. Everything lives in the
 * context's arena. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/onnx/tensor.h"

struct ctx;
struct scan;

enum cell_kind {
    CELL_NULL,
    CELL_BOOL,
    CELL_INTEGER, /* magnitude and sign of an integer literal */
    CELL_DOUBLE,
    CELL_STRING,
    CELL_TEXT, /* of CSV: its type is decided by the model's input */
};
/* 16 bytes: a body of numbers must not grow into much more memory than it has bytes. */
struct cell {
    union {
        double value;
        uint64_t magnitude;
        const char *text;
    };
    uint32_t len;
    uint8_t kind;
    bool negative; /* CELL_INTEGER */
    bool yes;      /* CELL_BOOL; CELL_DOUBLE: an infinity that was meant, not a number too large */
};

/* A named or nameless array of cells; element i of row r is cells[r * stride + i]. */
struct column {
    const char *name; /* NULL: the only one, given without a name */
    const struct cell *cells;
    size_t stride;
    size_t width; /* cells per row: product of shape[1..] */
    size_t rank;
    int64_t shape[TENSOR_MAX_RANK];
};

struct payload {
    bool frame;          /* a data frame: answered as records */
    bool named;          /* not a frame, but columns by name */
    struct bytes params; /* text of the member params; data NULL when there is none */
    bool matrix;         /* columns are those of one dense matrix without gaps between them */
    size_t rows;
    struct column *columns;
    size_t n;
};

/* Reads a body by its content type (application/json or text/csv, charset utf-8 only; "" counts as
 * JSON). ERR_MEDIA_TYPE, else ERR_BAD_REQUEST or ERR_INVALID with a sentence naming column and row.
 */
int payload_scan(struct ctx *c, const char *content_type, const char *body, size_t n,
                 struct payload *out);
int csv_scan(struct ctx *c, const char *body, size_t n, struct payload *out);

/* The value at the cursor, as answers carry it: nested lists, a list of records, or an object of
 * lists. `member` is what messages call it. */
int payload_value(struct scan *s, const char *member, struct payload *out);

/* Makes the tensors that a model with these inputs wants. `features` are the column names of the
 * model's signature (n 0: none), used to order the columns of a one-matrix model. */
struct model_inputs {
    const struct tensor_spec *specs;
    size_t n;
    const char *const *features;
    size_t nfeatures;
};
int payload_bind(struct ctx *c, const struct payload *p, const struct model_inputs *m,
                 struct tensor **tensors);

/* Text of the first row's value of a column; NULL when there is no such column. */
const char *payload_field(struct ctx *c, const struct payload *p, const char *name);

/* A growing array of cells with the shape of the nested lists it was read from. */
struct grid {
    struct cell *cells;
    size_t n, cap;
    size_t rank;
    bool rank_known;
    bool size_known[TENSOR_MAX_RANK];
    int64_t shape[TENSOR_MAX_RANK];
};
struct grid *grid_new(struct ctx *c);
void grid_grow(struct grid *g);
static inline struct cell *grid_push(struct grid *g) {
    if (g->n == g->cap)
        grid_grow(g);
    struct cell *cell = &g->cells[g->n++];
    *cell = (struct cell){0};
    return cell;
}

#endif
