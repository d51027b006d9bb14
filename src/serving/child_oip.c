/* SPDX-License-Identifier: Apache-2.0 */
/* Child oip: tensors to and from a child that speaks the Open Inference Protocol. */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "child_answer.h"
#include "child_state.h"
#include "json_scan.h"
#include "oip_scan.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "tensor_print.h"

#define HEADER "inference-header-content-length"

static const char *model_path(struct ctx *c, const struct child *ch, const char *behind) {
    return arena_printf(
        c->arena, "/v2/models/%s%s",
        url_encode(c->arena, ch->spec.model ? ch->spec.model : ch->model_name, false), behind);
}

/* ---- the request ---- */

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
        text_put(o, t->data, t->count * dtype_size(t->dtype));
        return;
    }
    for (size_t i = 0; i < t->count; i++) {
        const struct bytes *b = &((const struct bytes *)t->data)[i];
        const uint32_t len = (uint32_t)b->len;
        text_put(o, (const char *)&len, sizeof len);
        text_put(o, b->data, b->len);
    }
}

static int put_input(struct ctx *c, struct text *o, const struct tensor *t, bool binary) {
    if (!binary && (t->dtype == DT_FP16 || t->dtype == DT_BF16))
        return fail_field(c, ERR_INVALID, t->name,
                          "input '%s': %s cannot be told in JSON, and the child server does not "
                          "take binary data",
                          t->name, dtype_name(t->dtype));
    text_puts(o, "{\"name\":");
    text_string(o, t->name, strlen(t->name));
    text_puts(o, ",\"shape\":");
    text_shape(o, t->shape, t->rank);
    text_puts(o, ",\"datatype\":\"");
    text_puts(o, dtype_name(t->dtype));
    if (binary) {
        text_puts(o, "\",\"parameters\":{\"binary_data_size\":");
        text_i64(o, (int64_t)raw_size(t));
        text_puts(o, "}}");
    } else {
        text_puts(o, "\",\"data\":");
        text_flat(o, t);
        text_puts(o, "}");
    }
    return 0;
}

static void put_wanted(struct text *o, const char *const *wanted, bool binary) {
    text_puts(o, ",\"outputs\":[");
    for (size_t i = 0; wanted[i]; i++) {
        text_puts(o, i ? ",{\"name\":" : "{\"name\":");
        text_string(o, wanted[i], strlen(wanted[i]));
        text_puts(o, binary ? ",\"parameters\":{\"binary_data\":true}}" : "}");
    }
    text_puts(o, "]");
}

/* JSON, and behind its first *njson bytes the raw tensors. */
static int encode(struct ctx *c, const struct child_request *q, bool binary, struct text *o,
                  size_t *njson) {
    text_init(o, c->arena, 1024);
    text_puts(o, "{\"inputs\":[");
    for (size_t i = 0; i < q->nin; i++) {
        if (i)
            text_puts(o, ",");
        int rc = put_input(c, o, &q->in[i], binary);
        if (rc < 0)
            return rc;
    }
    text_puts(o, "]");
    if (q->wanted)
        put_wanted(o, q->wanted, binary);
    if (binary)
        text_puts(o, ",\"parameters\":{\"binary_data_output\":true}");
    text_puts(o, "}");
    *njson = o->len;
    for (size_t i = 0; binary && i < q->nin; i++)
        put_raw(o, &q->in[i]);
    return 0;
}

/* ---- the answer ---- */

