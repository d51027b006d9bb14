/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "deadline.h"
#include "ort_library.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/onnx/onnx.h"
#include "session.h"

/* What a model gives is copied and then printed; a graph can make up any size out of one number. */
#define OUTPUT_MAX ((size_t)128 << 20) /* bytes of all outputs of a run */
#define SEQUENCE_MAX ((size_t)4096)    /* tensors of one output */

struct outputs {
    struct tensor *items;
    size_t n, cap;
    size_t room; /* bytes that may still be given */
};

static struct tensor *add_output(struct ctx *c, struct outputs *o) {
    if (o->n == o->cap) {
        size_t cap = o->cap ? o->cap * 2 : 4;
        struct tensor *items = ARENA_ARRAY(c->arena, struct tensor, cap);
        if (o->n)
            memcpy(items, o->items, o->n * sizeof *items);
        o->items = items;
        o->cap = cap;
    }
    return &o->items[o->n++];
}

static const char *shape_text(struct ctx *c, const int64_t *shape, size_t rank) {
    char *text = arena_strdup(c->arena, "[");
    for (size_t i = 0; i < rank; i++)
        text = arena_printf(c->arena, "%s%s%" PRId64, text, i ? "," : "", shape[i]);
    return arena_printf(c->arena, "%s]", text);
}

static const char *name_list(struct ctx *c, const struct tensor_spec *specs, size_t n) {
    struct buf text = {0};
    for (size_t i = 0; i < n; i++)
        if (text.len < 600)
            buf_printf(&text, "%s'%s'", i ? ", " : "", specs[i].name);
    char *copy = arena_strdup(c->arena, text.data ? text.data : "");
    buf_free(&text);
    return copy;
}

static int check_input(struct ctx *c, const struct tensor_spec *spec, const struct port *port,
                       const struct tensor *t) {
    if (t->dtype != spec->dtype)
        return fail_field(c, ERR_INVALID, spec->name, "input '%s' is %s; the model wants %s",
                          spec->name, dtype_name(t->dtype), dtype_name(spec->dtype));
    bool fits = port->any_rank || t->rank == spec->rank;
    for (size_t i = 0; fits && !port->any_rank && i < t->rank; i++)
        fits = spec->shape[i] < 0 || spec->shape[i] == t->shape[i];
    if (!fits)
        return fail_field(c, ERR_INVALID, spec->name,
                          "input '%s' has shape %s; the model wants %s (-1: any size)", spec->name,
                          shape_text(c, t->shape, t->rank), shape_text(c, spec->shape, spec->rank));
    return 0;
}

static int make_strings(struct ctx *c, const struct tensor *t, ort_value **out) {
    int rc = ort_check(c, ort.create_tensor(ort.allocator, t->shape, t->rank, ORT_STRING, out),
                       ERR_INTERNAL, "input strings");
    const struct bytes *items = t->data;
    for (size_t i = 0; rc == 0 && i < t->count; i++) {
        char *room = NULL;
        rc = ort_check(c, ort.string_buffer(*out, i, items[i].len, &room), ERR_INTERNAL,
                       "input strings");
        if (rc == 0 && items[i].len)
            memcpy(room, items[i].data, items[i].len);
    }
    return rc;
}

static int make_input(struct ctx *c, const struct tensor *t, ort_value **out) {
    static int64_t nothing; /* an empty tensor still wants an address */
    if (t->dtype == DT_BYTES)
        return make_strings(c, t, out);
    return ort_check(c,
                     ort.wrap_tensor(ort.cpu, t->count ? t->data : &nothing,
                                     t->count * dtype_size(t->dtype), t->shape, t->rank,
                                     dtype_to_ort(t->dtype), out),
                     ERR_INTERNAL, t->name);
}

static int take_room(struct ctx *c, struct outputs *o, size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) || bytes > o->room)
        return fail(c, ERR_UNPROCESSABLE, "the model gave more than %zu MiB of outputs",
                    OUTPUT_MAX >> 20);
    o->room -= bytes;
    return 0;
}

