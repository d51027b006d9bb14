/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <stdlib.h>
#include <string.h>

#include "ort_library.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"
#include "quern/onnx/onnx.h"

/* Takes a text that the runtime allocated; "" when it is not UTF-8. */
static const char *take_text(struct arena *a, char *text) {
    if (!text)
        return "";
    const char *copy = utf8_valid(text, strlen(text)) ? arena_strdup(a, text) : "";
    ort_ignore(ort.allocator_free(ort.allocator, text));
    return copy;
}

static int read_tensor_info(struct ctx *c, const ort_tensor_info *info, const char *door,
                            struct tensor_spec *spec, struct port *port) {
    int element = 0;
    size_t rank = 0;
    int rc = ort_check(c, ort.element_type(info, &element), ERR_UNPROCESSABLE, "the model");
    if (rc == 0)
        rc = ort_check(c, ort.dimension_count(info, &rank), ERR_UNPROCESSABLE, "the model");
    if (rc < 0)
        return rc;
    if (dtype_of_ort(element, &spec->dtype) < 0)
        return fail(c, ERR_UNPROCESSABLE,
                    "%s '%s' of the model has element type %d, which cannot be served", door,
                    spec->name, element);
    if (rank > TENSOR_MAX_RANK)
        return fail(c, ERR_UNPROCESSABLE,
                    "%s '%s' of the model has %zu dimensions; at most %d can "
                    "be served",
                    door, spec->name, rank, TENSOR_MAX_RANK);
    spec->rank = rank;
    port->any_rank = rank == 0;
    if (rank == 0)
        return 0;
    rc = ort_check(c, ort.dimensions(info, spec->shape, rank), ERR_UNPROCESSABLE, "the model");
    for (size_t i = 0; rc == 0 && i < rank; i++)
        if (spec->shape[i] < 0)
            spec->shape[i] = -1;
    return rc;
}

static int read_sequence(struct ctx *c, const ort_type_info *type, struct tensor_spec *spec,
                         struct port *port) {
    const ort_sequence_info *sequence = NULL;
    ort_type_info *element = NULL;
    int kind = 0;
    int rc = ort_check(c, ort.cast_sequence_info(type, &sequence), ERR_UNPROCESSABLE, "the model");
    if (rc == 0)
        rc = ort_check(c, ort.sequence_element(sequence, &element), ERR_UNPROCESSABLE, "the model");
    if (rc == 0)
        rc = ort_check(c, ort.type_of_info(element, &kind), ERR_UNPROCESSABLE, "the model");
    if (rc == 0 && kind == ORT_MAP) {
        port->kind = PORT_MAPS;
        spec->dtype = DT_FP32;
        spec->rank = 2;
        spec->shape[0] = spec->shape[1] = -1;
        const ort_map_info *map = NULL;
        ort_type_info *value = NULL;
        const ort_tensor_info *info = NULL;
        int dtype = ORT_FLOAT;
        rc = ort_check(c, ort.cast_map_info(element, &map), ERR_UNPROCESSABLE, "the model");
        if (rc == 0)
            rc = ort_check(c, ort.map_value_type(map, &value), ERR_UNPROCESSABLE, "the model");
        if (rc == 0)
            rc = ort_check(c, ort.cast_tensor_info(value, &info), ERR_UNPROCESSABLE, "the model");
        if (rc == 0 && info)
            rc = ort_check(c, ort.element_type(info, &dtype), ERR_UNPROCESSABLE, "the model");
        if (rc == 0 && dtype_of_ort(dtype, &spec->dtype) < 0)
            rc = fail(c, ERR_UNPROCESSABLE,
                      "output '%s' of the model maps to element type %d, "
                      "which cannot be served",
                      spec->name, dtype);
        ort.release_type_info(value);
    } else if (rc == 0 && kind == ORT_TENSOR) {
        port->kind = PORT_TENSORS;
        const ort_tensor_info *info = NULL;
        rc = ort_check(c, ort.cast_tensor_info(element, &info), ERR_UNPROCESSABLE, "the model");
        if (rc == 0)
            rc = read_tensor_info(c, info, "output", spec, port);
    } else if (rc == 0) {
        rc = fail(c, ERR_UNPROCESSABLE,
                  "output '%s' of the model is a sequence of neither tensors nor maps", spec->name);
    }
    ort.release_type_info(element);
    return rc;
}

