/* SPDX-License-Identifier: Apache-2.0 */
#include "child_answer.h"

#include <inttypes.h>
#include <string.h>

#include "child_state.h"
#include "json_scan.h"
#include "payload.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

static void free_answer(void *a) {
    net_answer_free(a);
}

struct net_answer *child_answer_new(struct ctx *c) {
    struct net_answer *a = ARENA_NEW(c->arena, struct net_answer);
    arena_defer(c->arena, free_answer, a);
    return a;
}

/* Whatever the scanner found is the child's fault, and not about an input. */
int child_answer_wrong(struct ctx *c) {
    const char *was = c->err.message ? c->err.message : "it cannot be read";
    bool input = str_starts(was, "input ") || str_starts(was, "inputs[");
    char *text = arena_printf(c->arena, "%s%s", input ? "output" : "", input ? was + 5 : was);
    err_clear(c);
    return fail(c, ERR_UPSTREAM, "the child server's answer is wrong: %s", text);
}

const struct tensor *child_answer_find(const struct tensor *t, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(t[i].name, name) == 0)
            return &t[i];
    return NULL;
}

int child_answer_pick(struct ctx *c, const char *const *wanted, struct tensor **out, size_t *nout) {
    size_t n = 0;
    while (wanted[n])
        n++;
    struct tensor *picked = ARENA_ARRAY(c->arena, struct tensor, n ? n : 1);
    for (size_t i = 0; i < n; i++) {
        const struct tensor *t = child_answer_find(*out, *nout, wanted[i]);
        if (!t)
            return fail_field(c, ERR_INVALID, wanted[i], "the model gave no output '%s'",
                              wanted[i]);
        picked[i] = *t;
    }
    *out = picked;
    *nout = n;
    return 0;
}

/* ---- predictions ---- */

/* The narrowest type that holds every cell; false for a mixture. */
static bool type_of_cells(const struct payload *p, const struct column *col, enum dtype *out) {
    bool whole = true, number = true, boolean = true, text = true;
    size_t n = p->rows * col->width;
    for (size_t r = 0; r < p->rows; r++)
        for (size_t i = 0; i < col->width; i++) {
            const struct cell *cell = &col->cells[r * col->stride + i];
            bool null = cell->kind == CELL_NULL;
            whole = whole && cell->kind == CELL_INTEGER &&
                    (cell->magnitude < INT64_MAX ||
                     (cell->negative && cell->magnitude <= (uint64_t)INT64_MAX + 1));
            number = number && (cell->kind == CELL_INTEGER || cell->kind == CELL_DOUBLE || null);
            boolean = boolean && cell->kind == CELL_BOOL;
            text = text && cell->kind == CELL_STRING;
        }
    *out = n == 0 || (number && !whole) ? DT_FP64 : whole ? DT_INT64 : boolean ? DT_BOOL : DT_BYTES;
    return n == 0 || number || boolean || text;
}

/* Types of the signature where it names the output, else by the values. */
static int tensors_of(struct ctx *c, const struct child *ch, struct payload *p, struct tensor **out,
                      size_t *nout) {
    const struct child_signature *s = &ch->signature;
    struct tensor_spec *specs = ARENA_ARRAY(c->arena, struct tensor_spec, p->n ? p->n : 1);
    bool nameless = p->n == 1 && !p->columns[0].name;
    if (p->n == 0)
        return fail(c, ERR_UPSTREAM, "predictions holds nothing");
    for (size_t i = 0; i < p->n; i++) {
        const struct column *col = &p->columns[i];
        struct tensor_spec *spec = &specs[i];
        *spec =
            (struct tensor_spec){.name = col->name ? col->name : "predictions", .rank = col->rank};
        for (size_t d = 0; d < col->rank; d++)
            spec->shape[d] = -1;
        bool declared = false;
        for (size_t k = 0; k < s->noutputs && !declared; k++) {
            declared = nameless ? s->noutputs == 1 : strcmp(s->outputs[k].name, col->name) == 0;
            if (declared) {
                spec->dtype = s->outputs[k].dtype;
                spec->name = s->outputs[k].name;
            }
        }
        if (!declared && !type_of_cells(p, col, &spec->dtype))
            return fail(c, ERR_UPSTREAM, "output '%s' mixes numbers, texts or truth values",
                        spec->name);
    }
    struct model_inputs wanted = {.specs = specs, .n = p->n};
    *nout = p->n;
    return payload_bind(c, p, &wanted, out);
}

