/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/map.h"
#include "quern/base/str.h"
#include "quern/http/server.h"
#include "quern/json/json_out.h"
#include "router.h"

/* OpenAPI 3.1 from the rows. Paths are grouped because a path is one object with a member per
 * method; the second path of ROUTE_MLFLOW_AJAX rows is left out, it would double every schema. */

static void key_schema_ref(struct json_writer *w, const char *key, const char *name) {
    char ref[256];
    snprintf(ref, sizeof(ref), "#/components/schemas/%s", name);
    jw_key(w, key);
    jw_obj(w);
    jw_key_str(w, "$ref", ref);
    jw_obj_end(w);
}

/* ------------------------------------------------------------------ schemas */

static void limits(struct json_writer *w, const struct field *f, const char *low,
                   const char *high) {
    if (f->min)
        jw_key_i64(w, low, f->min);
    if (f->max)
        jw_key_i64(w, high, f->max);
}

static void field_schema(struct json_writer *w, const struct field *f) {
    jw_obj(w);
    switch (f->type) {
    case T_STR:
        jw_key_str(w, "type", "string");
        limits(w, f, "minLength", "maxLength");
        break;
    case T_I64:
        jw_key_str(w, "type", "integer");
        jw_key_str(w, "format", "int64");
        limits(w, f, "minimum", "maximum");
        break;
    case T_F64:
        if (f->flags & F_NONFINITE) {
            jw_key(w, "type");
            jw_arr(w);
            jw_str(w, "number");
            jw_str(w, "string");
            jw_arr_end(w);
        } else {
            jw_key_str(w, "type", "number");
        }
        jw_key_str(w, "format", "double");
        break;
    case T_BOOL:
        jw_key_str(w, "type", "boolean");
        break;
    case T_ENUM:
        jw_key_str(w, "type", "string");
        jw_key(w, "enum");
        jw_arr(w);
        for (const char *const *n = f->names; n && *n; n++)
            jw_str(w, *n);
        jw_arr_end(w);
        break;
    case T_OBJ: {
        char ref[256];
        snprintf(ref, sizeof(ref), "#/components/schemas/%s", f->sub->name);
        jw_key_str(w, "$ref", ref);
        break;
    }
    case T_LIST:
        jw_key_str(w, "type", "array");
        key_schema_ref(w, "items", f->sub->name);
        limits(w, f, "minItems", "maxItems");
        break;
    case T_STRS:
        jw_key_str(w, "type", "array");
        jw_key(w, "items");
        jw_obj(w);
        jw_key_str(w, "type", "string");
        jw_obj_end(w);
        limits(w, f, "minItems", "maxItems");
        break;
    case T_JSON:
        break; /* any value: the empty schema */
    case T_MAP:
    case T_FMAP:
        jw_key_str(w, "type", "object");
        jw_key(w, "additionalProperties");
        jw_obj(w);
        jw_key_str(w, "type", f->type == T_MAP ? "string" : "number");
        jw_obj_end(w);
        break;
    }
    jw_key_str(w, "description", f->doc);
    jw_obj_end(w);
}

static bool in_body(const struct field *f) {
    return !(f->flags & (F_PATH | F_QUERY));
}

/* An answer shows all fields, an input those that travel in the body. One shape used both ways
 * shows all. */
static void shape_schema(struct json_writer *w, const struct shape *s) {
    bool required = false;
    jw_obj(w);
    jw_key_str(w, "type", "object");
    jw_key(w, "properties");
    jw_obj(w);
    for (size_t i = 0; i < s->n; i++) {
        jw_key(w, s->fields[i].name);
        field_schema(w, &s->fields[i]);
        required |= in_body(&s->fields[i]) && (s->fields[i].flags & F_REQUIRED);
    }
    jw_obj_end(w);
    if (required) {
        jw_key(w, "required");
        jw_arr(w);
        for (size_t i = 0; i < s->n; i++)
            if (in_body(&s->fields[i]) && (s->fields[i].flags & F_REQUIRED))
                jw_str(w, s->fields[i].name);
        jw_arr_end(w);
    }
    if (s->strict)
        jw_key_bool(w, "additionalProperties", false);
    jw_obj_end(w);
}

static void collect(struct map *shapes, const struct shape *s) {
    if (!s || map_has(shapes, s->name))
        return;
    map_set(shapes, s->name, (void *)s);
    for (size_t i = 0; i < s->n; i++)
        collect(shapes, s->fields[i].sub);
}

static void error_schema(struct json_writer *w, const char *name, const char *const *members) {
    jw_key(w, name);
    jw_obj(w);
    jw_key_str(w, "type", "object");
    jw_key(w, "properties");
    jw_obj(w);
    for (; *members; members++) {
        jw_key(w, *members);
        jw_obj(w);
        jw_key_str(w, "type", strcmp(*members, "status") == 0 ? "integer" : "string");
        jw_obj_end(w);
    }
    jw_obj_end(w);
    jw_obj_end(w);
}