static int read_door(struct ctx *c, struct onnx_session *s, bool input, size_t i) {
    const char *door = input ? "input" : "output";
    struct tensor_spec *spec = input ? &s->in[i] : &s->out[i];
    struct port *port = input ? &s->in_port[i] : &s->out_port[i];
    char *name = NULL;
    ort_type_info *type = NULL;
    int kind = 0;
    int rc = ort_check(c,
                       input ? ort.input_name(s->ort, i, ort.allocator, &name)
                             : ort.output_name(s->ort, i, ort.allocator, &name),
                       ERR_UNPROCESSABLE, "the model");
    if (rc < 0)
        return rc;
    spec->name = take_text(s->arena, name);
    if (!*spec->name)
        return fail(c, ERR_UNPROCESSABLE, "%s %zu of the model has no readable name", door, i);
    (input ? s->in_names : s->out_names)[i] = spec->name;
    rc = ort_check(c, input ? ort.input_type(s->ort, i, &type) : ort.output_type(s->ort, i, &type),
                   ERR_UNPROCESSABLE, "the model");
    if (rc == 0)
        rc = ort_check(c, ort.type_of_info(type, &kind), ERR_UNPROCESSABLE, "the model");
    if (rc == 0 && kind == ORT_TENSOR) {
        const ort_tensor_info *info = NULL;
        rc = ort_check(c, ort.cast_tensor_info(type, &info), ERR_UNPROCESSABLE, "the model");
        if (rc == 0)
            rc = read_tensor_info(c, info, door, spec, port);
    } else if (rc == 0 && kind == ORT_SEQUENCE && !input) {
        rc = read_sequence(c, type, spec, port);
    } else if (rc == 0) {
        rc = fail(c, ERR_UNPROCESSABLE, "%s '%s' of the model is not a tensor and cannot be served",
                  door, spec->name);
    }
    ort.release_type_info(type);
    return rc;
}

static int read_doors(struct ctx *c, struct onnx_session *s) {
    int rc = ort_check(c, ort.input_count(s->ort, &s->nin), ERR_UNPROCESSABLE, "the model");
    if (rc == 0)
        rc = ort_check(c, ort.output_count(s->ort, &s->nout), ERR_UNPROCESSABLE, "the model");
    if (rc < 0)
        return rc;
    if (s->nin == 0 || s->nout == 0)
        return fail(c, ERR_UNPROCESSABLE,
                    "the model has %zu inputs and %zu outputs; it needs at "
                    "least one of each",
                    s->nin, s->nout);
    s->in = ARENA_ARRAY(s->arena, struct tensor_spec, s->nin);
    s->out = ARENA_ARRAY(s->arena, struct tensor_spec, s->nout);
    s->in_port = ARENA_ARRAY(s->arena, struct port, s->nin);
    s->out_port = ARENA_ARRAY(s->arena, struct port, s->nout);
    s->in_names = ARENA_ARRAY(s->arena, const char *, s->nin);
    s->out_names = ARENA_ARRAY(s->arena, const char *, s->nout);
    for (size_t i = 0; rc == 0 && i < s->nin; i++)
        rc = read_door(c, s, true, i);
    for (size_t i = 0; rc == 0 && i < s->nout; i++)
        rc = read_door(c, s, false, i);
    return rc;
}

static void put_custom(struct json_writer *w, struct onnx_session *s, const ort_metadata *m) {
    char **keys = NULL;
    int64_t n = 0;
    ort_status *st = ort.metadata_keys(m, ort.allocator, &keys, &n);
    if (st) {
        ort_ignore(st);
        return;
    }
    if (n > 0) {
        jw_key(w, "custom");
        jw_obj(w);
        for (int64_t i = 0; i < n; i++) {
            char *value = NULL;
            st = ort.metadata_lookup(m, ort.allocator, keys[i], &value);
            const char *key = take_text(s->arena, keys[i]);
            if (st)
                ort_ignore(st);
            else
                jw_key_str(w, key, take_text(s->arena, value));
        }
        jw_obj_end(w);
    }
    if (keys)
        ort_ignore(ort.allocator_free(ort.allocator, keys));
}

