/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/metric/metric.h"

/* Laid out twice by the same steps: without a base to learn the size, then into the block. */
struct layout {
    char *base;
    size_t n;
};

static void *place(struct layout *l, const void *from, size_t n) {
    l->n = (l->n + 15) & ~(size_t)15;
    char *to = l->base ? l->base + l->n : NULL;
    l->n += n;
    if (to && n && from)
        memcpy(to, from, n);
    return to;
}

static const char *text(struct layout *l, const char *s) {
    return place(l, s ? s : "", s ? strlen(s) + 1 : 1);
}

static bool is_redacted(const struct prediction_log *log, const char *name) {
    for (size_t i = 0; name && i < log->redact.n; i++)
        if (strcmp(log->redact.items[i], name) == 0)
            return true;
    return false;
}

static size_t weight(const struct tensor *t) {
    size_t n = t->count * dtype_size(t->dtype);
    const struct bytes *b = t->data;
    for (size_t i = 0; t->dtype == DT_BYTES && i < t->count && n <= CAPTURE_MOST; i++)
        n += b[i].len;
    return n;
}

static size_t weight_all(const struct tensor *t, size_t n) {
    size_t all = 0;
    for (size_t i = 0; i < n && all <= CAPTURE_MOST; i++)
        all += weight(&t[i]);
    return all;
}

static void copy_strings(struct layout *l, struct bytes *to, const struct bytes *from, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const char *data = place(l, from[i].data, from[i].len);
        if (to)
            to[i] = (struct bytes){data, from[i].len};
    }
}

static void copy_tensor(struct layout *l, struct tensor *to, const struct tensor *t) {
    const char *name = text(l, t->name);
    void *data = place(l, t->data, t->count * dtype_size(t->dtype));
    if (t->dtype == DT_BYTES)
        copy_strings(l, data, t->data, t->count);
    const char **classes = NULL;
    size_t nclasses = t->classes && t->rank ? (size_t)t->shape[t->rank - 1] : 0;
    if (nclasses)
        classes = place(l, NULL, nclasses * sizeof *classes);
    for (size_t i = 0; i < nclasses; i++) {
        const char *label = text(l, t->classes[i]);
        if (classes)
            classes[i] = label;
    }
    if (!to)
        return;
    *to = *t;
    to->name = name;
    to->data = data;
    to->classes = classes;
}

static const struct tensor *copy_tensors(struct layout *l, const struct prediction_log *log,
                                         const struct tensor *from, size_t *n) {
    struct tensor *to = place(l, NULL, *n * sizeof *to);
    size_t kept = 0;
    for (size_t i = 0; i < *n; i++)
        if (!is_redacted(log, from[i].name))
            copy_tensor(l, to ? &to[kept] : NULL, &from[i]), kept++;
    *n = kept;
    return to;
}

/* Redacted columns have no name. */
static const char *const *copy_columns(struct layout *l, const struct prediction_log *log,
                                       const char *const *from, size_t n) {
    const char **to = place(l, NULL, n * sizeof *to);
    for (size_t i = 0; i < n; i++) {
        const char *name = is_redacted(log, from[i]) ? NULL : text(l, from[i]);
        if (to)
            to[i] = name;
    }
    return to;
}

static void copy_redacted(struct layout *l, const struct prediction_log *log, struct capture *k) {
    const char **to = place(l, NULL, log->redact.n * sizeof *to);
    for (size_t i = 0; i < log->redact.n; i++) {
        const char *name = text(l, log->redact.items[i]);
        if (to)
            to[i] = name;
    }
    if (k) {
        k->redacted = to;
        k->nredacted = log->redact.n;
    }
}

static struct capture *lay(struct layout *l, const struct prediction_log *log,
                           const struct prediction_fact *f) {
    struct capture *k = place(l, NULL, sizeof *k);
    struct prediction_fact to = *f;
    bool inputs = !log->inputs.set || log->inputs.v, outputs = !log->outputs.set || log->outputs.v;
    bool lone = inputs && f->ncolumns && f->ninputs == 1 && f->inputs[0].rank == 2 &&
                f->inputs[0].shape[1] == (int64_t)f->ncolumns;
    bool large = (inputs ? weight_all(f->inputs, f->ninputs) : 0) +
                     (outputs ? weight_all(f->outputs, f->noutputs) : 0) >
                 CAPTURE_MOST;
    to.ninputs = inputs && !large ? f->ninputs : 0;
    to.noutputs = outputs && !large ? f->noutputs : 0;
    to.ncolumns = lone && !large ? f->ncolumns : 0;
    to.endpoint = text(l, f->endpoint);
    to.model = text(l, f->model);
    to.arm = text(l, f->arm);
    to.reason = text(l, f->reason);
    to.kind = text(l, f->kind ? f->kind : "answer");
    to.key = f->key ? text(l, f->key) : NULL;
    to.inputs = copy_tensors(l, log, f->inputs, &to.ninputs);
    to.outputs = copy_tensors(l, log, f->outputs, &to.noutputs);
    if (!to.ninputs)
        to.ncolumns = 0; /* the matrix itself was left out */
    to.columns = copy_columns(l, log, f->columns, to.ncolumns);
    copy_redacted(l, log, k);
    if (k) {
        k->f = to;
        k->too_large = large;
    }
    return k;
}

struct capture *capture_new(const struct prediction_log *log, const char *id,
                            const struct prediction_fact *f) {
    struct layout l = {0};
    lay(&l, log, f);
    size_t bytes = l.n;
    if (!ring_reserve(bytes))
        return NULL;
    l.base = mem_realloc(NULL, bytes);
    l.n = 0;
    struct capture *k = lay(&l, log, f);
    k->bytes = bytes;
    memcpy(k->id, id, PREDICTION_ID_SIZE);
    return k;
}

void capture_free(struct capture *k) {
    free(k);
}

bool prediction_record(const struct prediction_log *log, const char *id,
                       const struct prediction_fact *f) {
    if (!prediction_sampled(log, id))
        return true;
    static _Atomic(struct metric_cell *) dropped;
    struct capture *k = capture_new(log, id, f);
    if (k) {
        ring_put(k);
        return true;
    }
    struct metric_cell *cell = atomic_load(&dropped);
    if (!cell)
        atomic_store(&dropped, cell = metric_cell(METRIC_PREDICTIONS_DROPPED, "ring", NULL, NULL));
    metric_cell_add(cell, 1);
    return false;
}