static const char *error_name(enum dialect d) {
    switch (d) {
    case DIALECT_MLFLOW:
    case DIALECT_SCORING:
        return "MlflowError";
    case DIALECT_OIP:
        return "InferenceError";
    case DIALECT_PROBLEM:
        return "Problem";
    case DIALECT_TEXT:
        break;
    }
    return NULL;
}

/* ------------------------------------------------------------------ operations */

static void parameters(struct json_writer *w, const struct route *row) {
    bool any = false;
    bool body = strcmp(row->method, "GET") != 0;
    for (size_t i = 0; row->in && i < row->in->n; i++) {
        const struct field *f = &row->in->fields[i];
        const char *where = f->flags & F_PATH             ? "path"
                            : f->flags & F_QUERY || !body ? "query"
                                                          : NULL;
        if (!where)
            continue;
        /* A field may say F_PATH for several rows while this row's path has no such variable. */
        char var[128], rest[128];
        snprintf(var, sizeof(var), "{%s}", f->name);
        snprintf(rest, sizeof(rest), "{%s...}", f->name);
        if (f->flags & F_PATH && !strstr(row->path, var) && !strstr(row->path, rest))
            continue;
        if (!any) {
            jw_key(w, "parameters");
            jw_arr(w);
            any = true;
        }
        jw_obj(w);
        jw_key_str(w, "name", f->name);
        jw_key_str(w, "in", where);
        jw_key_bool(w, "required", f->flags & F_PATH || f->flags & F_REQUIRED);
        jw_key_str(w, "description", f->doc);
        jw_key(w, "schema");
        field_schema(w, f);
        jw_obj_end(w);
    }
    if (any)
        jw_arr_end(w);
}

static void content(struct json_writer *w, const char *type, const char *schema) {
    jw_key(w, "content");
    jw_obj(w);
    jw_key(w, type);
    jw_obj(w);
    if (schema)
        key_schema_ref(w, "schema", schema);
    jw_obj_end(w);
    jw_obj_end(w);
}

static void request_body(struct json_writer *w, const struct route *row) {
    bool streamed = row->flags & (ROUTE_UPLOAD | ROUTE_RAW_BODY);
    bool fields = false, required = false;
    for (size_t i = 0; row->in && i < row->in->n; i++) {
        fields |= in_body(&row->in->fields[i]);
        required |= in_body(&row->in->fields[i]) && (row->in->fields[i].flags & F_REQUIRED);
    }
    if (strcmp(row->method, "GET") == 0 || (!streamed && !fields))
        return;
    jw_key(w, "requestBody");
    jw_obj(w);
    if (streamed)
        content(w, "*/*", NULL);
    else
        content(w, "application/json", row->in->name);
    if (required && !streamed)
        jw_key_bool(w, "required", true);
    jw_obj_end(w);
}

static void responses(struct json_writer *w, const struct route *row) {
    const char *error = error_name(row->dialect);
    jw_key(w, "responses");
    jw_obj(w);
    jw_key(w, "200");
    jw_obj(w);
    jw_key_str(w, "description", "Done.");
    if (row->out)
        content(w, "application/json", row->out->name);
    jw_obj_end(w);
    jw_key(w, "default");
    jw_obj(w);
    jw_key_str(w, "description", "Refused or failed.");
    content(w,
            !error                            ? "text/plain"
            : row->dialect == DIALECT_PROBLEM ? "application/problem+json"
                                              : "application/json",
            error);
    jw_obj_end(w);
    jw_obj_end(w);
}

static void operation(struct json_writer *w, const struct route *row) {
    char tag[64];
    size_t n = strcspn(row->id, ".");
    snprintf(tag, sizeof(tag), "%.*s", (int)(n < 60 ? n : 60), row->id);
    char method[8];
    size_t m = 0;
    for (; row->method[m] && m < sizeof(method) - 1; m++)
        method[m] = (char)(row->method[m] | 0x20);
    method[m] = '\0';
    jw_key(w, method);
    jw_obj(w);
    jw_key_str(w, "operationId", row->id);
    jw_key(w, "tags");
    jw_arr(w);
    jw_str(w, tag);
    jw_arr_end(w);
    jw_key_str(w, "summary", row->summary);
    jw_key_str(w, "x-quern-permission", perm_name(row->perm));
    if (row->perm == PERM_PUBLIC) {
        jw_key(w, "security");
        jw_arr(w);
        jw_arr_end(w);
    }
    parameters(w, row);
    request_body(w, row);
    responses(w, row);
    jw_obj_end(w);
}

