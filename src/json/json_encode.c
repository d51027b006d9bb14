/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/json/json_out.h"

static void put_object(struct json_writer *w, const struct shape *shape, const char *value);

static void put_list(struct json_writer *w, const struct field *f, const struct list *list) {
    jw_arr(w);
    for (size_t i = 0; i < list->n; i++)
        put_object(w, f->sub, (const char *)list->items + i * f->sub->size);
    jw_arr_end(w);
}

static void put_strs(struct json_writer *w, const struct strs *strs) {
    jw_arr(w);
    for (size_t i = 0; i < strs->n; i++)
        jw_str(w, strs->items[i]);
    jw_arr_end(w);
}

static void put_map(struct json_writer *w, const struct pairs *pairs) {
    jw_obj(w);
    for (size_t i = 0; i < pairs->n; i++) {
        jw_key(w, pairs->items[i].key);
        jw_str(w, pairs->items[i].value);
    }
    jw_obj_end(w);
}

static void put_fmap(struct json_writer *w, const struct fpairs *pairs) {
    jw_obj(w);
    for (size_t i = 0; i < pairs->n; i++)
        jw_key_f64(w, pairs->items[i].key, pairs->items[i].value);
    jw_obj_end(w);
}

static bool present(const struct field *f, const char *slot) {
    switch (f->type) {
    case T_STR:
    case T_ENUM:
    case T_OBJ:
    case T_JSON:
        return *(const void *const *)slot != NULL;
    case T_I64:
        return ((const struct opt_i64 *)slot)->set;
    case T_F64:
        return ((const struct opt_f64 *)slot)->set;
    case T_BOOL:
        return ((const struct opt_bool *)slot)->set;
    case T_LIST:
        return ((const struct list *)slot)->n > 0;
    case T_STRS:
        return ((const struct strs *)slot)->n > 0;
    case T_MAP:
        return ((const struct pairs *)slot)->n > 0;
    case T_FMAP:
        return ((const struct fpairs *)slot)->n > 0;
    }
    return false;
}

static bool collection(enum field_type t) {
    return t == T_LIST || t == T_STRS || t == T_MAP || t == T_FMAP;
}

static void put_field(struct json_writer *w, const struct field *f, const char *slot) {
    switch (f->type) {
    case T_STR:
    case T_ENUM:
        jw_str(w, *(const char *const *)slot);
        break;
    case T_I64:
        jw_i64(w, ((const struct opt_i64 *)slot)->v);
        break;
    case T_F64:
        jw_f64(w, ((const struct opt_f64 *)slot)->v);
        break;
    case T_BOOL:
        jw_bool(w, ((const struct opt_bool *)slot)->v);
        break;
    case T_OBJ:
        put_object(w, f->sub, *(const char *const *)slot);
        break;
    case T_LIST:
        put_list(w, f, (const struct list *)slot);
        break;
    case T_STRS:
        put_strs(w, (const struct strs *)slot);
        break;
    case T_JSON:
        jw_tree(w, *(const struct json_t *const *)slot);
        break;
    case T_MAP:
        put_map(w, (const struct pairs *)slot);
        break;
    case T_FMAP:
        put_fmap(w, (const struct fpairs *)slot);
        break;
    }
}

static void put_object(struct json_writer *w, const struct shape *shape, const char *value) {
    jw_obj(w);
    for (size_t i = 0; i < shape->n; i++) {
        const struct field *f = &shape->fields[i];
        const char *slot = value + f->offset;
        bool here = present(f, slot);
        if (!here && !(f->flags & F_ALWAYS))
            continue;
        jw_key(w, f->name);
        if (here || collection(f->type))
            put_field(w, f, slot);
        else
            jw_null(w);
    }
    jw_obj_end(w);
}

void json_encode(struct buf *out, const struct shape *shape, const void *value) {
    struct json_writer w;
    jw_init(&w, out);
    put_object(&w, shape, value);
}
