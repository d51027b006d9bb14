/* SPDX-License-Identifier: Apache-2.0 */
/* Child scoring: tensors to a child that takes data frames, lists or CSV (MLflow's scoring server,
 * SageMaker's and Vertex's containers). */
#include <string.h>

#include "child_answer.h"
#include "child_state.h"
#include "model.h"
#include "quern/base/arena.h"
#include "quern/base/fd.h"
#include "quern/base/path.h"
#include "quern/core/ctx.h"
#include "signature.h"
#include "tensor_print.h"

#define MLMODEL_MAX ((size_t)4 << 20)

/* Row `r` of a tensor whose first axis is the rows. */
static void put_row(struct text *o, const struct tensor *t, size_t r) {
    size_t width = t->shape[0] ? t->count / (size_t)t->shape[0] : 0;
    if (t->rank <= 1)
        text_element(o, t, r);
    else
        text_nested(o, t, 1, r * width);
}

/* The same, where one value is wanted: [n, 1] is a column as [n] is. */
static void put_cell(struct text *o, const struct tensor *t, size_t r) {
    if (t->shape[0] && t->count == (size_t)t->shape[0])
        text_element(o, t, r);
    else
        put_row(o, t, r);
}

static void put_name(struct text *o, const struct tensor *t) {
    text_string(o, t->name, strlen(t->name));
}

/* {"dataframe_split":{"columns":[..],"data":[[..],..]}} */
static void put_frame(struct text *o, const struct child_request *q, size_t rows) {
    text_puts(o, "{\"dataframe_split\":{\"columns\":[");
    for (size_t i = 0; i < q->nin; i++) {
        text_puts(o, i ? "," : "");
        put_name(o, &q->in[i]);
    }
    text_puts(o, "],\"data\":[");
    for (size_t r = 0; r < rows; r++) {
        text_puts(o, r ? ",[" : "[");
        for (size_t i = 0; i < q->nin; i++) {
            text_puts(o, i ? "," : "");
            put_cell(o, &q->in[i], r);
        }
        text_puts(o, "]");
    }
    text_puts(o, "]}}");
}

/* {"inputs":[..]} or {"inputs":{"name":[..],..}} */
static void put_inputs(struct text *o, const struct child_request *q, bool named) {
    text_puts(o, named ? "{\"inputs\":{" : "{\"inputs\":");
    for (size_t i = 0; i < q->nin; i++) {
        if (named) {
            text_puts(o, i ? "," : "");
            put_name(o, &q->in[i]);
            text_puts(o, ":");
        }
        text_nested(o, &q->in[i], 0, 0);
    }
    text_puts(o, named ? "}}" : "}");
}

/* {"instances":[..]}: a list of values, or of objects when there are several inputs. */
static void put_instances(struct text *o, const struct child_request *q, size_t rows) {
    text_puts(o, "{\"instances\":[");
    for (size_t r = 0; r < rows; r++) {
        text_puts(o, r ? "," : "");
        if (q->nin == 1) {
            put_row(o, &q->in[0], r);
            continue;
        }
        for (size_t i = 0; i < q->nin; i++) {
            text_puts(o, i ? "," : "{");
            put_name(o, &q->in[i]);
            text_puts(o, ":");
            put_cell(o, &q->in[i], r);
        }
        text_puts(o, "}");
    }
    text_puts(o, "]}");
}

static void put_csv_text(struct text *o, const struct bytes *b) {
    bool quote = false;
    for (size_t i = 0; i < b->len && !quote; i++)
        quote = strchr(",\"\r\n", b->data[i]) != NULL;
    if (!quote) {
        text_put(o, b->data, b->len);
        return;
    }
    text_puts(o, "\"");
    for (size_t i = 0; i < b->len; i++)
        text_put(o, b->data[i] == '"' ? "\"\"" : &b->data[i], b->data[i] == '"' ? 2 : 1);
    text_puts(o, "\"");
}

/* Without a line of names, as such containers want it. */
static void put_csv(struct text *o, const struct child_request *q, size_t rows) {
    for (size_t r = 0; r < rows; r++) {
        bool first = true;
        for (size_t i = 0; i < q->nin; i++) {
            const struct tensor *t = &q->in[i];
            size_t width = rows ? t->count / rows : 0;
            for (size_t k = 0; k < width; k++, first = false) {
                text_puts(o, first ? "" : ",");
                if (t->dtype == DT_BYTES)
                    put_csv_text(o, &((const struct bytes *)t->data)[r * width + k]);
                else
                    text_element(o, t, r * width + k);
            }
        }
        text_puts(o, "\n");
    }
}

