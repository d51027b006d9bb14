/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's scoring protocol. */
#include <string.h>

#include "base64_text.h"
#include "doors.h"
#include "model.h"
#include "params.h"
#include "payload.h"
#include "predict.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/core/ctx.h"
#include "sagemaker.h"
#include "signature.h"
#include "tensor_print.h"

SHAPE(shape_scoring_query, "ScoringQuery", struct scoring_in,
      FIELD(struct scoring_in, endpoint, T_STR, F_QUERY,
            "The endpoint; also header X-Quern-Endpoint; not needed when there is only one"));
SHAPE(shape_scoring_path, "ScoringPath", struct scoring_in,
      FIELD(struct scoring_in, endpoint, T_STR, F_PATH | F_REQUIRED, "The endpoint's name"));

static const char *the_only_one(struct ctx *c, const struct snapshot *s, size_t *n) {
    const char *name = NULL;
    *n = 0;
    for (size_t i = 0; s && i < s->n; i++)
        if (s->entries[i].project == c->project) {
            name = s->entries[i].name;
            ++*n;
        }
    return name;
}

/* By path or query, by our header, by SageMaker's. */
static const char *named(struct ctx *c, const char *asked) {
    const char *name = asked ? asked : ctx_header(c, "x-quern-endpoint");
    return name ? name : sagemaker_model(c);
}

const char *scoring_endpoint(struct ctx *c, const struct scoring_in *in) {
    const char *name = named(c, in->endpoint);
    if (!name) {
        size_t n;
        const char *only = the_only_one(c, snapshot_enter(), &n);
        name = n == 1 ? arena_strdup(c->arena, only) : NULL;
        snapshot_leave();
    }
    return name;
}

static int choose(struct ctx *c, const struct snapshot *s, const char *asked,
                  const struct entry **e) {
    size_t n;
    const char *name = named(c, asked);
    if (!name) {
        name = the_only_one(c, s, &n);
        if (n == 0)
            return fail(c, ERR_NOT_FOUND, "no endpoint is deployed");
        if (n > 1)
            return fail(c, ERR_BAD_REQUEST,
                        "%zu endpoints are deployed; name one by header "
                        "X-Quern-Endpoint, by ?endpoint=, or at /endpoints/NAME/invocations",
                        n);
    }
    return door_find_answering(c, s, name, e);
}

/* An output that has one entry per row can stand in records. */
static bool by_row(const struct tensor *t, size_t rows) {
    return t->rank >= 1 && t->shape[0] == (int64_t)rows;
}

static void put_name(struct text *o, const struct tensor *t, bool first) {
    if (!first)
        text_put(o, ",", 1);
    text_string(o, t->name, strlen(t->name));
    text_put(o, ":", 1);
}

static void put_row(struct text *o, const struct tensor *t, size_t row) {
    size_t width = t->shape[0] ? t->count / (size_t)t->shape[0] : 0;
    if (width == 1 && !t->classes) /* [n,1] is a column of plain values */
        text_element(o, t, row);
    else
        text_nested(o, t, 1, row * width);
}

static void print(struct ctx *c, const struct tensor *t, size_t n, size_t rows, bool records) {
    struct text o;
    text_init(&o, c->arena, 512);
    text_puts(&o, "{\"predictions\":");
    for (size_t i = 0; i < n; i++)
        records = records && by_row(&t[i], rows);
    if (records) {
        text_put(&o, "[", 1);
        for (size_t r = 0; r < rows; r++) {
            text_puts(&o, r ? ",{" : "{");
            for (size_t i = 0; i < n; i++) {
                put_name(&o, &t[i], i == 0);
                put_row(&o, &t[i], r);
            }
            text_put(&o, "}", 1);
        }
        text_put(&o, "]", 1);
    } else {
        text_put(&o, "{", 1);
        for (size_t i = 0; i < n; i++) {
            put_name(&o, &t[i], i == 0);
            text_nested(&o, &t[i], 0, 0);
        }
        text_put(&o, "}", 1);
    }
    text_put(&o, "}", 1);
    reply_bytes(c, "application/json", o.data, o.len);
}

struct scoring_call {
    struct request q; /* first: bind gets it */
    struct payload p;
};

