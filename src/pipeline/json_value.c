/* SPDX-License-Identifier: Apache-2.0 */
#include "json_value.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/core/ctx.h"
#include "quern/json/json_out.h"

#define FLAT_CAP ((size_t)10000)

static void drop(void *t) {
    json_decref(t);
}

struct json_t *json_on_arena(struct ctx *c, struct json_t *t) {
    if (!t) {
        mem_die();
    }
    arena_defer(c->arena, drop, t);
    return t;
}

static json_t *walk_index(json_t *at, const char **path) {
    char *end;
    unsigned long i = strtoul(*path + 1, &end, 10);
    if (end == *path + 1 || *end != ']') {
        return NULL;
    }
    *path = end + 1;
    if (json_is_object(at)) {
        /* A fan-out's outputs are asked for as train[0]; the list is its "instances". */
        at = json_object_get(at, "instances");
    }
    return json_array_get(at, i);
}

struct json_t *json_walk(struct json_t *root, const char *path) {
    json_t *at = root;
    while (at && *path) {
        if (*path == '[') {
            at = walk_index(at, &path);
            continue;
        }
        if (*path == '.') {
            path++;
        }
        if (!json_is_object(at)) {
            return NULL;
        }
        json_t *found = NULL;
        size_t length = 0;
        const char *key;
        json_t *value;
        json_object_foreach(at, key, value) {
            size_t n = strlen(key);
            if (n > length && strncmp(path, key, n) == 0 &&
                (!path[n] || path[n] == '.' || path[n] == '[')) {
                found = value;
                length = n;
            }
        }
        at = found;
        path += length;
    }
    return at;
}

char *json_canonical(struct ctx *c, const struct json_t *t) {
    char *text = json_dumps(t, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);
    if (!text) {
        mem_die();
    }
    char *copy = arena_strdup(c->arena, text);
    free(text);
    return copy;
}

char *json_argument(struct ctx *c, const struct json_t *t) {
    if (json_is_string(t)) {
        return arena_strdup(c->arena, json_string_value(t));
    }
    if (json_is_real(t)) {
        char text[32];
        json_double(json_real_value(t), text);
        return arena_strdup(c->arena, text);
    }
    return json_text(c->arena, t, JSON_TIGHT);
}

bool json_number(const struct json_t *t, double *out) {
    if (!json_is_number(t)) {
        return false;
    }
    *out = json_number_value(t);
    return true;
}

struct flat {
    struct ctx *c;
    struct fpair *items;
    size_t n, cap;
};

static int flat_add(struct flat *f, const char *key, double value) {
    if (f->n == FLAT_CAP) {
        return fail(f->c, ERR_TOO_LARGE, "more than 10,000 numbers in one document");
    }
    f->items = arena_room(f->c->arena, f->items, f->n, &f->cap, sizeof *f->items);
    f->items[f->n++] = (struct fpair){.key = key, .value = value};
    return 0;
}

static int flatten(struct flat *f, const char *prefix, json_t *t) {
    int rc = 0;
    if (json_is_object(t)) {
        const char *key;
        json_t *value;
        json_object_foreach(t, key, value) {
            const char *name = *prefix ? arena_printf(f->c->arena, "%s.%s", prefix, key)
                                       : arena_strdup(f->c->arena, key);
            rc = flatten(f, name, value);
            if (rc) {
                return rc;
            }
        }
    } else if (json_is_array(t)) {
        for (size_t i = 0; rc == 0 && i < json_array_size(t); i++) {
            const char *name = arena_printf(f->c->arena, *prefix ? "%s.%zu" : "%s%zu", prefix, i);
            rc = flatten(f, name, json_array_get(t, i));
        }
    } else if (json_is_number(t) && *prefix) {
        rc = flat_add(f, prefix, json_number_value(t));
    } else if (json_is_boolean(t) && *prefix) {
        rc = flat_add(f, prefix, json_is_true(t) ? 1 : 0);
    }
    return rc;
}

int json_flatten(struct ctx *c, struct json_t *t, struct fpairs *out) {
    struct flat f = {.c = c};
    int rc = flatten(&f, "", t);
    out->items = f.items;
    out->n = f.n;
    return rc;
}