static int read_strings(struct ctx *c, const ort_value *v, size_t n, struct outputs *o,
                        void **data) {
    size_t total = 0;
    int rc = ort_check(c, ort.strings_length(v, &total), ERR_INTERNAL, "output strings");
    if (rc == 0)
        rc = take_room(c, o, total, 1);
    if (rc < 0)
        return rc;
    char *text = arena_alloc(c->arena, total + 1);
    size_t *offsets = ARENA_ARRAY(c->arena, size_t, n + 1);
    if (n) {
        rc = ort_check(c, ort.strings_content(v, text, total, offsets, n), ERR_INTERNAL,
                       "output strings");
        if (rc < 0)
            return rc;
    }
    offsets[n] = total;
    struct bytes *items = ARENA_ARRAY(c->arena, struct bytes, n ? n : 1);
    for (size_t i = 0; i < n; i++)
        items[i] = (struct bytes){text + offsets[i], offsets[i + 1] - offsets[i]};
    *data = items;
    return 0;
}

/* Copies a tensor value; name and classes stay as they are. */
static int read_tensor(struct ctx *c, ort_value *v, struct tensor *t, struct outputs *o) {
    ort_tensor_info *info = NULL;
    int element = 0;
    int rc = ort_check(c, ort.tensor_info(v, &info), ERR_INTERNAL, "output");
    if (rc == 0)
        rc = ort_check(c, ort.element_type(info, &element), ERR_INTERNAL, "output");
    if (rc == 0)
        rc = ort_check(c, ort.dimension_count(info, &t->rank), ERR_INTERNAL, "output");
    if (rc == 0 && t->rank > TENSOR_MAX_RANK)
        rc = fail(c, ERR_UNPROCESSABLE, "the model gave an output of %zu dimensions", t->rank);
    if (rc == 0 && dtype_of_ort(element, &t->dtype) < 0)
        rc = fail(c, ERR_UNPROCESSABLE, "the model gave an output of element type %d", element);
    if (rc == 0 && t->rank)
        rc = ort_check(c, ort.dimensions(info, t->shape, t->rank), ERR_INTERNAL, "output");
    ort.release_tensor_info(info);
    if (rc < 0)
        return rc;
    t->count = 1;
    size_t extent =
        1; /* of the nested lists: an empty tensor may still be a long list of nothing */
    for (size_t i = 0; i < t->rank; i++) {
        if (t->shape[i] < 0 || __builtin_mul_overflow(t->count, (size_t)t->shape[i], &t->count))
            return fail(c, ERR_INTERNAL, "the model gave an output of impossible shape");
        if (t->shape[i] && __builtin_mul_overflow(extent, (size_t)t->shape[i], &extent))
            extent = SIZE_MAX;
    }
    rc = take_room(c, o, extent, dtype_size(t->dtype));
    if (rc < 0)
        return rc;
    if (t->dtype == DT_BYTES)
        return read_strings(c, v, t->count, o, &t->data);
    void *data = NULL;
    rc = ort_check(c, ort.tensor_data(v, &data), ERR_INTERNAL, "output");
    size_t bytes = t->count * dtype_size(t->dtype);
    if (rc == 0) {
        t->data = arena_alloc_unset(c->arena, bytes ? bytes : 1);
        if (bytes)
            memcpy(t->data, data, bytes);
    }
    return rc;
}

