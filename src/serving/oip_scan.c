/* SPDX-License-Identifier: Apache-2.0 */
#include "oip_scan.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base64_text.h"
#include "json_scan.h"
#include "number_fast.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"

#define EMPTY_MAX ((size_t)1 << 20) /* product of an empty tensor's other sizes */

/* What was read of one input before its tensor is complete. Members may come in any order, so data
 * that comes before shape and datatype is checked, remembered by place and read afterwards. */
struct input {
    struct tensor t;
    bool has_name, has_shape, has_type, has_data, has_raw;
    bool filled, base64;
    uint64_t raw_size;
    struct scan data; /* cursor at the data, when not yet filled */
};

/* ---- elements ---- */

static int element_fail(struct scan *s, const struct tensor *t, size_t i, const char *is) {
    const char *wants = t->dtype == DT_BOOL    ? "true or false"
                        : t->dtype == DT_BYTES ? "a string"
                                               : "a number";
    return fail_field(s->c, ERR_INVALID, t->name, "input '%s': element %zu is %s; %s wants %s",
                      t->name, i, is, dtype_name(t->dtype), wants);
}

static int scan_float(struct scan *s, const struct tensor *t, size_t i) {
    double v;
    char ch = scan_peek(s);
    if (ch == '-' || (ch >= '0' && ch <= '9')) {
        struct number n;
        int rc = scan_number(s, &n);
        if (rc < 0)
            return rc;
        v = n.value;
        if (t->dtype == DT_FP32 ? isinf((float)v) : isinf(v))
            return fail_field(s->c, ERR_INVALID, t->name,
                              "input '%s': element %zu is out of the range of %s", t->name, i,
                              dtype_name(t->dtype));
    } else if (ch == 'n') {
        int rc = scan_null(s);
        if (rc < 0)
            return rc;
        v = (double)NAN;
    } else if (ch == 'N' || ch == 'I') {
        return scan_skip(s); /* says that NaN is no JSON */
    } else {
        return element_fail(s, t, i, scan_kind(s));
    }
    if (t->dtype == DT_FP32)
        ((float *)t->data)[i] = (float)v;
    else
        ((double *)t->data)[i] = v;
    return 0;
}

static int scan_element(struct scan *s, const struct tensor *t, size_t i) {
    if (t->dtype == DT_FP32 || t->dtype == DT_FP64)
        return scan_float(s, t, i);
    char ch = scan_peek(s);
    if (t->dtype == DT_BYTES) {
        if (ch != '"')
            return element_fail(s, t, i, scan_kind(s));
        return scan_string(s, &((struct bytes *)t->data)[i]);
    }
    if (t->dtype == DT_BOOL) {
        bool yes;
        if (ch != 't' && ch != 'f')
            return element_fail(s, t, i, scan_kind(s));
        int rc = scan_bool(s, &yes);
        ((unsigned char *)t->data)[i] = yes;
        return rc;
    }
    if (ch != '-' && !(ch >= '0' && ch <= '9'))
        return element_fail(s, t, i, scan_kind(s));
    const char *at = s->p;
    struct number n;
    int rc = scan_number(s, &n);
    if (rc < 0)
        return rc;
    const char *wants =
        number_store(&n, t->dtype, true, (char *)t->data + i * dtype_size(t->dtype));
    if (!wants)
        return 0;
    int len = (int)(s->p - at > 40 ? 40 : s->p - at);
    return fail_field(s->c, ERR_INVALID, t->name, "input '%s': element %zu is %.*s; %s %s", t->name,
                      i, len, at, dtype_name(t->dtype), wants);
}

/* ---- data ---- */

/* The plain floats at the beginning of an array whose '[' was read, with the commas between them;
 * returns how many. The cursor stands behind the last one. */
static size_t scan_plain_floats(struct scan *s, const struct tensor *t, size_t most, size_t index) {
    const char *p = s->p;
    size_t n = 0;
    struct number v = {0};
    for (; n < most; n++) {
        const char *q = p;
        if (n > 0 && *q++ != ',')
            break;
        q += *q == ' ';
        q = number_fast(q, s->end, &v);
        if (!q)
            break;
        if (t->dtype == DT_FP32)
            ((float *)t->data)[index + n] = (float)v.value;
        else
            ((double *)t->data)[index + n] = v.value;
        p = q;
    }
    s->p = p;
    return n;
}