static void read_metadata(struct onnx_session *s) {
    ort_metadata *m = NULL;
    ort_status *st = ort.model_metadata(s->ort, &m);
    if (st) {
        ort_ignore(st);
        s->metadata = "{}";
        return;
    }
    struct buf text = {0};
    struct json_writer w;
    jw_init(&w, &text);
    jw_obj(&w);
    const struct {
        const char *key;
        ort_status *(*get)(const ort_metadata *, ort_allocator *, char **);
    } texts[] = {{"producer", ort.metadata_producer},
                 {"graph", ort.metadata_graph},
                 {"domain", ort.metadata_domain},
                 {"description", ort.metadata_description}};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char *value = NULL;
        st = texts[i].get(m, ort.allocator, &value);
        ort_ignore(st);
        const char *copy = st ? "" : take_text(s->arena, value);
        if (*copy)
            jw_key_str(&w, texts[i].key, copy);
    }
    int64_t version = 0;
    st = ort.metadata_version(m, &version);
    ort_ignore(st);
    if (!st && version != INT64_MAX) /* which stands for none */
        jw_key_i64(&w, "version", version);
    put_custom(&w, s, m);
    jw_obj_end(&w);
    s->metadata = arena_strndup(s->arena, text.data, text.len);
    buf_free(&text);
    ort.release_metadata(m);
}

static int make_options(struct ctx *c, ort_options **out) {
    int rc = ort_check(c, ort.create_options(out), ERR_INTERNAL, "session options");
    if (rc < 0)
        return rc;
    ort_status *(*const steps[])(ort_options *, int) = {
        ort.set_execution_mode, ort.set_optimization, ort.set_intra_threads, ort.set_inter_threads};
    static const int values[] = {0, 99, 1, 1}; /* sequential, all optimizations, one thread each */
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(steps); i++)
        rc = ort_check(c, steps[i](*out, values[i]), ERR_INTERNAL, "session options");
    if (rc == 0) /* one plan is kept per input shape otherwise: memory creeps with batch sizes */
        rc = ort_check(c, ort.disable_mem_pattern(*out), ERR_INTERNAL, "session options");
    if (rc ==
        0) /* an arena never gives back; for the small tensors of a row malloc is quicker too */
        rc = ort_check(c, ort.disable_mem_arena(*out), ERR_INTERNAL, "session options");
    if (rc == 0) {
        ort_ignore(ort.add_config(*out, "session.intra_op.allow_spinning", "0"));
        ort_ignore(ort.add_config(*out, "session.inter_op.allow_spinning", "0"));
    }
    return rc;
}

/* The runtime names the file it was given; callers elsewhere have no business knowing where it is.
 */
static void hide_folder(struct ctx *c, const char *path) {
    const char *slash = strrchr(path, '/');
    size_t folder = slash ? (size_t)(slash + 1 - path) : 0;
    if (!folder || !c->err.message)
        return;
    const char *prefix = arena_strndup(c->arena, path, folder);
    for (char *at; (at = strstr(c->err.message, prefix)) != NULL;)
        memmove(at, at + folder, strlen(at + folder) + 1);
}

static int load(struct ctx *c, const void *model, size_t n, const char *path,
                struct onnx_session **out) {
    *out = NULL;
    if (!onnx_ready())
        return fail(c, ERR_NOT_READY,
                    "ONNX Runtime is not loaded: libonnxruntime.so was not found "
                    "(deploy/onnxruntime.sh fetches it, onnx.library names it)");
    ort_options *options = NULL;
    int rc = make_options(c, &options);
    struct onnx_session *s = mem_alloc(sizeof *s);
    s->arena = arena_new();
    if (rc == 0)
        rc = ort_check(c,
                       path ? ort.create_session(ort.env, path, options, &s->ort)
                            : ort.create_session_array(ort.env, model, n, options, &s->ort),
                       ERR_UNPROCESSABLE, "the model cannot be loaded");
    if (options)
        ort.release_options(options);
    if (rc < 0 && c->err.code == ERR_INVALID)
        rc = -(c->err.code = ERR_UNPROCESSABLE); /* the file is at fault, not a request */
    if (rc == 0)
        rc = read_doors(c, s);
    if (rc < 0 && path)
        hide_folder(c, path);
    if (rc < 0) {
        onnx_free(s);
        return rc;
    }
    read_metadata(s);
    *out = s;
    return 0;
}

int onnx_load(struct ctx *c, const void *model, size_t n, struct onnx_session **out) {
    return load(c, model, n, NULL, out);
}

int onnx_load_file(struct ctx *c, const char *path, struct onnx_session **out) {
    return load(c, NULL, 0, path, out);
}

void onnx_free(struct onnx_session *s) {
    if (!s)
        return;
    if (s->ort)
        ort.release_session(s->ort);
    arena_free(s->arena);
    free(s);
}

size_t onnx_inputs(const struct onnx_session *s, const struct tensor_spec **specs) {
    *specs = s->in;
    return s->nin;
}

size_t onnx_outputs(const struct onnx_session *s, const struct tensor_spec **specs) {
    *specs = s->out;
    return s->nout;
}

const char *onnx_metadata(const struct onnx_session *s) {
    return s->metadata;
}
