/* SPDX-License-Identifier: Apache-2.0 */
/* TensorFlow Serving's REST protocol: predictions, status, metadata; and the questions of KServe's
 * first protocol, which stand at the same paths. */
#include <string.h>

#include "divert.h"
#include "doors.h"
#include "model.h"
#include "params.h"
#include "plan.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/http/server.h"
#include "tensor_print.h"
#include "tfs.h"

SHAPE(shape_tfs_model, "ServedModelPath", struct tfs_in,
      FIELD(struct tfs_in, model, T_STR, F_PATH | F_REQUIRED, "The endpoint's name"));
SHAPE(shape_tfs_version, "ServedVersionPath", struct tfs_in,
      FIELD(struct tfs_in, model, T_STR, F_PATH | F_REQUIRED, "The endpoint's name"),
      FIELD(struct tfs_in, version, T_STR, F_PATH | F_REQUIRED, "A version that it serves"));
SHAPE(shape_tfs_label, "ServedLabelPath", struct tfs_in,
      FIELD(struct tfs_in, model, T_STR, F_PATH | F_REQUIRED, "The endpoint's name"),
      FIELD(struct tfs_in, label, T_STR, F_PATH | F_REQUIRED,
            "An arm, or the alias that an arm follows"));

struct tfs_call {
    struct request q; /* first: bind gets it */
    struct tfs_body body;
};

static int bind(struct ctx *c, struct request *q, const struct model *m, struct tensor **in,
                size_t *nin) {
    struct tfs_call *call = (struct tfs_call *)q;
    struct model_inputs inputs = {m->inputs, m->ninputs, m->features, m->nfeatures};
    *nin = m->ninputs;
    return payload_bind(c, &call->body.p, &inputs, in);
}

static const char *field(struct ctx *c, const struct request *q, const char *name) {
    return payload_field(c, &((const struct tfs_call *)q)->body.p, name);
}

static const char *parameter(struct ctx *c, const struct request *q, const char *name) {
    struct bytes given = ((const struct tfs_call *)q)->body.more;
    return given.data ? params_text(c, given, name) : NULL;
}

static const char *name(const struct request *q, size_t i) {
    const struct payload *p = &((const struct tfs_call *)q)->body.p;
    return i < p->n ? p->columns[i].name : NULL; /* one without a name is the only one */
}

/* A label is an arm's name, or the alias in its target. NULL: there is none. */
static const struct entry_arm *of_label(const struct entry *e, const char *label) {
    for (size_t i = 0; i < e->narms; i++)
        if (strcmp(e->arms[i].name, label) == 0)
            return &e->arms[i];
    const struct arm_spec *specs = e->plan ? e->plan->spec.arms.items : NULL;
    for (size_t i = 0; specs && i < e->plan->spec.arms.n; i++) {
        const char *alias = specs[i].target ? strrchr(specs[i].target, '@') : NULL;
        for (size_t k = 0; alias && strcmp(alias + 1, label) == 0 && k < e->narms; k++)
            if (strcmp(e->arms[k].name, specs[i].name) == 0)
                return &e->arms[k];
    }
    return NULL;
}

static int no_label(struct ctx *c, const struct tfs_in *in) {
    return fail(c, ERR_NOT_FOUND, "endpoint '%s' has no label '%.64s'", in->model, in->label);
}

static int run(struct ctx *c, enum tfs_verb verb, const struct tfs_in *in, const struct entry *e,
               struct tfs_call *call, struct answer *a) {
    if (in->label) {
        const struct entry_arm *arm = of_label(e, in->label);
        if (!arm)
            return no_label(c, in);
        call->q.arm = arm->name;
    }
    int rc = tfs_scan(c, verb, c->body, c->body_len, &call->body);
    call->q.rows = call->body.p.rows;
    if (call->body.more.data)
        call->q.params = arena_strndup(c->arena, call->body.more.data, call->body.more.len);
    if (rc == 0)
        rc = predict(c, e, &call->q, a);
    if (rc == 0)
        rc = tfs_print(c, verb, &call->body, a->outputs, a->n);
    return rc;
}

static int answer(struct ctx *c, enum tfs_verb verb, const struct tfs_in *in) {
    const struct entry *e = NULL;
    struct tfs_call call = {.q = {.version = in->version,
                                  .bind = bind,
                                  .field = field,
                                  .parameter = parameter,
                                  .name = name}};
    struct answer a = {0};
    int64_t began = clock_mono_ns();
    int rc = door_find_answering(c, snapshot_enter(), in->model, &e);
    if (rc == 0)
        rc = run(c, verb, in, e, &call, &a);
    door_count(c, e, &a, rc, call.q.rows, began);
    snapshot_leave();
    return rc;
}

int tfs_predict(struct ctx *c, const void *in, void *out) {
    (void)out;
    return answer(c, TFS_PREDICT, in);
}
int tfs_classify(struct ctx *c, const void *in, void *out) {
    (void)out;
    return answer(c, TFS_CLASSIFY, in);
}
int tfs_regress(struct ctx *c, const void *in, void *out) {
    (void)out;
    return answer(c, TFS_REGRESS, in);
}

int divert_tfs(struct call *k) {
    const struct tfs_in *in = call_in(k);
    return divert_to(k, in->model);
}

/* ---- status ---- */

static bool usable(const struct entry_arm *a) {
    return a->model || (a->idle && !a->parked);
}

static const char *state_of(const struct entry_arm *a) {
    if (usable(a))
        return "AVAILABLE";
    if (a->parked)
        return "END";
    return strcmp(a->state, "loading") == 0  ? "LOADING"
           : strcmp(a->state, "failed") == 0 ? "END"
                                             : "START";
}