static int scan_leaves(struct scan *s, const struct tensor *t, size_t n, size_t *index,
                       const char *of) {
    int rc = scan_enter(s, '[');
    size_t seen = 0;
    if (rc == 0 && (t->dtype == DT_FP32 || t->dtype == DT_FP64)) {
        seen = scan_plain_floats(s, t, n, *index);
        *index += seen;
    }
    for (bool first = seen == 0; rc == 0 && (rc = scan_more(s, ']', &first)) > 0; seen++) {
        if (seen == n)
            return fail_field(s->c, ERR_INVALID, t->name,
                              "input '%s': %s holds more than the %zu elements of its shape",
                              t->name, of, n);
        rc = scan_element(s, t, (*index)++);
    }
    if (rc == 0 && seen < n)
        rc = fail_field(s->c, ERR_INVALID, t->name,
                        "input '%s': %s holds %zu elements; its shape wants %zu", t->name, of, seen,
                        n);
    return rc;
}

static int scan_axis(struct scan *s, const struct tensor *t, size_t axis, size_t *index) {
    size_t n = (size_t)t->shape[axis];
    if (scan_peek(s) != '[')
        return fail_field(s->c, ERR_INVALID, t->name,
                          "input '%s': data is neither flat nor nested to %zu levels (%s before "
                          "element %zu)",
                          t->name, t->rank, scan_kind(s), *index);
    if (axis + 1 == t->rank)
        return scan_leaves(s, t, n, index, "a row of data");
    int rc = scan_enter(s, '[');
    size_t seen = 0;
    for (bool first = true; rc == 0 && (rc = scan_more(s, ']', &first)) > 0; seen++) {
        if (seen == n)
            return fail_field(
                s->c, ERR_INVALID, t->name,
                "input '%s': data has more than %zu entries along axis %zu of its shape", t->name,
                n, axis);
        rc = scan_axis(s, t, axis + 1, index);
    }
    if (rc == 0 && seen < n)
        rc = fail_field(s->c, ERR_INVALID, t->name,
                        "input '%s': data has %zu entries along axis %zu; its shape wants %zu",
                        t->name, seen, axis, n);
    return rc;
}

static int scan_data(struct scan *s, struct tensor *t) {
    size_t index = 0;
    if (t->dtype == DT_FP16 || t->dtype == DT_BF16)
        return fail_field(s->c, ERR_INVALID, t->name,
                          "input '%s': %s cannot be told in JSON; send it as binary data", t->name,
                          dtype_name(t->dtype));
    if (scan_peek(s) != '[')
        return fail_field(s->c, ERR_INVALID, t->name, "input '%s': data is %s; it must be an array",
                          t->name, scan_kind(s));
    /* Each element takes a byte and a comma: a shape that the text cannot fill gets no memory. */
    size_t most = ((size_t)(s->end - s->p) + 1) / 2;
    if (t->count > most)
        return fail_field(s->c, ERR_INVALID, t->name,
                          "input '%s': its shape wants %zu elements, more than the body can hold",
                          t->name, t->count);
    t->data = arena_alloc_n(s->c->arena, t->count ? t->count : 1, dtype_size(t->dtype));
    if (t->rank >= 2) {
        struct scan ahead = *s;
        ahead.p++;
        if (scan_peek(&ahead) == '[')
            return scan_axis(s, t, 0, &index);
    }
    return scan_leaves(s, t, t->count, &index, "data");
}

/* ---- raw data ---- */

int oip_count(struct ctx *c, struct tensor *t) {
    size_t other = 1; /* product of the sizes that are not 0 */
    t->count = 1;
    for (size_t i = 0; i < t->rank; i++) {
        if (t->shape[i] < 0)
            return fail_field(c, ERR_INVALID, t->name,
                              "input '%s': shape holds %" PRId64 "; sizes are 0 or more", t->name,
                              t->shape[i]);
        if (__builtin_mul_overflow(t->count, (size_t)t->shape[i], &t->count))
            return fail_field(c, ERR_INVALID, t->name,
                              "input '%s': the product of its shape is too large", t->name);
        if (t->shape[i] && __builtin_mul_overflow(other, (size_t)t->shape[i], &other))
            other = SIZE_MAX;
    }
    /* No data vouches for the other sizes of an empty tensor, yet a model may allocate by them. */
    if (t->count == 0 && other > EMPTY_MAX)
        return fail_field(c, ERR_INVALID, t->name,
                          "input '%s': its shape is empty, but its other sizes are too large",
                          t->name);
    return 0;
}