static int scan_answer(struct ctx *c, const char *json, size_t n, const char *raw, size_t nraw,
                       struct tensor **out, size_t *nout) {
    struct scan s;
    bool found = false;
    scan_init(&s, c, json, n);
    if (scan_peek(&s) != '{')
        return fail(c, ERR_UPSTREAM, "it is %s, not an object", scan_kind(&s));
    int rc = scan_enter(&s, '{');
    for (bool first = true; rc == 0 && (rc = scan_more(&s, '}', &first)) > 0;) {
        struct bytes key;
        rc = scan_key(&s, &key);
        if (rc < 0)
            return rc;
        if (!bytes_eq(key, "outputs")) {
            rc = scan_skip(&s);
        } else if (found || scan_peek(&s) != '[') {
            return fail(c, ERR_UPSTREAM, "outputs is there twice or is no array");
        } else {
            found = true;
            rc = oip_tensors(&s, &raw, &nraw, out, nout);
        }
    }
    if (rc == 0)
        rc = scan_end(&s);
    if (rc == 0 && !found)
        rc = fail(c, ERR_UPSTREAM, "it has no outputs");
    if (rc == 0 && nraw)
        rc = fail(c, ERR_UPSTREAM, "%zu bytes of binary data belong to no output", nraw);
    return rc;
}

static int decode(struct ctx *c, const struct net_answer *a, struct tensor **out, size_t *nout) {
    const char *body = a->body.data ? a->body.data : "";
    const char *header = net_answer_header(a, HEADER);
    uint64_t njson = a->body.len;
    if (header && (!str_to_u64(header, &njson) || njson > a->body.len))
        return fail(c, ERR_UPSTREAM, "its header " HEADER " does not fit its body");
    const char *json = body;
    if (njson < a->body.len) /* the scanner wants a NUL behind the text */
        json = arena_strndup(c->arena, body, (size_t)njson);
    if (strlen(json) < njson)
        return fail(c, ERR_UPSTREAM, "its JSON holds a NUL");
    return scan_answer(c, json, (size_t)njson, body + njson, a->body.len - (size_t)njson, out,
                       nout);
}

/* What it said of its outputs at the start holds. */
static int keeps_word(struct ctx *c, const struct child_signature *s, const struct tensor *t) {
    for (size_t i = 0; i < s->noutputs; i++) {
        const struct tensor_spec *o = &s->outputs[i];
        if (strcmp(o->name, t->name) != 0)
            continue;
        if (o->dtype != t->dtype)
            return fail(c, ERR_UPSTREAM, "output '%s' is %s; its metadata says %s", t->name,
                        dtype_name(t->dtype), dtype_name(o->dtype));
        for (size_t d = 0; o->rank == t->rank && d < t->rank; d++)
            if (o->shape[d] >= 0 && o->shape[d] != t->shape[d])
                return fail(c, ERR_UPSTREAM,
                            "output '%s' has %" PRId64 " entries along axis %zu; its metadata says "
                            "%" PRId64,
                            t->name, t->shape[d], d, o->shape[d]);
    }
    return 0;
}