/* What a row is must be clear. */
static int count_rows(struct ctx *c, const struct child_request *q, size_t *rows) {
    *rows = 0;
    for (size_t i = 0; i < q->nin; i++) {
        const struct tensor *t = &q->in[i];
        if (t->rank == 0)
            return fail_field(c, ERR_INVALID, t->name,
                              "input '%s' is a single value; the child server takes rows", t->name);
        if (i == 0)
            *rows = (size_t)t->shape[0];
        else if (*rows != (size_t)t->shape[0])
            return fail_field(c, ERR_INVALID, t->name, "input '%s' has %zu rows, '%s' has %zu",
                              t->name, (size_t)t->shape[0], q->in[0].name, *rows);
    }
    return 0;
}

/* Beside the data, within the object that was written. */
static void put_params(struct text *o, enum child_protocol protocol) {
    const char *params = model_params();
    if (!params || protocol == CHILD_SAGEMAKER)
        return;
    o->len--; /* the object's end */
    text_puts(o, protocol == CHILD_VERTEX ? ",\"parameters\":" : ",\"params\":");
    text_puts(o, params);
    text_puts(o, "}");
}

int child_scoring_infer(struct ctx *c, struct child_call *call, const struct child_request *q,
                        struct tensor **out, size_t *nout) {
    const struct child *ch = call->ch;
    const struct child_signature *s = &ch->signature;
    struct text o;
    size_t rows = 0;
    int rc = count_rows(c, q, &rows);
    if (rc < 0)
        return rc;
    text_init(&o, c->arena, 1024);
    if (ch->protocol == CHILD_SAGEMAKER)
        put_csv(&o, q, rows);
    else if (ch->protocol == CHILD_VERTEX)
        put_instances(&o, q, rows);
    else if (s->columns)
        put_frame(&o, q, rows);
    else
        put_inputs(&o, q, s->named || q->nin > 1);
    put_params(&o, ch->protocol);
    const struct net_header headers[] = {
        {"Content-Type", ch->protocol == CHILD_SAGEMAKER ? "text/csv" : "application/json"},
        {"Accept", ch->protocol == CHILD_SAGEMAKER ? "application/json, text/csv;q=0.9"
                                                   : "application/json"}};
    struct net_local r = {.method = "POST",
                          .path = ch->spec.path                  ? ch->spec.path
                                  : ch->protocol == CHILD_VERTEX ? "/predict"
                                                                 : "/invocations",
                          .headers = headers,
                          .header_count = 2,
                          .body = o.data,
                          .body_len = o.len};
    struct net_answer *a = child_answer_new(c);
    rc = child_send(c, call, &r, q->until_ms, a);
    if (rc == 0)
        rc = child_answer_scoring(c, ch, a, rows, out, nout);
    if (rc == 0 && q->wanted)
        rc = child_answer_pick(c, q->wanted, out, nout);
    return rc;
}

/* ---- what the model's own file says ---- */

static int read_mlmodel(struct ctx *c, const struct child *ch, char **text, size_t *n) {
    struct dir *dir = NULL;
    *text = NULL;
    *n = 0;
    int rc = dir_open(ch->model_folder, false, &dir);
    if (rc == 0) {
        dir_read_file(dir, "MLmodel", c->arena, MLMODEL_MAX, text, n);
        dir_close(dir);
    }
    return 0; /* a model without one is served all the same */
}

int child_scoring_signature(struct ctx *c, struct child *ch) {
    struct child_signature *s = &ch->signature;
    struct signature_specs in = {0}, out = {0};
    char *text = NULL;
    size_t n = 0;
    int rc = read_mlmodel(c, ch, &text, &n);
    if (rc == 0 && text)
        rc = signature_specs(c, ch->arena, "inputs", text, n, &in);
    if (rc < 0)
        return rc;
    if (text && signature_specs(c, ch->arena, "outputs", text, n, &out) < 0) {
        err_clear(c); /* its answers tell their types themselves */
        out.n = 0;
    }
    if (in.n == 0) { /* one matrix is what most models without a signature take */
        in.specs = ARENA_NEW(ch->arena, struct tensor_spec);
        *in.specs = (struct tensor_spec){.name = "input-0", .dtype = DT_FP64, .rank = 2};
        in.specs[0].shape[0] = in.specs[0].shape[1] = -1;
        in.n = 1;
        in.named = in.columns = false;
    } else if (in.n == 1 && !in.columns && !in.named) {
        in.specs[0].name = "input-0";
    }
    if (out.n == 1 && !out.named)
        out.specs[0].name = "predictions";
    *s = (struct child_signature){.inputs = in.specs,
                                  .ninputs = in.n,
                                  .outputs = out.specs,
                                  .noutputs = out.n,
                                  .columns = in.columns,
                                  .named = in.named};
    return 0;
}