static int scan_predictions(struct ctx *c, const char *text, size_t n, struct payload *p) {
    struct scan s;
    bool found = false;
    scan_init(&s, c, text, n);
    int rc;
    if (scan_peek(&s) == '[') {
        rc = payload_value(&s, "predictions", p);
        return rc == 0 ? scan_end(&s) : rc;
    }
    if (scan_peek(&s) != '{')
        return fail(c, ERR_UPSTREAM, "it is %s, not an object with predictions", scan_kind(&s));
    rc = scan_enter(&s, '{');
    for (bool first = true; rc == 0 && (rc = scan_more(&s, '}', &first)) > 0;) {
        struct bytes key;
        rc = scan_key(&s, &key);
        if (rc < 0)
            return rc;
        if (!bytes_eq(key, "predictions")) {
            rc = scan_skip(&s);
        } else if (found) {
            return fail(c, ERR_UPSTREAM, "predictions is there twice");
        } else {
            found = true;
            rc = payload_value(&s, "predictions", p);
        }
    }
    if (rc == 0)
        rc = scan_end(&s);
    if (rc == 0 && !found)
        rc = fail(c, ERR_UPSTREAM, "it has no predictions");
    return rc;
}

/* Numbers, with commas and line ends between; all on one line stand for one row each. */
static int scan_lines(struct ctx *c, const char *text, size_t n, size_t rows, struct payload *p) {
    const char *at = text, *end = text + n;
    struct grid *g = grid_new(c);
    size_t lines = 0, width = 0;
    while (at < end) {
        if (*at == '\n' || *at == '\r') { /* an empty line holds nothing */
            at++;
            continue;
        }
        size_t fields = 0;
        for (bool more = true; more; fields++) {
            struct number number;
            while (*at == ' ')
                at++;
            const char *behind = number_scan(at, end, &number);
            if (!behind)
                return fail(c, ERR_UPSTREAM, "line %zu, field %zu is no number", lines + 1,
                            fields + 1);
            *grid_push(g) = (struct cell){.kind = CELL_DOUBLE, .value = number.value};
            at = behind;
            more = at < end && *at == ',';
            at += more;
        }
        while (at < end && *at != '\n')
            if (*at++ != '\r')
                return fail(c, ERR_UPSTREAM, "line %zu holds more than numbers", lines + 1);
        at += at < end;
        if (lines++ && fields != width)
            return fail(c, ERR_UPSTREAM, "line %zu has %zu fields, those before it %zu", lines,
                        fields, width);
        width = fields;
    }
    if (lines == 1 && width == rows) {
        lines = rows;
        width = 1;
    }
    if (lines == 0)
        return fail(c, ERR_UPSTREAM, "it is empty");
    *p = (struct payload){.rows = lines, .n = 1, .columns = ARENA_NEW(c->arena, struct column)};
    p->columns[0] = (struct column){
        .cells = g->cells, .stride = width, .width = width, .rank = width == 1 ? 1 : 2};
    p->columns[0].shape[0] = (int64_t)lines;
    p->columns[0].shape[1] = (int64_t)width;
    return 0;
}

int child_answer_scoring(struct ctx *c, const struct child *ch, const struct net_answer *a,
                         size_t rows, struct tensor **out, size_t *nout) {
    struct payload p = {0};
    const char *text = a->body.data ? a->body.data : "";
    bool lines = ch->protocol == CHILD_SAGEMAKER && !child_says_json(a);
    int rc = memchr(text, 0, a->body.len) ? fail(c, ERR_UPSTREAM, "it holds a NUL")
             : lines                      ? scan_lines(c, text, a->body.len, rows, &p)
                                          : scan_predictions(c, text, a->body.len, &p);
    if (rc == 0)
        rc = tensors_of(c, ch, &p, out, nout);
    return rc < 0 ? child_answer_wrong(c) : 0;
}
