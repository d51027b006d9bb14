/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_CORE_SHAPE_H
#define QUERN_CORE_SHAPE_H
/* Shape: a struct and its JSON form, declared once. From a shape come decoding with errors that
 * name the field, encoding, the OpenAPI schema and the reference page.
 *
 * A field that may be absent uses these C types:
 *   T_STR     const char *           NULL when absent; never contains NUL
 *   T_I64     struct opt_i64         int64; JSON number, or (MLflow) decimal text
 *   T_F64     struct opt_f64         may hold NaN and infinities only with F_NONFINITE
 *   T_BOOL    struct opt_bool
 *   T_ENUM    const char *           one of `names`; in MLflow's dialect also its number
 *   T_OBJ     struct <sub> *         NULL when absent
 *   T_LIST    struct list            items are structs of `sub` (inline array)
 *   T_STRS    struct strs            list of strings
 *   T_JSON    struct json_t *        any JSON value, borrowed from the request's tree (in), or a
 *                                    new reference that hangs on the arena (out)
 *   T_MAP     struct pairs           object of string to string
 *   T_FMAP    struct fpairs          object of string to number
 * In answers an unset scalar, NULL pointer or empty list is left out, unless F_ALWAYS is set
 * (then null, [] or {}). */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_t;

struct opt_i64 {
    int64_t v;
    bool set;
};
struct opt_f64 {
    double v;
    bool set;
};
struct opt_bool {
    bool v;
    bool set;
};
struct list {
    void *items;
    size_t n;
};
struct strs {
    const char **items;
    size_t n;
};
struct pair {
    const char *key, *value;
};
struct pairs {
    struct pair *items;
    size_t n;
};
struct fpair {
    const char *key;
    double value;
};
struct fpairs {
    struct fpair *items;
    size_t n;
};

#define SET_I64(x) ((struct opt_i64){.v = (x), .set = true})
#define SET_F64(x) ((struct opt_f64){.v = (x), .set = true})
#define SET_BOOL(x) ((struct opt_bool){.v = (x), .set = true})

enum field_type {
    T_STR,
    T_I64,
    T_F64,
    T_BOOL,
    T_ENUM,
    T_OBJ,
    T_LIST,
    T_STRS,
    T_JSON,
    T_MAP,
    T_FMAP,
};

enum field_flag {
    F_REQUIRED = 1u << 0,    /* absent or null is an error; "" too unless F_EMPTY_OK */
    F_EMPTY_OK = 1u << 1,    /* "" counts as present for a required string */
    F_PATH = 1u << 2,        /* comes from the route's {name} */
    F_QUERY = 1u << 3,       /* comes from the query string (also on POST) */
    F_ALWAYS = 1u << 4,      /* written even when empty or absent */
    F_NONFINITE = 1u << 5,   /* "NaN", "Infinity", "-Infinity" accepted in text form */
    F_NUMBER_TEXT = 1u << 6, /* T_STR that refuses a JSON number with MLflow's type hint (default:
                                refuse as well); set to accept a number as its text instead */
};

struct shape;

struct field {
    const char *name; /* wire name, snake_case; camelCase accepted too in MLflow's dialect */
    enum field_type type;
    unsigned flags;
    size_t offset;
    const struct shape *sub;  /* T_OBJ, T_LIST */
    const char *const *names; /* T_ENUM: NULL-terminated */
    int64_t min, max;  /* T_I64 range, T_STR/T_LIST length in code points/items; max 0: none */
    const char *doc;   /* one sentence with unit */
    const char *alias; /* second accepted wire name (run_uuid), or NULL */
};

struct shape {
    const char *name; /* OpenAPI component name, "LogMetric" */
    size_t size;      /* of the struct */
    const struct field *fields;
    size_t n;
    bool strict; /* unknown members are an error (never in MLflow's or OIP's dialect) */
};

/* Rows: FIELD(struct log_metric, key, T_STR, F_REQUIRED, "Metric name") */
#define FIELD(S, m, t, fl, d)                                                                      \
    { .name = #m, .type = (t), .flags = (fl), .offset = offsetof(S, m), .doc = (d) }
#define FIELD_AS(S, m, wire, t, fl, d)                                                             \
    { .name = (wire), .type = (t), .flags = (fl), .offset = offsetof(S, m), .doc = (d) }
#define FIELD_SUB(S, m, t, fl, s, d)                                                               \
    { .name = #m, .type = (t), .flags = (fl), .offset = offsetof(S, m), .sub = (s), .doc = (d) }
#define FIELD_ENUM(S, m, fl, ns, d)                                                                \
    {                                                                                              \
        .name = #m, .type = T_ENUM, .flags = (fl), .offset = offsetof(S, m), .names = (ns),        \
        .doc = (d)                                                                                 \
    }
#define FIELD_MAX(S, m, t, fl, lo, hi, d)                                                          \
    {                                                                                              \
        .name = #m, .type = (t), .flags = (fl), .offset = offsetof(S, m), .min = (lo),             \
        .max = (hi), .doc = (d)                                                                    \
    }
/* SHAPE is visible to other files of the room, SHAPE_LOCAL to its own file only. */
#define SHAPE_LOCAL(ident, wire, S, ...)                                                           \
    static const struct field ident##_fields[] = {__VA_ARGS__};                                    \
    static const struct shape ident = {.name = (wire),                                             \
                                       .size = sizeof(S),                                          \
                                       .fields = ident##_fields,                                   \
                                       .n = sizeof(ident##_fields) / sizeof(ident##_fields[0])}
#define SHAPE(ident, wire, S, ...)                                                                 \
    static const struct field ident##_fields[] = {__VA_ARGS__};                                    \
    const struct shape ident = {.name = (wire),                                                    \
                                .size = sizeof(S),                                                 \
                                .fields = ident##_fields,                                          \
                                .n = sizeof(ident##_fields) / sizeof(ident##_fields[0])}

/* The same, where an unknown member is an error: documents that people write. */
#define SHAPE_STRICT(ident, wire, S, ...)                                                          \
    static const struct field ident##_fields[] = {__VA_ARGS__};                                    \
    const struct shape ident = {.name = (wire),                                                    \
                                .size = sizeof(S),                                                 \
                                .fields = ident##_fields,                                          \
                                .n = sizeof(ident##_fields) / sizeof(ident##_fields[0]),           \
                                .strict = true}

extern const struct shape shape_empty; /* no fields */

#endif