static int raw_strings(struct ctx *c, struct tensor *t, const char *raw, size_t n) {
    if (t->count > n / 4)
        return fail_field(c, ERR_INVALID, t->name,
                          "input '%s': %zu bytes are too few for %zu strings with their lengths",
                          t->name, n, t->count);
    struct bytes *items = ARENA_ARRAY(c->arena, struct bytes, t->count ? t->count : 1);
    size_t at = 0;
    for (size_t i = 0; i < t->count; i++) {
        uint32_t len;
        if (n - at < 4)
            return fail_field(c, ERR_INVALID, t->name,
                              "input '%s': the binary data ends before element %zu", t->name, i);
        memcpy(&len, raw + at, 4);
        at += 4;
        if (len > n - at)
            return fail_field(c, ERR_INVALID, t->name,
                              "input '%s': element %zu is longer than the binary data", t->name, i);
        items[i] = (struct bytes){raw + at, len};
        at += len;
    }
    if (at != n)
        return fail_field(c, ERR_INVALID, t->name, "input '%s': %zu bytes follow its last string",
                          t->name, n - at);
    t->data = items;
    return 0;
}

int oip_raw(struct ctx *c, struct tensor *t, const char *raw, size_t n) {
    if (t->dtype == DT_BYTES)
        return raw_strings(c, t, raw, n);
    size_t want;
    if (__builtin_mul_overflow(t->count, dtype_size(t->dtype), &want) || want != n)
        return fail_field(c, ERR_INVALID, t->name,
                          "input '%s': %zu bytes of binary data; its shape and %s want %zu",
                          t->name, n, dtype_name(t->dtype), want);
    if (t->dtype == DT_BOOL)
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)raw[i] > 1)
                return fail_field(c, ERR_INVALID, t->name,
                                  "input '%s': element %zu is byte %u; BOOL wants 0 or 1", t->name,
                                  i, (unsigned char)raw[i]);
    if ((uintptr_t)raw % dtype_size(t->dtype) == 0 &&
        n) { /* as good as a copy, which is read only */
        t->data = (void *)(uintptr_t)raw;
        return 0;
    }
    t->data = arena_alloc_unset(c->arena, n ? n : 1);
    if (n)
        memcpy(t->data, raw, n);
    return 0;
}

/* Texts that an input's content_type says are base64. */
static int decode_base64(struct ctx *c, struct tensor *t) {
    struct bytes *items = t->data;
    for (size_t i = 0; i < t->count; i++)
        if (base64_bytes(c->arena, items[i], &items[i]) < 0)
            return fail_field(c, ERR_INVALID, t->name,
                              "input '%s': element %zu is not base64, as its content_type says",
                              t->name, i);
    return 0;
}

/* ---- members ---- */

static int scan_shape(struct scan *s, struct tensor *t) {
    if (scan_peek(s) != '[')
        return fail_field(s->c, ERR_INVALID, t->name,
                          "input '%s': shape is %s; it must be an array", t->name, scan_kind(s));
    int rc = scan_enter(s, '[');
    t->rank = 0;
    for (bool first = true; rc == 0 && (rc = scan_more(s, ']', &first)) > 0; t->rank++) {
        struct number n;
        if (t->rank == TENSOR_MAX_RANK)
            return fail_field(s->c, ERR_INVALID, t->name,
                              "input '%s': shape has more than %d dimensions", t->name,
                              TENSOR_MAX_RANK);
        char ch = scan_peek(s);
        if (ch != '-' && !(ch >= '0' && ch <= '9'))
            return fail_field(s->c, ERR_INVALID, t->name,
                              "input '%s': shape holds %s; sizes are whole numbers", t->name,
                              scan_kind(s));
        rc = scan_number(s, &n);
        if (rc == 0 && number_store(&n, DT_INT64, true, &t->shape[t->rank]))
            return fail_field(s->c, ERR_INVALID, t->name,
                              "input '%s': shape holds a number that is no size", t->name);
    }
    return rc;
}

static int want_string(struct scan *s, const char *what, const char *member, struct bytes *out) {
    if (scan_peek(s) != '"')
        return fail_field(s->c, ERR_INVALID, member, "%s: %s is %s; it must be a string", what,
                          member, scan_kind(s));
    return scan_string(s, out);
}

static int scan_type(struct scan *s, struct tensor *t) {
    struct bytes text;
    const char *name;
    int rc = want_string(s, "an input", "datatype", &text);
    if (rc == 0)
        rc = scan_text(s, text, &name);
    if (rc == 0 && dtype_parse(name, &t->dtype) < 0)
        rc = fail_field(
            s->c, ERR_INVALID, t->name,
            "input '%s': datatype '%.40s' is none of BOOL UINT8 UINT16 UINT32 UINT64 INT8 "
            "INT16 INT32 INT64 FP16 FP32 FP64 BF16 BYTES",
            t->name, name);
    return rc;
}

