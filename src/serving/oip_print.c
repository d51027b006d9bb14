/* SPDX-License-Identifier: Apache-2.0 */
#include "oip_print.h"

#include <string.h>

#include "oip_classify.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "tensor_print.h"

static size_t raw_size(const struct tensor *t) {
    if (t->dtype != DT_BYTES)
        return t->count * dtype_size(t->dtype);
    size_t n = 0;
    for (size_t i = 0; i < t->count; i++)
        n += 4 + ((const struct bytes *)t->data)[i].len;
    return n;
}

static void put_raw(struct text *o, const struct tensor *t) {
    if (t->dtype != DT_BYTES) {
        if (t->count)
            text_put(o, t->data, t->count * dtype_size(t->dtype));
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        const struct bytes *b = (const struct bytes *)t->data + i;
        uint32_t len = (uint32_t)b->len;
        text_put(o, (const char *)&len, sizeof len);
        text_put(o, b->data, b->len);
    }
}

/* The protocol's parameters are scalars: the labels go as the text of a JSON array. */
static void put_labels(struct text *o, const struct tensor *t) {
    struct text list;
    text_init(&list, o->arena, 128);
    text_put(&list, "[", 1);
    for (int64_t i = 0; i < t->shape[t->rank - 1]; i++) {
        if (i)
            text_put(&list, ",", 1);
        text_string(&list, t->classes[i], strlen(t->classes[i]));
    }
    text_put(&list, "]", 1);
    text_puts(o, "\"labels\":");
    text_string(o, list.data, list.len);
}

/* How this output was asked for. A sequence's tensors NAME_0, NAME_1, ... are asked for as NAME. */
static struct oip_output asked(const struct oip_request *q, const struct tensor *t) {
    struct oip_output o = {.form = OIP_FORM_UNSAID};
    for (size_t i = 0; i < q->nwanted; i++) {
        size_t n = strlen(q->wanted[i]);
        if (strncmp(t->name, q->wanted[i], n) == 0 && (!t->name[n] || t->name[n] == '_')) {
            o = q->outputs[i];
            if (!t->name[n])
                break;
        }
    }
    if (o.form == OIP_FORM_UNSAID)
        o.form = q->binary ? OIP_FORM_BINARY : OIP_FORM_JSON;
    return o;
}

static bool is_raw(const struct oip_request *q, const struct tensor *t) {
    return asked(q, t).form == OIP_FORM_BINARY;
}

static int put_output(struct ctx *c, struct text *o, const struct tensor *t, bool raw) {
    if (!raw && (t->dtype == DT_FP16 || t->dtype == DT_BF16))
        return fail_field(
            c, ERR_INVALID, t->name,
            "output '%s' is %s, which cannot be told in JSON; ask for it as binary data", t->name,
            dtype_name(t->dtype));
    text_puts(o, "{\"name\":");
    text_string(o, t->name, strlen(t->name));
    text_puts(o, ",\"datatype\":\"");
    text_puts(o, dtype_name(t->dtype));
    text_puts(o, "\",\"shape\":");
    text_shape(o, t->shape, t->rank);
    if (t->classes || raw) {
        text_puts(o, ",\"parameters\":{");
        if (t->classes)
            put_labels(o, t);
        if (raw) {
            text_puts(o, t->classes ? ",\"binary_data_size\":" : "\"binary_data_size\":");
            text_i64(o, (int64_t)raw_size(t));
        }
        text_puts(o, "}");
    }
    if (!raw) {
        text_puts(o, ",\"data\":");
        text_flat(o, t);
    }
    text_puts(o, "}");
    return 0;
}

int oip_print(struct ctx *c, const struct oip_request *q, const struct oip_answer *a) {
    struct text o;
    bool any_raw = false;
    for (size_t i = 0; i < a->n; i++) {
        struct oip_output how = asked(q, &a->outputs[i]);
        int rc = how.classes ? oip_classify(c, how.classes, &a->outputs[i]) : 0;
        if (rc < 0)
            return rc;
    }
    text_init(&o, c->arena, 512);
    text_puts(&o, "{\"model_name\":");
    text_string(&o, a->model_name, strlen(a->model_name));
    text_puts(&o, ",\"model_version\":");
    text_string(&o, a->model_version, strlen(a->model_version));
    if (q->id.data) {
        text_puts(&o, ",\"id\":");
        text_string(&o, q->id.data, q->id.len);
    }
    text_puts(&o, ",\"outputs\":[");
    for (size_t i = 0; i < a->n; i++) {
        bool raw = is_raw(q, &a->outputs[i]);
        if (i)
            text_put(&o, ",", 1);
        int rc = put_output(c, &o, &a->outputs[i], raw);
        if (rc < 0)
            return rc;
        any_raw = any_raw || raw;
    }
    text_puts(&o, "]}");
    if (any_raw) {
        reply_header(c, "Inference-Header-Content-Length", arena_printf(c->arena, "%zu", o.len));
        size_t all = 0;
        for (size_t i = 0; i < a->n; i++)
            all += is_raw(q, &a->outputs[i]) ? raw_size(&a->outputs[i]) : 0;
        text_reserve(&o, all);
        for (size_t i = 0; i < a->n; i++)
            if (is_raw(q, &a->outputs[i]))
                put_raw(&o, &a->outputs[i]);
    }
    reply_bytes(c, any_raw ? "application/octet-stream" : "application/json", o.data, o.len);
    return 0;
}

int oip_print_outputs(struct ctx *c, struct text *o, const struct tensor *outputs, size_t n) {
    int rc = 0;
    text_puts(o, "[");
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (i)
            text_put(o, ",", 1);
        rc = put_output(c, o, &outputs[i], false);
    }
    text_puts(o, "]");
    return rc;
}