/* Params as the model's signature has them; without one they go on as they came. */
static int bind_params(struct ctx *c, struct scoring_call *call, const struct model *m) {
    struct bytes given = call->p.params;
    if (!m->params)
        call->q.params = given.data ? arena_strndup(c->arena, given.data, given.len) : NULL;
    else if (!given.data)
        call->q.params = m->param_values;
    else
        return params_resolve(c, m->params, given, &call->q.params);
    return 0;
}

/* Columns of type binary come as base64, as MLflow's server reads them. */
static int unpack_binary(struct ctx *c, const struct model *m, struct tensor *in, size_t nin) {
    for (size_t i = 0; m->columns && i < m->nfeatures; i++) {
        if (strcmp(m->columns[i].type, "binary") != 0)
            continue;
        for (size_t k = 0; k < nin; k++) {
            struct bytes *items = in[k].data;
            if (in[k].dtype != DT_BYTES || (nin > 1 && strcmp(in[k].name, m->columns[i].name) != 0))
                continue;
            for (size_t r = 0; r < in[k].count; r++)
                if (base64_bytes(c->arena, items[r], &items[r]) < 0)
                    return fail_field(c, ERR_BAD_REQUEST, m->columns[i].name,
                                      "column '%s', row %zu is no base64, as binary columns are",
                                      m->columns[i].name, r);
        }
    }
    return 0;
}

static int bind(struct ctx *c, struct request *q, const struct model *m, struct tensor **in,
                size_t *nin) {
    struct scoring_call *call = (struct scoring_call *)q;
    struct model_inputs inputs = {m->inputs, m->ninputs, m->features, m->nfeatures};
    *nin = m->ninputs;
    int rc = bind_params(c, call, m);
    if (rc == 0)
        rc = payload_bind(c, &call->p, &inputs, in);
    return rc == 0 ? unpack_binary(c, m, *in, *nin) : rc;
}

/* Text of the first row's value of a column. */
static const char *field(struct ctx *c, const struct request *q, const char *name) {
    return payload_field(c, &((const struct scoring_call *)q)->p, name);
}

/* A param, of requests that have such. */
static const char *parameter(struct ctx *c, const struct request *q, const char *name) {
    struct bytes given = ((const struct scoring_call *)q)->p.params;
    return given.data ? params_text(c, given, name) : NULL;
}

/* MLflow makes a frame of what comes by name when the signature declares columns, and arrays of a
 * frame when it declares tensors: the answer has the form of what went in. */
static bool as_records(const struct payload *p, const struct model *m) {
    if (m && m->tensors)
        return false;
    return p->frame || (p->named && m && m->nfeatures > 0);
}

static const char *name(const struct request *q, size_t i) {
    const struct payload *p = &((const struct scoring_call *)q)->p;
    return i < p->n ? p->columns[i].name : NULL; /* one without a name is the only one */
}

static int score(struct ctx *c, const struct entry *e, struct scoring_call *call,
                 struct answer *a) {
    int rc = sagemaker_request(c, &call->q);
    if (rc == 0)
        rc = payload_scan(c, c->content_type, c->body, c->body_len, &call->p);
    call->q.rows = call->p.rows;
    if (rc == 0)
        rc = predict(c, e, &call->q, a);
    if (rc < 0)
        return rc;
    sagemaker_answered(c, a);
    print(c, a->outputs, a->n, call->p.rows, as_records(&call->p, a->model));
    return 0;
}

int scoring_invocations(struct ctx *c, const void *in_, void *out) {
    const struct scoring_in *in = in_;
    const struct entry *e = NULL;
    struct scoring_call call = {
        .q = {.bind = bind, .field = field, .name = name, .parameter = parameter}};
    struct answer a = {0};
    int64_t began = clock_mono_ns();
    (void)out;
    int rc = choose(c, snapshot_enter(), in->endpoint, &e);
    if (rc == 0)
        rc = score(c, e, &call, &a);
    door_count(c, e, &a, rc, call.q.rows, began);
    snapshot_leave();
    return rc;
}

int scoring_ping(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    const struct snapshot *s = snapshot_enter();
    bool ready = false;
    for (size_t i = 0; s && !ready && i < s->n; i++)
        ready = s->entries[i].project == c->project && s->entries[i].model;
    snapshot_leave();
    if (!ready)
        return fail(c, ERR_NOT_FOUND, "no endpoint is ready");
    reply_text(c, "application/json", "\n");
    return 0;
}
