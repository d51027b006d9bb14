/* SPDX-License-Identifier: Apache-2.0 */
/* The Open Inference Protocol's statistics extension. */
#include <inttypes.h>
#include <string.h>

#include "doors.h"
#include "graph.h"
#include "model.h"
#include "plan.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "tensor_print.h"

static uint64_t read(const _Atomic uint64_t *v) {
    return atomic_load_explicit((_Atomic uint64_t *)v, memory_order_relaxed);
}

static void put_count(struct text *t, const char *key, uint64_t v) {
    text_puts(t, key);
    text_i64(t, (int64_t)v);
}

static void put_span(struct text *t, const char *key, const struct span *s) {
    text_puts(t, key);
    put_count(t, ":{\"count\":", read(&s->count));
    put_count(t, ",\"ns\":", read(&s->ns));
    text_puts(t, "}");
}

static const char *const phases[PHASE_COUNT] = {
    [PHASE_SUCCESS] = "\"success\"",      [PHASE_FAIL] = ",\"fail\"",
    [PHASE_QUEUE] = ",\"queue\"",         [PHASE_INPUT] = ",\"compute_input\"",
    [PHASE_INFER] = ",\"compute_infer\"", [PHASE_OUTPUT] = ",\"compute_output\"",
    [PHASE_CACHE_HIT] = ",\"cache_hit\"", [PHASE_CACHE_MISS] = ",\"cache_miss\""};

static void put_batches(struct text *t, const struct tally *y) {
    bool first = true;
    text_puts(t, ",\"batch_stats\":[");
    for (size_t i = 0; i < TALLY_BATCHES; i++) {
        if (!read(&y->batches[i].count))
            continue;
        put_count(t, first ? "{\"batch_size\":" : ",{\"batch_size\":", tally_batch_size(i));
        put_span(t, ",\"compute_infer\"", &y->batches[i]);
        text_puts(t, "}");
        first = false;
    }
    text_puts(t, "]");
}

/* Of an arm that is a graph: what its nodes took. */
static void put_nodes(struct text *t, const struct model *m) {
    struct graph_figures *nodes = NULL;
    size_t n = graph_nodes(t->arena, m, &nodes);
    if (!n)
        return;
    text_puts(t, ",\"nodes\":[");
    for (size_t i = 0; i < n; i++) {
        text_puts(t, i ? ",{\"name\":" : "{\"name\":");
        text_string(t, nodes[i].name, strlen(nodes[i].name));
        put_count(t, ",\"execution_count\":", nodes[i].runs);
        put_count(t, ",\"failed\":", nodes[i].failed);
        put_count(t, ",\"ns\":", nodes[i].ns);
        text_puts(t, "}");
    }
    text_puts(t, "]");
}

static void put_arm(struct text *t, const struct entry *e, const struct entry_arm *a) {
    const struct tally *y = &a->live->tally;
    uint64_t runs = 0;
    for (size_t i = 0; i < TALLY_BATCHES; i++)
        runs += read(&y->batches[i].count);
    text_puts(t, "{\"name\":");
    text_string(t, e->name, strlen(e->name));
    text_puts(t, ",\"version\":");
    text_string(t, a->model ? a->model->version_text : "",
                a->model ? strlen(a->model->version_text) : 0);
    text_puts(t, ",\"arm\":");
    text_string(t, a->name, strlen(a->name));
    put_count(t, ",\"last_inference\":",
              (uint64_t)atomic_load_explicit((_Atomic int64_t *)&y->last_ms, memory_order_relaxed));
    put_count(t, ",\"inference_count\":", read(&y->rows));
    put_count(t, ",\"execution_count\":", runs);
    text_puts(t, ",\"inference_stats\":{");
    for (size_t i = 0; i < PHASE_COUNT; i++)
        put_span(t, phases[i], &y->phases[i]);
    text_puts(t, "}");
    put_batches(t, y);
    put_nodes(t, a->model);
    text_puts(t, ",\"response_stats\":{},\"memory_usage\":[");
    if (a->model)
        put_count(t, "{\"type\":\"CPU\",\"id\":0,\"byte_size\":", (uint64_t)a->model->bytes);
    text_puts(t, a->model ? "}]}" : "]}");
}

static void put_entry(struct text *t, const struct entry *e, const char *version, bool *first) {
    for (size_t i = 0; i < e->narms; i++) {
        const struct entry_arm *a = &e->arms[i];
        if (version && !(a->model && strcmp(a->model->version_text, version) == 0))
            continue;
        if (!*first)
            text_put(t, ",", 1);
        *first = false;
        put_arm(t, e, a);
    }
}

int oip_stats(struct ctx *c, const void *in_, void *out) {
    const struct oip_model_in *in = in_;
    struct text t;
    bool first = true;
    int rc = 0;
    (void)out;
    text_init(&t, c->arena, 1024);
    text_puts(&t, "{\"model_stats\":[");
    const struct snapshot *s = snapshot_enter();
    if (in) {
        const struct entry *e = snapshot_find(s, c->project, in->model);
        if (!e)
            rc = fail(c, ERR_NOT_FOUND, "no endpoint '%.200s'", in->model);
        else
            put_entry(&t, e, in->version, &first);
        if (rc == 0 && first)
            rc = fail(c, ERR_NOT_FOUND, "endpoint '%s' does not serve version '%.40s'", in->model,
                      in->version);
    } else {
        for (size_t i = 0; s && i < s->n; i++)
            if (s->entries[i].project == c->project)
                put_entry(&t, &s->entries[i], NULL, &first);
    }
    snapshot_leave();
    if (rc < 0)
        return rc;
    text_puts(&t, "]}");
    reply_bytes(c, "application/json", t.data, t.len);
    return 0;
}