static int read_keys(struct ctx *c, const ort_value *map, struct tensor *t, size_t classes,
                     struct outputs *o) {
    ort_value *keys = NULL;
    struct tensor k = {.name = t->name};
    int rc = ort_check(c, ort.get_value(map, 0, ort.allocator, &keys), ERR_INTERNAL, "output map");
    if (rc == 0)
        rc = read_tensor(c, keys, &k, o);
    ort.release_value(keys);
    if (rc < 0)
        return rc;
    if (k.count != classes || (k.dtype != DT_INT64 && k.dtype != DT_BYTES))
        return fail(c, ERR_UNPROCESSABLE, "output '%s' of the model is a map of unknown keys",
                    t->name);
    const char **texts = ARENA_ARRAY(c->arena, const char *, classes + 1);
    for (size_t i = 0; i < classes; i++) {
        const struct bytes *s = (const struct bytes *)k.data + (k.dtype == DT_BYTES ? i : 0);
        texts[i] = k.dtype == DT_BYTES
                       ? arena_strndup(c->arena, s->data, s->len)
                       : arena_printf(c->arena, "%" PRId64, ((const int64_t *)k.data)[i]);
    }
    t->classes = texts;
    return 0;
}

static int read_map(struct ctx *c, const ort_value *map, size_t row, size_t rows, struct tensor *t,
                    struct outputs *o) {
    ort_value *values = NULL;
    struct tensor v = {.name = t->name};
    int rc =
        ort_check(c, ort.get_value(map, 1, ort.allocator, &values), ERR_INTERNAL, "output map");
    if (rc == 0)
        rc = read_tensor(c, values, &v, o);
    ort.release_value(values);
    if (rc < 0)
        return rc;
    if (row == 0) {
        size_t total;
        if (__builtin_mul_overflow(rows, v.count, &total))
            return fail(c, ERR_INTERNAL, "the model gave an output of impossible shape");
        rc = take_room(c, o, total, dtype_size(v.dtype));
        if (rc < 0)
            return rc;
        t->dtype = v.dtype;
        t->shape[1] = (int64_t)v.count;
        t->count = total;
        t->data = arena_alloc_n(c->arena, total ? total : 1, dtype_size(v.dtype));
        rc = read_keys(c, map, t, v.count, o);
        if (rc < 0)
            return rc;
    }
    /* The operator writes the same keys into every row; a different number would break the matrix.
     */
    if (v.dtype != t->dtype || (int64_t)v.count != t->shape[1])
        return fail(c, ERR_UNPROCESSABLE, "the rows of output '%s' do not have the same keys",
                    t->name);
    size_t bytes = v.count * dtype_size(v.dtype);
    if (bytes)
        memcpy((char *)t->data + row * bytes, v.data, bytes);
    return 0;
}

static int read_sequence(struct ctx *c, const ort_value *v, const struct tensor_spec *spec,
                         enum port_kind kind, struct outputs *o) {
    size_t n = 0;
    int rc = ort_check(c, ort.value_count(v, &n), ERR_INTERNAL, spec->name);
    if (rc < 0)
        return rc;
    if (kind == PORT_TENSORS && n > SEQUENCE_MAX)
        return fail(c, ERR_UNPROCESSABLE,
                    "output '%s' of the model is a sequence of %zu tensors; at most %zu are served",
                    spec->name, n, SEQUENCE_MAX);
    struct tensor maps = {.name = spec->name, .dtype = spec->dtype, .rank = 2};
    maps.shape[0] = (int64_t)n;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        ort_value *item = NULL;
        rc = ort_check(c, ort.get_value(v, (int)i, ort.allocator, &item), ERR_INTERNAL, spec->name);
        if (rc == 0 && kind == PORT_MAPS) {
            rc = read_map(c, item, i, n, &maps, o);
        } else if (rc == 0) {
            struct tensor *t = add_output(c, o);
            t->name = arena_printf(c->arena, "%s_%zu", spec->name, i);
            rc = read_tensor(c, item, t, o);
        }
        ort.release_value(item);
    }
    if (rc == 0 && kind == PORT_MAPS)
        *add_output(c, o) = maps;
    return rc;
}

