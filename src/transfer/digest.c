/* SPDX-License-Identifier: Apache-2.0 */
#include "digest.h"

#include <jansson.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/crypto/crypto.h"
#include "quern/json/json_out.h"

bool digest_equal(const struct digest *a, const struct digest *b) {
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static void put_i64(struct sha256 *s, int64_t v) {
    sha256_add(s, &v, sizeof v);
}

static void put_opt(struct sha256 *s, struct opt_i64 v) {
    put_i64(s, v.set);
    put_i64(s, v.set ? v.v : 0);
}

static void put_text(struct sha256 *s, const char *text) {
    put_i64(s, text ? (int64_t)strlen(text) : -1);
    if (text)
        sha256_add(s, text, strlen(text));
}

static void put_texts(struct sha256 *s, const char *const *texts, size_t n) {
    for (size_t i = 0; i < n; i++)
        put_text(s, texts[i]);
}

static void put_pairs(struct sha256 *s, const struct pairs *p) {
    put_i64(s, (int64_t)p->n);
    for (size_t i = 0; i < p->n; i++) {
        put_text(s, p->items[i].key);
        put_text(s, p->items[i].value);
    }
}

static struct digest end(struct sha256 *s) {
    struct digest d;
    sha256_end(s, d.bytes);
    return d;
}

struct digest digest_experiment(const struct copy_experiment *e) {
    struct sha256 *s = sha256_new();
    put_i64(s, e->id);
    put_text(s, e->name);
    put_text(s, e->location);
    put_i64(s, e->deleted);
    put_i64(s, e->created_ms);
    put_i64(s, e->updated_ms);
    put_pairs(s, &e->tags);
    return end(s);
}

static void put_uses(struct sha256 *s, const struct copy_model_use *u, size_t n) {
    put_i64(s, (int64_t)n);
    for (size_t i = 0; i < n; i++) {
        put_text(s, u[i].model_id);
        put_i64(s, u[i].step);
    }
}

struct digest digest_run(const struct copy_run *r) {
    struct sha256 *s = sha256_new();
    put_text(s, r->id);
    put_i64(s, r->experiment);
    put_text(s, r->name);
    put_text(s, r->user);
    put_text(s, r->status);
    put_text(s, r->artifact_uri);
    put_i64(s, r->start_ms);
    put_opt(s, r->end_ms);
    put_opt(s, r->deleted_ms);
    put_pairs(s, &r->params);
    put_pairs(s, &r->tags);
    put_i64(s, (int64_t)r->ndatasets);
    for (size_t i = 0; i < r->ndatasets; i++) {
        const struct copy_dataset *d = &r->datasets[i];
        put_text(s, d->name);
        put_text(s, d->digest);
        put_text(s, d->source_type);
        put_text(s, d->source);
        put_text(s, d->schema);
        put_text(s, d->profile);
        put_pairs(s, &d->tags);
    }
    put_uses(s, r->inputs, r->ninputs);
    put_uses(s, r->outputs, r->noutputs);
    return end(s);
}

struct digest digest_model(const struct copy_model *m) {
    struct sha256 *s = sha256_new();
    put_text(s, m->id);
    put_i64(s, m->experiment);
    put_text(s, m->name);
    put_text(s, m->artifact_uri);
    put_text(s, m->status);
    put_text(s, m->type);
    put_text(s, m->source_run);
    put_i64(s, m->created_ms);
    put_i64(s, m->updated_ms);
    put_i64(s, m->deleted);
    put_pairs(s, &m->params);
    put_pairs(s, &m->tags);
    put_i64(s, (int64_t)m->nmeasures);
    for (size_t i = 0; i < m->nmeasures; i++) {
        const struct copy_measure *v = &m->measures[i];
        put_text(s, v->key);
        put_text(s, v->run_id);
        put_text(s, v->dataset_name);
        put_text(s, v->dataset_digest);
        put_i64(s, v->time_ms);
        put_i64(s, v->step);
        const double value = v->value + 0.0; /* -0.0 and 0.0 are the same number */
        sha256_add(s, &value, sizeof value);
        put_i64(s, v->is_nan);
    }
    return end(s);
}

struct digest digest_registered(const struct copy_registered *m) {
    struct sha256 *s = sha256_new();
    put_text(s, m->name);
    put_text(s, m->description);
    put_i64(s, m->created_ms);
    put_i64(s, m->updated_ms);
    put_pairs(s, &m->tags);
    put_i64(s, (int64_t)m->naliases);
    for (size_t i = 0; i < m->naliases; i++) {
        put_text(s, m->aliases[i].alias);
        put_i64(s, m->aliases[i].version);
    }
    put_i64(s, (int64_t)m->nversions);
    for (size_t i = 0; i < m->nversions; i++) {
        const struct copy_version *v = &m->versions[i];
        put_i64(s, v->version);
        put_text(s, v->source);
        put_text(s, v->storage);
        put_text(s, v->run_id);
        put_text(s, v->run_link);
        put_text(s, v->logged_model);
        put_text(s, v->description);
        put_text(s, v->stage);
        put_text(s, v->status);
        put_i64(s, v->created_ms);
        put_i64(s, v->updated_ms);
        put_pairs(s, &v->tags);
    }
    return end(s);
}

static void put_span(struct sha256 *s, const struct copy_span *p) {
    put_text(s, p->id);
    put_text(s, p->parent);
    put_text(s, p->name);
    put_text(s, p->type);
    put_text(s, p->status);
    put_i64(s, p->start_ns);
    put_i64(s, p->end_ns);
    put_text(s, p->content);
}

static void put_assessment(struct sha256 *s, const struct copy_assessment *a) {
    const char *texts[] = {a->id,        a->name,        a->kind,      a->value,
                           a->error,     a->span_id,     a->rationale, a->metadata,
                           a->overrides, a->source_type, a->source_id};
    put_texts(s, texts, ARRAY_LEN(texts));
    put_i64(s, a->valid);
    put_i64(s, a->created_ms);
    put_i64(s, a->updated_ms);
}

struct digest digest_trace(const struct copy_trace *t) {
    struct sha256 *s = sha256_new();
    put_text(s, t->id);
    put_i64(s, t->experiment);
    put_i64(s, t->timestamp_ms);
    put_opt(s, t->execution_ms);
    put_text(s, t->state);
    put_text(s, t->client_request_id);
    put_text(s, t->request_preview);
    put_text(s, t->response_preview);
    put_pairs(s, &t->tags);
    put_pairs(s, &t->metadata);
    put_i64(s, (int64_t)t->runs.n);
    for (size_t i = 0; i < t->runs.n; i++)
        put_text(s, t->runs.items[i]);
    put_i64(s, (int64_t)t->nspans);
    for (size_t i = 0; i < t->nspans; i++)
        put_span(s, &t->spans[i]);
    put_i64(s, (int64_t)t->nassessments);
    for (size_t i = 0; i < t->nassessments; i++)
        put_assessment(s, &t->assessments[i]);
    return end(s);
}

struct digest digest_evaluation(const struct copy_evaluation *e) {
    struct sha256 *s = sha256_new();
    const char *texts[] = {e->id, e->name, e->digest, e->schema, e->created_by, e->updated_by};
    put_texts(s, texts, ARRAY_LEN(texts));
    put_i64(s, e->created_ms);
    put_i64(s, e->updated_ms);
    put_pairs(s, &e->tags);
    put_i64(s, (int64_t)e->nexperiments);
    for (size_t i = 0; i < e->nexperiments; i++)
        put_i64(s, e->experiments[i]);
    put_i64(s, (int64_t)e->nrecords);
    for (size_t i = 0; i < e->nrecords; i++) {
        const struct copy_record *r = &e->records[i];
        const char *parts[] = {r->id,           r->inputs, r->tags,       r->outputs,
                               r->expectations, r->source, r->created_by, r->updated_by};
        put_texts(s, parts, ARRAY_LEN(parts));
        put_i64(s, r->created_ms);
        put_i64(s, r->updated_ms);
    }
    return end(s);
}

/* Servers tell it in another form than it was registered in. */
static void put_json(struct sha256 *s, const char *text) {
    struct buf form = {0};
    json_t *v = text ? json_loads(text, 0, NULL) : NULL;
    json_put(&form, v, JSON_TIGHT);
    put_text(s, v ? form.data : text);
    buf_free(&form);
    json_decref(v);
}

struct digest digest_scorer(const struct copy_scorer *in) {
    struct sha256 *s = sha256_new();
    put_text(s, in->id);
    put_text(s, in->name);
    put_i64(s, in->experiment);
    put_i64(s, (int64_t)in->nversions);
    for (size_t i = 0; i < in->nversions; i++) {
        put_i64(s, in->versions[i].version);
        put_i64(s, in->versions[i].created_ms);
        put_json(s, in->versions[i].content);
    }
    return end(s);
}

struct digest digest_issue(const struct copy_issue *in) {
    struct sha256 *s = sha256_new();
    const char *texts[] = {in->id,         in->name,        in->description,
                           in->status,     in->severity,    in->source_run,
                           in->created_by, in->root_causes, in->categories};
    put_texts(s, texts, ARRAY_LEN(texts));
    put_i64(s, in->experiment);
    put_i64(s, in->created_ms);
    put_i64(s, in->updated_ms);
    return end(s);
}

void digest_points_begin(struct digest_points *d) {
    *d = (struct digest_points){.sha = sha256_new()};
}

int digest_points_add(void *arg, const struct copy_point *p, size_t n) {
    struct digest_points *d = arg;
    for (size_t i = 0; i < n; i++) {
        /* One call per point: four numbers and the key's length, then the key. */
        int64_t head[5] = {(int64_t)strlen(p[i].key), p[i].time_ms, p[i].step, p[i].is_nan, 0};
        double value = p[i].value + 0.0; /* as of a model's metrics */
        memcpy(&head[4], &value, sizeof value);
        sha256_add(d->sha, head, sizeof head);
        sha256_add(d->sha, p[i].key, (size_t)head[0]);
    }
    d->n += (int64_t)n;
    return 0;
}

struct digest digest_points_end(struct digest_points *d) {
    return end(d->sha);
}