/* "{path...}" as "{path}": OpenAPI has no word for the rest of a path. */
static void path_text(const char *path, struct buf *out) {
    buf_clear(out);
    for (const char *p = path; *p; p++) {
        if (strncmp(p, "...}", 4) == 0)
            p += 3;
        buf_putc(out, *p);
    }
}

struct row_list {
    const struct route **rows;
    size_t n;
};

static int by_path(const void *a, const void *b) {
    const struct route *x = *(const struct route *const *)a, *y = *(const struct route *const *)b;
    int order = strcmp(x->path, y->path);
    return order ? order : strcmp(x->method, y->method);
}

static struct row_list sorted(const struct route_list *routes) {
    struct row_list all = {0};
    size_t n = 0;
    for (const struct route_list *l = routes; l->n; l++)
        n += l->n;
    all.rows = mem_alloc((n ? n : 1) * sizeof(*all.rows));
    for (const struct route_list *l = routes; l->n; l++)
        for (size_t i = 0; i < l->n; i++)
            all.rows[all.n++] = &l->rows[i];
    qsort(all.rows, all.n, sizeof(*all.rows), by_path);
    return all;
}

/* Patterns that differ in the names of variables alone are one path to OpenAPI. Rows of such a pair
 * have different methods and stand under the first one's spelling only when it is the same. */
static void paths(struct json_writer *w, const struct row_list *all) {
    struct buf text = {0}, open = {0};
    jw_key(w, "paths");
    jw_obj(w);
    for (size_t i = 0; i < all->n; i++) {
        path_text(all->rows[i]->path, &text);
        if (!open.len || strcmp(open.data, text.data) != 0) {
            if (open.len)
                jw_obj_end(w);
            jw_key(w, text.data);
            jw_obj(w);
            buf_clear(&open);
            buf_puts(&open, text.data);
        }
        operation(w, all->rows[i]);
    }
    if (open.len)
        jw_obj_end(w);
    jw_obj_end(w);
    buf_free(&text);
    buf_free(&open);
}

static void components(struct json_writer *w, const struct row_list *all) {
    static const char *const problem[] = {"type",     "title", "status",     "detail",
                                          "instance", "field", "request_id", NULL};
    static const char *const mlflow[] = {"error_code", "message", NULL};
    static const char *const inference[] = {"error", NULL};
    struct map *shapes = map_new();
    for (size_t i = 0; i < all->n; i++) {
        collect(shapes, all->rows[i]->in);
        collect(shapes, all->rows[i]->out);
    }
    jw_key(w, "components");
    jw_obj(w);
    jw_key(w, "schemas");
    jw_obj(w);
    const char *name;
    void *shape;
    for (size_t i = 0; map_next(shapes, &i, &name, &shape);) {
        jw_key(w, name);
        shape_schema(w, shape);
    }
    error_schema(w, "Problem", problem);
    error_schema(w, "MlflowError", mlflow);
    error_schema(w, "InferenceError", inference);
    jw_obj_end(w);
    jw_key(w, "securitySchemes");
    jw_obj(w);
    jw_key(w, "bearer");
    jw_obj(w);
    jw_key_str(w, "type", "http");
    jw_key_str(w, "scheme", "bearer");
    jw_obj_end(w);
    jw_key(w, "basic");
    jw_obj(w);
    jw_key_str(w, "type", "http");
    jw_key_str(w, "scheme", "basic");
    jw_obj_end(w);
    jw_obj_end(w);
    jw_obj_end(w);
    map_free(shapes, NULL);
}

void openapi_render(const struct route_list *routes, const char *version, struct buf *out) {
    struct json_writer w;
    struct row_list all = sorted(routes);
    jw_init(&w, out);
    jw_obj(&w);
    jw_key_str(&w, "openapi", "3.1.0");
    jw_key(&w, "info");
    jw_obj(&w);
    jw_key_str(&w, "title", "Quern");
    jw_key_str(&w, "version", version);
    jw_key_str(&w, "description",
               "Experiments, models, pipelines, predictions and their lineage. Routes of MLflow's "
               "API answer under /ajax-api as well as under /api.");
    jw_key(&w, "license");
    jw_obj(&w);
    jw_key_str(&w, "name", "Apache-2.0");
    jw_key_str(&w, "identifier", "Apache-2.0");
    jw_obj_end(&w);
    jw_obj_end(&w);
    jw_key(&w, "security");
    jw_arr(&w);
    jw_obj(&w);
    jw_key(&w, "bearer");
    jw_arr(&w);
    jw_arr_end(&w);
    jw_obj_end(&w);
    jw_obj(&w);
    jw_key(&w, "basic");
    jw_arr(&w);
    jw_arr_end(&w);
    jw_obj_end(&w);
    jw_arr_end(&w);
    paths(&w, &all);
    components(&w, &all);
    jw_obj_end(&w);
    buf_putc(out, '\n');
    free(all.rows);
}