static int find_outputs(struct ctx *c, const struct onnx_session *s, const char *const *wanted,
                        size_t **which, size_t *n) {
    size_t count = 0;
    while (wanted[count])
        count++;
    size_t *index = ARENA_ARRAY(c->arena, size_t, count + 1);
    for (size_t i = 0; i < count; i++) {
        size_t j = 0;
        while (j < s->nout && strcmp(s->out_names[j], wanted[i]) != 0)
            j++;
        if (j == s->nout)
            return fail_field(c, ERR_INVALID, wanted[i], "the model has no output '%s'; it has %s",
                              wanted[i], name_list(c, s->out, s->nout));
        for (size_t k = 0; k < i; k++)
            if (index[k] == j)
                return fail_field(c, ERR_INVALID, wanted[i], "output '%s' is asked for twice",
                                  wanted[i]);
        index[i] = j;
    }
    *which = index;
    *n = count;
    return 0;
}

static int bind_inputs(struct ctx *c, const struct onnx_session *s, const struct tensor *in,
                       size_t nin, ort_value **values) {
    for (size_t i = 0; i < nin; i++) {
        size_t j = i < s->nin && strcmp(s->in_names[i], in[i].name) == 0 ? i : 0;
        while (j < s->nin && strcmp(s->in_names[j], in[i].name) != 0)
            j++;
        if (j == s->nin)
            return fail_field(c, ERR_INVALID, in[i].name, "the model has no input '%s'; it has %s",
                              in[i].name, name_list(c, s->in, s->nin));
        if (values[j])
            return fail_field(c, ERR_INVALID, in[i].name, "input '%s' is given twice", in[i].name);
        int rc = check_input(c, &s->in[j], &s->in_port[j], &in[i]);
        if (rc == 0)
            rc = make_input(c, &in[i], &values[j]);
        if (rc < 0)
            return rc;
    }
    for (size_t j = 0; j < s->nin; j++)
        if (!values[j])
            return fail_field(c, ERR_INVALID, s->in_names[j], "input '%s' (%s) is missing",
                              s->in_names[j], dtype_name(s->in[j].dtype));
    return 0;
}

int onnx_run(struct ctx *c, const struct onnx_session *s, const struct tensor *in, size_t nin,
             const char *const *wanted, struct tensor **out, size_t *nout) {
    size_t n = s->nout;
    size_t *which = NULL;
    int rc = wanted ? find_outputs(c, s, wanted, &which, &n) : 0;
    if (rc < 0)
        return rc;
    ort_value **values = ARENA_ARRAY(c->arena, ort_value *, s->nin + n + 1);
    ort_value **results = values + s->nin;
    const char **names = s->out_names;
    if (which) {
        names = ARENA_ARRAY(c->arena, const char *, n + 1);
        for (size_t i = 0; i < n; i++)
            names[i] = s->out_names[which[i]];
    }
    rc = bind_inputs(c, s, in, nin, values);
    if (rc == 0 && n > 0) {
        struct runner *r = runner_begin(c->deadline_ns);
        ort_status *st = ort.run(s->ort, runner_options(r), s->in_names,
                                 (const ort_value *const *)values, s->nin, names, n, results);
        bool stopped = runner_end(r);
        if (st && stopped) {
            ort_ignore(st);
            rc = fail(c, ERR_DEADLINE, "the prediction took too long and was stopped");
        } else {
            rc = ort_check(c, st, ERR_UNPROCESSABLE, "the model failed");
        }
    }
    struct outputs o = {.room = OUTPUT_MAX};
    for (size_t i = 0; rc == 0 && i < n; i++) {
        size_t j = which ? which[i] : i;
        if (!results[i]) {
            rc = fail(c, ERR_UNPROCESSABLE, "the model gave no output '%s'", s->out_names[j]);
        } else if (s->out_port[j].kind == PORT_TENSOR) {
            struct tensor *t = add_output(c, &o);
            t->name = s->out_names[j];
            rc = read_tensor(c, results[i], t, &o);
        } else {
            rc = read_sequence(c, results[i], &s->out[j], s->out_port[j].kind, &o);
        }
    }
    for (size_t i = 0; i < s->nin + n; i++)
        if (values[i])
            ort.release_value(values[i]);
    if (rc < 0)
        return rc;
    *out = o.items;
    *nout = o.n;
    return 0;
}
