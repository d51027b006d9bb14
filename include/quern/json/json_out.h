/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_JSON_JSON_OUT_H
#define QUERN_JSON_JSON_OUT_H
/* Json out: struct to text by shape, and a streaming writer for everything else. Doubles: shortest
 * form that reads back equal, ".0" when integral; NaN and infinities as the strings "NaN",
 * "Infinity", "-Infinity". No blanks. Strings are escaped (", \, control) and must be UTF-8. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/core/shape.h"

struct arena;
struct buf;
struct json_t;

void json_encode(struct buf *out, const struct shape *shape, const void *value);

/* The writer puts commas by itself. */
struct json_writer {
    struct buf *out;
    uint64_t need_comma; /* bit per depth */
    unsigned depth;
};

void jw_init(struct json_writer *w, struct buf *out);
void jw_obj(struct json_writer *w);
void jw_obj_end(struct json_writer *w);
void jw_arr(struct json_writer *w);
void jw_arr_end(struct json_writer *w);
void jw_key(struct json_writer *w, const char *key);
void jw_str(struct json_writer *w, const char *s); /* NULL writes null */
void jw_strn(struct json_writer *w, const char *s, size_t n);
void jw_i64(struct json_writer *w, int64_t v);
void jw_f64(struct json_writer *w, double v);
void jw_bool(struct json_writer *w, bool v);
void jw_null(struct json_writer *w);
void jw_raw(struct json_writer *w, const char *json, size_t n); /* already JSON */
void jw_tree(struct json_writer *w, const struct json_t *tree);
void jw_key_str(struct json_writer *w, const char *key, const char *s); /* NULL leaves it out */
void jw_key_i64(struct json_writer *w, const char *key, int64_t v);
void jw_key_f64(struct json_writer *w, const char *key, double v);
void jw_key_bool(struct json_writer *w, const char *key, bool v);
/* "3.0", "1e+30": the double form used everywhere; out[32]. NaN and infinities with their quotes.
 */
size_t json_double(double v, char out[32]);

/* A tree as text on the arena, numbers as above: what came as 1.1 stays 1.1, which jansson's own
 * writer does not promise. */
enum json_form {
    JSON_TIGHT,        /* no blanks, members as they came */
    JSON_TIGHT_SORTED, /* the same, members by name */
    JSON_SPACED        /* ", " and ": ", as Python writes */
};
char *json_text(struct arena *a, const struct json_t *tree, enum json_form form);
/* A list of texts. */
char *json_strs(struct arena *a, const char *const *items, size_t n);
/* What Python calls a value's type, as MLflow's messages have it: "dict", "NoneType". */
const char *json_python_type(const struct json_t *v);
/* The same, appended. */
void json_put(struct buf *out, const struct json_t *tree, enum json_form form);

#endif
