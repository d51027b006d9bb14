/* SPDX-License-Identifier: Apache-2.0 */
/* The Open Inference Protocol's questions about server and models. Health answers carry a body: one
 * family of clients looks at the status, the other at the JSON. */
#include <string.h>

#include "doors.h"
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
               "\",\"extensions\":[\"classification\",\"model_repository\",\"model_configuration\","
               "\"binary_tensor_data\",\"parameters\",\"statistics\"]}");
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

/* The arm that is asked for, with its model. */
static int find(struct ctx *c, const struct snapshot *s, const struct oip_model_in *in,
                const struct entry **e, const struct entry_arm **arm) {
    int rc = door_find(c, s, in->model, e);
    for (size_t i = 0; rc == 0 && i < (*e)->narms; i++) {
        *arm = &(*e)->arms[i];
        if ((*arm)->model &&
            (!in->version || strcmp(in->version, (*arm)->model->version_text) == 0))
            return 0;
    }
    return rc < 0 ? rc
                  : fail(c, ERR_NOT_FOUND, "endpoint '%s' serves version %s, not '%.40s'",
                         in->model, (*e)->model->version_text, in->version);
}

/* A model that left memory because others needed the room is ready: asking for it loads it. */
static bool is_idle(const struct ctx *c, const struct snapshot *s, const char *model) {
    const struct entry *e = snapshot_find(s, c->project, model);
    for (size_t i = 0; e && !e->model && i < e->narms; i++)
        if (e->arms[i].idle && !e->arms[i].parked)
            return true;
    return false;
}

int oip_model_ready(struct ctx *c, const void *in_, void *out) {
    const struct oip_model_in *in = in_;
    const struct entry *e;
    const struct entry_arm *arm;
    struct text t;
    (void)out;
    const struct snapshot *s = snapshot_enter();
    int rc = !in->version && is_idle(c, s, in->model) ? 0 : find(c, s, in, &e, &arm);
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

static void put_versions(struct text *t, const struct entry *e) {
    bool first = true;
    text_puts(t, ",\"versions\":[");
    for (size_t i = 0; i < e->narms; i++) {
        const struct model *m = e->arms[i].model;
        bool again = false;
        for (size_t k = 0; m && k < i; k++)
            again = again || (e->arms[k].model && e->arms[k].model->version == m->version);
        if (!m || again)
            continue;
        if (!first)
            text_put(t, ",", 1);
        first = false;
        text_string(t, m->version_text, strlen(m->version_text));
    }
    text_puts(t, "]");
}

int oip_metadata(struct ctx *c, const void *in_, void *out) {
    const struct oip_model_in *in = in_;
    const struct entry *e;
    const struct entry_arm *arm;
    struct text t;
    (void)out;
    text_init(&t, c->arena, 1024);
    int rc = find(c, snapshot_enter(), in, &e, &arm);
    if (rc == 0) {
        const struct model *m = arm->model;
        text_puts(&t, "{\"name\":");
        text_string(&t, e->name, strlen(e->name));
        put_versions(&t, e);
        text_puts(&t, ",\"platform\":");
        text_string(&t, m->platform, strlen(m->platform));
        put_specs(&t, ",\"inputs\":[", m->inputs, m->ninputs);
        put_specs(&t, ",\"outputs\":[", m->outputs, m->noutputs);
        text_puts(&t, "}");
    }
    snapshot_leave();
    return rc < 0 ? rc : answer(c, &t);
}

/* ---- model configuration ---- */

/* The names of datatypes in a model's configuration. */
static const char *config_type(enum dtype t) {
    return t == DT_BYTES ? "STRING" : dtype_name(t);
}

static void put_config_specs(struct text *t, const char *key, const struct tensor_spec *specs,
                             size_t n, bool inputs) {
    text_puts(t, key);
    for (size_t i = 0; i < n; i++) {
        text_puts(t, i ? ",{\"name\":" : "{\"name\":");
        text_string(t, specs[i].name, strlen(specs[i].name));
        text_puts(t, ",\"data_type\":\"TYPE_");
        text_puts(t, config_type(specs[i].dtype));
        text_puts(t, inputs ? "\",\"format\":\"FORMAT_NONE\",\"dims\":" : "\",\"dims\":");
        text_shape(t, specs[i].shape, specs[i].rank);
        text_puts(t, inputs ? ",\"is_shape_tensor\":false,\"allow_ragged_batch\":false,"
                              "\"optional\":false}"
                            : ",\"label_filename\":\"\",\"is_shape_tensor\":false}");
    }
    text_puts(t, "]");
}

/* max_batch_size 0: the dims are whole, with the batch's if the model has one. */
int oip_config(struct ctx *c, const void *in_, void *out) {
    const struct oip_model_in *in = in_;
    const struct entry *e;
    const struct entry_arm *arm;
    struct text t;
    (void)out;
    text_init(&t, c->arena, 1024);
    int rc = find(c, snapshot_enter(), in, &e, &arm);
    if (rc == 0) {
        const struct model *m = arm->model;
        text_puts(&t, "{\"name\":");
        text_string(&t, e->name, strlen(e->name));
        text_puts(&t, ",\"platform\":");
        text_string(&t, m->platform, strlen(m->platform));
        text_puts(&t, ",\"backend\":");
        text_string(&t, m->runtime->name, strlen(m->runtime->name));
        text_puts(&t, ",\"version_policy\":{\"specific\":{\"versions\":[");
        text_puts(&t, m->version_text);
        text_puts(&t, "]}},\"max_batch_size\":0");
        put_config_specs(&t, ",\"input\":[", m->inputs, m->ninputs, true);
        put_config_specs(&t, ",\"output\":[", m->outputs, m->noutputs, false);
        text_puts(&t, ",\"instance_group\":[{\"name\":");
        text_string(&t, arm->name, strlen(arm->name));
        text_puts(&t, ",\"kind\":\"KIND_CPU\",\"count\":1}],\"parameters\":{}}");
    }
    snapshot_leave();
    return rc < 0 ? rc : answer(c, &t);
}