static void put_status(struct text *t, const struct entry_arm *a) {
    const char *reason = a->parked && !a->model ? "unloaded" : a->reason;
    const char *version = a->model ? a->model->version_text : "0";
    text_puts(t, "{\"version\":");
    text_string(t, version, strlen(version));
    text_puts(t, ",\"state\":\"");
    text_puts(t, state_of(a));
    text_puts(t, *reason && !a->model ? "\",\"status\":{\"error_code\":\"UNAVAILABLE\","
                                      : "\",\"status\":{\"error_code\":\"OK\",");
    text_puts(t, "\"error_message\":");
    text_string(t, reason, strlen(reason));
    text_puts(t, "}}");
}

static bool is_asked(const struct entry *e, const struct entry_arm *a, const struct tfs_in *in) {
    if (in->label)
        return a == of_label(e, in->label);
    return !in->version || (a->model && strcmp(a->model->version_text, in->version) == 0);
}

/* `model_version_status` is TensorFlow Serving's, `name` and `ready` are KServe's. */
int tfs_status(struct ctx *c, const void *in_, void *out) {
    const struct tfs_in *in = in_;
    struct text t;
    bool any = false, ready = false;
    int rc = 0;
    (void)out;
    text_init(&t, c->arena, 256);
    text_puts(&t, "{\"model_version_status\":[");
    const struct snapshot *s = snapshot_enter();
    const struct entry *e = snapshot_find(s, c->project, in->model);
    for (size_t i = 0; e && i < e->narms; i++) {
        const struct entry_arm *a = &e->arms[i];
        if (!is_asked(e, a, in))
            continue;
        text_puts(&t, any ? "," : "");
        put_status(&t, a);
        any = true;
        ready = ready || usable(a);
    }
    if (!e)
        rc = fail(c, ERR_NOT_FOUND, "no endpoint '%.200s'", in->model);
    else if (!any && in->label)
        rc = no_label(c, in);
    else if (!any)
        rc = fail(c, ERR_NOT_FOUND, "endpoint '%s' does not serve version '%.40s'", in->model,
                  in->version);
    snapshot_leave();
    if (rc < 0)
        return rc;
    text_puts(&t, "],\"name\":");
    text_string(&t, in->model, strlen(in->model));
    text_puts(&t, ready ? ",\"ready\":true}" : ",\"ready\":false}");
    reply_bytes(c, "application/json", t.data, t.len);
    return 0;
}

/* ---- metadata ---- */

static const char *dtype_of(enum dtype t) {
    static const char *const names[DT_COUNT] = {
        [DT_BOOL] = "DT_BOOL",     [DT_UINT8] = "DT_UINT8",   [DT_UINT16] = "DT_UINT16",
        [DT_UINT32] = "DT_UINT32", [DT_UINT64] = "DT_UINT64", [DT_INT8] = "DT_INT8",
        [DT_INT16] = "DT_INT16",   [DT_INT32] = "DT_INT32",   [DT_INT64] = "DT_INT64",
        [DT_FP16] = "DT_HALF",     [DT_FP32] = "DT_FLOAT",    [DT_FP64] = "DT_DOUBLE",
        [DT_BF16] = "DT_BFLOAT16", [DT_BYTES] = "DT_STRING"};
    return names[t];
}

static void put_specs(struct text *t, const char *key, const struct tensor_spec *specs, size_t n) {
    text_puts(t, key);
    for (size_t i = 0; i < n; i++) {
        text_puts(t, i ? "," : "");
        text_string(t, specs[i].name, strlen(specs[i].name));
        text_puts(t, ":{\"dtype\":\"");
        text_puts(t, dtype_of(specs[i].dtype));
        text_puts(t, "\",\"tensor_shape\":{\"dim\":[");
        for (size_t d = 0; d < specs[i].rank; d++) {
            text_puts(t, d ? ",{\"size\":\"" : "{\"size\":\"");
            text_i64(t, specs[i].shape[d]);
            text_puts(t, "\",\"name\":\"\"}");
        }
        text_puts(t, "],\"unknown_rank\":false},\"name\":");
        text_string(t, specs[i].name, strlen(specs[i].name));
        text_puts(t, "}");
    }
    text_puts(t, "}");
}

static void put_metadata(struct text *t, const struct entry *e, const struct model *m) {
    text_puts(t, "{\"model_spec\":{\"name\":");
    text_string(t, e->name, strlen(e->name));
    text_puts(t, ",\"signature_name\":\"\",\"version\":");
    text_string(t, m->version_text, strlen(m->version_text));
    text_puts(t, "},\"metadata\":{\"signature_def\":{\"signature_def\":{\"serving_default\":{");
    put_specs(t, "\"inputs\":{", m->inputs, m->ninputs);
    put_specs(t, ",\"outputs\":{", m->outputs, m->noutputs);
    text_puts(t, ",\"method_name\":\"tensorflow/serving/predict\"}}}}}");
}

int tfs_metadata(struct ctx *c, const void *in_, void *out) {
    const struct tfs_in *in = in_;
    const struct entry *e;
    struct text t;
    (void)out;
    text_init(&t, c->arena, 1024);
    int rc = door_find(c, snapshot_enter(), in->model, &e);
    if (rc == 0) {
        const struct model *m = NULL;
        for (size_t i = 0; !m && i < e->narms; i++)
            if (is_asked(e, &e->arms[i], in))
                m = e->arms[i].model;
        if (m)
            put_metadata(&t, e, m);
        else if (in->label)
            rc = no_label(c, in);
        else
            rc = fail(c, ERR_NOT_FOUND, "endpoint '%s' does not serve version '%.40s'", in->model,
                      in->version);
    }
    snapshot_leave();
    if (rc == 0)
        reply_bytes(c, "application/json", t.data, t.len);
    return rc;
}