static int check(struct ctx *c, const struct child *ch, const struct tensor *t, size_t n) {
    if (n == 0)
        return fail(c, ERR_UPSTREAM, "it holds no outputs");
    for (size_t i = 0; i < n; i++) {
        if (child_answer_find(t, i, t[i].name))
            return fail(c, ERR_UPSTREAM, "output '%s' is there twice", t[i].name);
        int rc = keeps_word(c, &ch->signature, &t[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int child_oip_infer(struct ctx *c, struct child_call *call, const struct child_request *q,
                    struct tensor **out, size_t *nout) {
    bool binary = call->ch->binary;
    struct text o;
    size_t njson = 0;
    int rc = encode(c, q, binary, &o, &njson);
    if (rc < 0)
        return rc;
    const struct net_header headers[] = {
        {"Content-Type", binary ? "application/octet-stream" : "application/json"},
        {"Inference-Header-Content-Length", arena_printf(c->arena, "%zu", njson)}};
    struct net_local r = {.method = "POST",
                          .path = call->ch->spec.path ? call->ch->spec.path
                                                      : model_path(c, call->ch, "/infer"),
                          .headers = headers,
                          .header_count = binary ? 2 : 1,
                          .body = o.data,
                          .body_len = o.len};
    struct net_answer *a = child_answer_new(c);
    rc = child_send(c, call, &r, q->until_ms, a);
    if (rc < 0)
        return rc;
    *out = NULL;
    *nout = 0;
    rc = decode(c, a, out, nout);
    if (rc == 0)
        rc = check(c, call->ch, *out, *nout);
    if (rc < 0)
        return child_answer_wrong(c);
    return q->wanted ? child_answer_pick(c, q->wanted, out, nout) : 0;
}

/* ---- what it says of itself ---- */

static int get(struct ctx *c, struct child_call *call, const char *path, int64_t until_ms,
               json_t **tree) {
    struct net_answer *a = child_answer_new(c);
    struct net_local r = {.method = "GET", .path = path};
    *tree = NULL;
    int rc = child_send(c, call, &r, until_ms, a);
    if (rc == 0)
        *tree = json_loadb(a->body.data ? a->body.data : "", a->body.len, 0, NULL);
    return rc;
}

static bool read_spec(struct arena *arena, json_t *t, struct tensor_spec *out) {
    const char *name = json_string_value(json_object_get(t, "name"));
    const char *type = json_string_value(json_object_get(t, "datatype"));
    json_t *shape = json_object_get(t, "shape");
    *out = (struct tensor_spec){.rank = json_array_size(shape)};
    if (!name || !type || dtype_parse(type, &out->dtype) < 0 || out->rank > TENSOR_MAX_RANK)
        return false;
    for (size_t i = 0; i < out->rank; i++) {
        json_t *d = json_array_get(shape, i);
        if (!json_is_integer(d) || json_integer_value(d) < -1)
            return false;
        out->shape[i] = json_integer_value(d);
    }
    out->name = arena_strdup(arena, name);
    return true;
}

static int read_specs(struct ctx *c, struct arena *arena, json_t *list, const char *what,
                      const struct tensor_spec **out, size_t *n) {
    size_t count = json_array_size(list);
    struct tensor_spec *specs = ARENA_ARRAY(arena, struct tensor_spec, count ? count : 1);
    for (size_t i = 0; i < count; i++)
        if (!read_spec(arena, json_array_get(list, i), &specs[i]))
            return fail(c, ERR_UNPROCESSABLE,
                        "the child server's metadata is wrong: %s[%zu] has no name, datatype or "
                        "shape that can be understood",
                        what, i);
    *out = specs;
    *n = count;
    return 0;
}

int child_oip_signature(struct ctx *c, struct child_call *call, int64_t until_ms) {
    struct child *ch = call->ch;
    json_t *tree = NULL;
    size_t i;
    json_t *extension;
    if (get(c, call, "/v2", until_ms, &tree) == 0)
        json_array_foreach(json_object_get(tree, "extensions"), i, extension) ch->binary =
            ch->binary || str_eq(json_string_value(extension), "binary_tensor_data");
    err_clear(c); /* a server need not tell of itself */
    json_decref(tree);
    int rc = get(c, call, model_path(c, ch, ""), until_ms, &tree);
    struct child_signature *s = &ch->signature;
    if (rc == 0)
        rc = read_specs(c, ch->arena, json_object_get(tree, "inputs"), "inputs", &s->inputs,
                        &s->ninputs);
    if (rc == 0)
        rc = read_specs(c, ch->arena, json_object_get(tree, "outputs"), "outputs", &s->outputs,
                        &s->noutputs);
    json_decref(tree);
    if (rc == 0 && s->ninputs == 0) { /* one matrix, as most servers that say nothing take */
        struct tensor_spec *one = ARENA_NEW(ch->arena, struct tensor_spec);
        *one = (struct tensor_spec){.name = "input-0", .dtype = DT_FP64, .rank = 2};
        one->shape[0] = one->shape[1] = -1;
        s->inputs = one;
        s->ninputs = 1;
    }
    return rc;
}