static int twice(struct scan *s, const char *what, const char *member) {
    return fail_field(s->c, ERR_INVALID, member, "%s: member %s stands there twice", what, member);
}

static int scan_input_member(struct scan *s, struct input *in, struct bytes key) {
    struct tensor *t = &in->t;
    struct bytes text;
    struct oip_parameters p;
    int rc = 0;
    if (bytes_eq(key, "name")) {
        if (in->has_name)
            return twice(s, "an input", "name");
        rc = want_string(s, "an input", "name", &text);
        if (rc == 0)
            rc = scan_text(s, text, &t->name);
        in->has_name = true;
    } else if (bytes_eq(key, "shape")) {
        if (in->has_shape)
            return twice(s, "an input", "shape");
        rc = scan_shape(s, t);
        if (rc == 0)
            rc = oip_count(s->c, t);
        in->has_shape = true;
    } else if (bytes_eq(key, "datatype")) {
        if (in->has_type)
            return twice(s, "an input", "datatype");
        rc = scan_type(s, t);
        in->has_type = true;
    } else if (bytes_eq(key, "data")) {
        if (in->has_data)
            return twice(s, "an input", "data");
        in->has_data = true;
        if (in->has_name && in->has_shape && in->has_type) {
            in->filled = true;
            return scan_data(s, t);
        }
        in->data = *s;
        rc = scan_skip(s);
    } else if (bytes_eq(key, "parameters")) {
        rc = oip_parameters_scan(s, &p);
        in->has_raw = in->has_raw || p.has_size;
        in->raw_size = p.size;
        in->base64 = p.base64;
    } else {
        rc = scan_skip(s);
    }
    return rc;
}

static int scan_input(struct scan *s, size_t index, const char **raw, size_t *nraw,
                      struct tensor *out) {
    struct input in = {.t = {.name = index ? arena_printf(s->c->arena, "#%zu", index) : "#0"}};
    if (scan_peek(s) != '{')
        return fail_field(s->c, ERR_INVALID, "inputs", "inputs[%zu] is %s; it must be an object",
                          index, scan_kind(s));
    int rc = scan_enter(s, '{');
    for (bool first = true; rc == 0 && (rc = scan_more(s, '}', &first)) > 0;) {
        struct bytes key;
        rc = scan_key(s, &key);
        if (rc == 0)
            rc = scan_input_member(s, &in, key);
    }
    if (rc < 0)
        return rc;
    const char *lacks = !in.has_name    ? "name"
                        : !in.has_shape ? "shape"
                        : !in.has_type  ? "datatype"
                                        : NULL;
    if (lacks)
        return fail_field(s->c, ERR_INVALID, lacks, "input '%s' has no %s", in.t.name, lacks);
    if (in.has_raw && in.has_data)
        return fail_field(s->c, ERR_INVALID, in.t.name,
                          "input '%s' has both data and binary_data_size", in.t.name);
    if (!in.has_raw && !in.has_data)
        return fail_field(s->c, ERR_INVALID, in.t.name,
                          "input '%s' has neither data nor parameters.binary_data_size", in.t.name);
    if (in.has_raw) {
        if (in.raw_size > *nraw)
            return fail_field(s->c, ERR_INVALID, in.t.name,
                              "input '%s': binary_data_size is %" PRIu64 ", but %zu bytes are left",
                              in.t.name, in.raw_size, *nraw);
        rc = oip_raw(s->c, &in.t, *raw, (size_t)in.raw_size);
        *raw += in.raw_size;
        *nraw -= (size_t)in.raw_size;
    } else if (!in.filled) {
        rc = scan_data(&in.data, &in.t);
    }
    if (rc == 0 && in.base64 && in.t.dtype == DT_BYTES && in.has_data)
        rc = decode_base64(s->c, &in.t);
    *out = in.t;
    return rc;
}

int oip_tensors(struct scan *s, const char **raw, size_t *nraw, struct tensor **items, size_t *n) {
    size_t cap = 0;
    int rc = scan_enter(s, '[');
    for (bool first = true; rc == 0 && (rc = scan_more(s, ']', &first)) > 0;) {
        *items = arena_room(s->c->arena, *items, *n, &cap, sizeof **items);
        rc = scan_input(s, *n, raw, nraw, &(*items)[*n]);
        (*n)++;
    }
    return rc;
}

