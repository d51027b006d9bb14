/* SPDX-License-Identifier: Apache-2.0 */
/* The Open Inference Protocol's questions about server and models. Health answers carry a body: one
 * family of clients looks at the status, the other at the JSON. */
#include <string.h>

#include "doors.h"
#include "json_scan.h"
#include "model.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "tensor_print.h"

SHAPE(shape_oip_model, "InferenceModelPath", struct oip_model_in,
      FIELD(struct oip_model_in, model, T_STR, F_PATH | F_REQUIRED, "The endpoint's name"));
SHAPE(shape_oip_version, "InferenceVersionPath", struct oip_model_in,
      FIELD(struct oip_model_in, model, T_STR, F_PATH | F_REQUIRED, "The endpoint's name"),
      FIELD(struct oip_model_in, version, T_STR, F_PATH | F_REQUIRED,
            "The model version that must be the one that serves"));

static int answer(struct ctx *c, const struct text *t) {
    reply_bytes(c, "application/json", t->data, t->len);
    return 0;
}

int oip_server(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    reply_text(c, "application/json",
               "{\"name\":\"quern\",\"version\":\"" QUERN_VERSION
               "\",\"extensions\":[\"model_repository\",\"binary_tensor_data\"]}");
    return 0;
}

int oip_live(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    reply_text(c, "application/json", "{\"live\":true}");
    return 0;
}

int oip_ready(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    const struct snapshot *s = snapshot_enter();
    bool yes = s && s->settled;
    snapshot_leave();
    if (!yes)
        return fail(c, ERR_NOT_READY, "endpoints are still being loaded after the start");
    reply_text(c, "application/json", "{\"live\":true,\"ready\":true}");
    return 0;
}

int oip_models(struct ctx *c, const void *in, void *out) {
    struct text t;
    (void)in;
    (void)out;
    text_init(&t, c->arena, 256);
    text_puts(&t, "{\"models\":[");
    const struct snapshot *s = snapshot_enter();
    bool first = true;
    for (size_t i = 0; s && i < s->n; i++) {
        if (s->entries[i].project != c->project)
            continue;
        if (!first)
            text_puts(&t, ",");
        first = false;
        text_string(&t, s->entries[i].name, strlen(s->entries[i].name));
    }
    snapshot_leave();
    text_puts(&t, "]}");
    return answer(c, &t);
}

static int find(struct ctx *c, const struct snapshot *s, const struct oip_model_in *in,
                const struct entry **e) {
    int rc = door_find(c, s, in->model, e);
    if (rc == 0 && in->version && strcmp(in->version, (*e)->model->version_text) != 0)
        rc = fail(c, ERR_NOT_FOUND, "endpoint '%s' serves version %s, not '%.40s'", in->model,
                  (*e)->model->version_text, in->version);
    return rc;
}

int oip_model_ready(struct ctx *c, const void *in_, void *out) {
    const struct oip_model_in *in = in_;
    const struct entry *e;
    struct text t;
    (void)out;
    int rc = find(c, snapshot_enter(), in, &e);
    snapshot_leave();
    if (rc < 0)
        return rc;
    text_init(&t, c->arena, 256);
    text_puts(&t, "{\"name\":");
    text_string(&t, in->model, strlen(in->model));
    text_puts(&t, ",\"ready\":true}");
    return answer(c, &t);
}

static void put_specs(struct text *t, const char *key, const struct tensor_spec *specs, size_t n) {
    text_puts(t, key);
    for (size_t i = 0; i < n; i++) {
        text_puts(t, i ? ",{\"name\":" : "{\"name\":");
        text_string(t, specs[i].name, strlen(specs[i].name));
        text_puts(t, ",\"datatype\":\"");
        text_puts(t, dtype_name(specs[i].dtype));
        text_puts(t, "\",\"shape\":");
        text_shape(t, specs[i].shape, specs[i].rank);
        text_puts(t, "}");
    }
    text_puts(t, "]");
}

int oip_metadata(struct ctx *c, const void *in_, void *out) {
    const struct oip_model_in *in = in_;
    const struct entry *e;
    struct text t;
    (void)out;
    text_init(&t, c->arena, 1024);
    int rc = find(c, snapshot_enter(), in, &e);
    if (rc == 0) {
        text_puts(&t, "{\"name\":");
        text_string(&t, e->name, strlen(e->name));
        text_puts(&t, ",\"versions\":[");
        text_string(&t, e->model->version_text, strlen(e->model->version_text));
        text_puts(&t, "],\"platform\":");
        text_string(&t, e->model->platform, strlen(e->model->platform));
        put_specs(&t, ",\"inputs\":[", e->model->inputs, e->model->ninputs);
        put_specs(&t, ",\"outputs\":[", e->model->outputs, e->model->noutputs);
        text_puts(&t, "}");
    }
    snapshot_leave();
    return rc < 0 ? rc : answer(c, &t);
}

/* {"ready": bool}, or nothing. */
static int scan_index(struct ctx *c, bool *only_ready) {
    struct scan s;
    *only_ready = false;
    scan_init(&s, c, c->body, c->body_len);
    if (scan_peek(&s) == 0)
        return 0;
    int rc = scan_enter(&s, '{');
    for (bool first = true; rc == 0 && (rc = scan_more(&s, '}', &first)) > 0;) {
        struct bytes key;
        rc = scan_key(&s, &key);
        if (rc == 0)
            rc = bytes_eq(key, "ready") ? scan_bool(&s, only_ready) : scan_skip(&s);
    }
    return rc == 0 ? scan_end(&s) : rc;
}

static void put_index(struct text *t, const struct entry *e) {
    bool loading = strcmp(e->state, "loading") == 0 || strcmp(e->state, "pending") == 0;
    text_puts(t, "{\"name\":");
    text_string(t, e->name, strlen(e->name));
    if (e->model) {
        text_puts(t, ",\"version\":");
        text_string(t, e->model->version_text, strlen(e->model->version_text));
    }
    text_puts(t, e->model  ? ",\"state\":\"READY\",\"reason\":"
                 : loading ? ",\"state\":\"LOADING\",\"reason\":"
                           : ",\"state\":\"UNAVAILABLE\",\"reason\":");
    text_string(t, e->reason, strlen(e->reason));
    text_puts(t, "}");
}

int oip_index(struct ctx *c, const void *in, void *out) {
    struct text t;
    bool only_ready, first = true;
    (void)in;
    (void)out;
    int rc = scan_index(c, &only_ready);
    if (rc < 0)
        return rc;
    text_init(&t, c->arena, 1024);
    text_puts(&t, "[");
    const struct snapshot *s = snapshot_enter();
    for (size_t i = 0; s && i < s->n; i++) {
        const struct entry *e = &s->entries[i];
        if (e->project != c->project || (only_ready && !e->model))
            continue;
        if (!first)
            text_puts(&t, ",");
        first = false;
        put_index(&t, e);
    }
    snapshot_leave();
    text_puts(&t, "]");
    return answer(c, &t);
}