static int scan_inputs(struct scan *s, const char **raw, size_t *nraw, struct oip_request *out) {
    if (scan_peek(s) != '[')
        return fail_field(s->c, ERR_INVALID, "inputs", "inputs is %s; it must be an array",
                          scan_kind(s));
    return oip_tensors(s, raw, nraw, &out->inputs, &out->ninputs);
}

static int scan_output(struct scan *s, const char **name, struct oip_output *out) {
    bool has_name = false;
    int rc = scan_enter(s, '{');
    for (bool first = true; rc == 0 && (rc = scan_more(s, '}', &first)) > 0;) {
        struct bytes key, text;
        struct oip_parameters p;
        rc = scan_key(s, &key);
        if (rc < 0)
            return rc;
        if (bytes_eq(key, "name")) {
            rc = want_string(s, "an output", "name", &text);
            if (rc == 0)
                rc = scan_text(s, text, name);
            has_name = true;
        } else if (bytes_eq(key, "parameters")) {
            rc = oip_parameters_scan(s, &p);
            if (p.has_binary)
                out->form = p.binary ? OIP_FORM_BINARY : OIP_FORM_JSON;
            out->classes = p.classes;
        } else {
            rc = scan_skip(s);
        }
    }
    if (rc == 0 && !has_name)
        rc = fail_field(s->c, ERR_INVALID, "outputs", "an output that is asked for has no name");
    return rc;
}

static int scan_outputs(struct scan *s, struct oip_request *out) {
    if (scan_peek(s) == 'n')
        return scan_null(s);
    size_t cap = 4;
    out->wanted = ARENA_ARRAY(s->c->arena, const char *, cap + 1);
    out->outputs = ARENA_ARRAY(s->c->arena, struct oip_output, cap);
    int rc = scan_enter(s, '[');
    for (bool first = true; rc == 0 && (rc = scan_more(s, ']', &first)) > 0; out->nwanted++) {
        if (out->nwanted == cap) {
            cap *= 2;
            const char **names = ARENA_ARRAY(s->c->arena, const char *, cap + 1);
            struct oip_output *outputs = ARENA_ARRAY(s->c->arena, struct oip_output, cap);
            memcpy(names, out->wanted, out->nwanted * sizeof *names);
            memcpy(outputs, out->outputs, out->nwanted * sizeof *outputs);
            out->wanted = names;
            out->outputs = outputs;
        }
        rc = scan_output(s, &out->wanted[out->nwanted], &out->outputs[out->nwanted]);
    }
    if (out->nwanted == 0)
        out->wanted = NULL; /* an empty list asks for all, as no list does */
    return rc;
}

int oip_scan(struct ctx *c, const char *json, size_t n, const char *raw, size_t nraw,
             struct oip_request *out) {
    struct scan s;
    bool has_inputs = false, has_outputs = false;
    *out = (struct oip_request){0};
    scan_init(&s, c, json, n);
    if (scan_peek(&s) == 0)
        return fail(c, ERR_INVALID,
                    "the body is empty; an inference request is a JSON object with "
                    "member inputs");
    if (scan_peek(&s) != '{')
        return fail(c, ERR_INVALID, "the body is %s; an inference request is an object",
                    scan_kind(&s));
    int rc = scan_enter(&s, '{');
    for (bool first = true; rc == 0 && (rc = scan_more(&s, '}', &first)) > 0;) {
        struct bytes key;
        rc = scan_key(&s, &key);
        if (rc < 0)
            return rc;
        if (bytes_eq(key, "inputs")) {
            rc =
                has_inputs ? twice(&s, "the request", "inputs") : scan_inputs(&s, &raw, &nraw, out);
            has_inputs = true;
        } else if (bytes_eq(key, "outputs")) {
            rc = has_outputs ? twice(&s, "the request", "outputs") : scan_outputs(&s, out);
            has_outputs = true;
        } else if (bytes_eq(key, "id")) {
            rc = want_string(&s, "the request", "id", &out->id);
        } else if (bytes_eq(key, "parameters")) {
            rc = oip_parameters_scan(&s, &out->parameters);
            out->binary = out->parameters.has_output && out->parameters.output;
        } else {
            rc = scan_skip(&s);
        }
    }
    if (rc == 0)
        rc = scan_end(&s);
    if (rc == 0 && !has_inputs)
        rc = fail_field(c, ERR_INVALID, "inputs", "the request has no inputs");
    if (rc == 0 && nraw > 0)
        rc = fail(c, ERR_INVALID, "%zu bytes of binary data belong to no input", nraw);
    return rc;
}
