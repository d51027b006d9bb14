/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/map.h"
#include "quern/base/str.h"
#include "quern/http/server.h"
#include "router.h"

/* Every fault of the table is told, one line each, so that a start shows them all. */
struct checker {
    struct buf *error;
    struct map *ids, *paths;
    int faults;
};

#define FAULT(k, row, ...)                                                                         \
    do {                                                                                           \
        buf_printf((k)->error, "route %s: ", (row)->id ? (row)->id : "(no id)");                   \
        buf_printf((k)->error, __VA_ARGS__);                                                       \
        buf_puts((k)->error, "\n");                                                                \
        (k)->faults++;                                                                             \
    } while (0)

static bool shape_has(const struct shape *s, const char *name, size_t n, unsigned flag) {
    for (size_t i = 0; s && i < s->n; i++)
        if ((s->fields[i].flags & flag) && strlen(s->fields[i].name) == n &&
            memcmp(s->fields[i].name, name, n) == 0)
            return true;
    return false;
}

/* The pattern with names of variables blotted out: two rows that differ in names alone clash. */
static void check_pattern(struct checker *k, const struct route *row, const char *path,
                          struct buf *blot) {
    unsigned vars = 0;
    buf_puts(blot, row->method);
    buf_putc(blot, ' ');
    for (const char *p = path; *p; p++) {
        if (*p != '{') {
            buf_putc(blot, *p);
            continue;
        }
        const char *close = strchr(p, '}');
        if (!close || p[-1] != '/') {
            FAULT(k, row, "a variable in %s must be a whole segment or a segment's beginning",
                  path);
            return;
        }
        size_t n = (size_t)(close - p) - 1;
        bool rest = n > 3 && memcmp(close - 3, "...", 3) == 0;
        if (rest && close[1])
            FAULT(k, row, "the variable for the rest must stand last in %s", path);
        if (rest)
            n -= 3;
        if (!shape_has(row->in, p + 1, n, F_PATH))
            FAULT(k, row, "the path's {%.*s} is no F_PATH field of the input shape", (int)n, p + 1);
        if (++vars > ROUTE_VARS_MAX)
            FAULT(k, row, "%s has too many variables", path);
        buf_puts(blot, rest ? "{...}" : "{}");
        p = close;
    }
}

static void check_path(struct checker *k, const struct route *row, const char *path) {
    struct buf blot = {0};
    check_pattern(k, row, path, &blot);
    const struct route *other = map_set(k->paths, blot.data, (void *)row);
    if (other)
        FAULT(k, row, "%s %s is the same as that of route %s", row->method, path, other->id);
    buf_free(&blot);
}

static void check_row(struct checker *k, const struct route *row) {
    char ajax[256];
    if (!row->id || !*row->id) {
        FAULT(k, row, "has no id");
        return;
    }
    if (map_set(k->ids, row->id, (void *)row))
        FAULT(k, row, "the id is not unique");
    if (!row->method || method_of(row->method) == METHOD_COUNT ||
        method_of(row->method) == METHOD_HEAD || method_of(row->method) == METHOD_OPTIONS) {
        FAULT(k, row, "the method must be GET, POST, PUT, PATCH or DELETE");
        return;
    }
    if (!row->path || row->path[0] != '/') {
        FAULT(k, row, "the path must begin with '/'");
        return;
    }
    if (row->perm == PERM_UNSET)
        FAULT(k, row, "has no permission");
    if (row->lane == LANE_UNSET)
        FAULT(k, row, "has no lane");
    if (!row->summary || !*row->summary)
        FAULT(k, row, "has no summary");
    if (row->flags & ROUTE_UPLOAD) {
        const struct upload_ops *u = row->upload;
        if (!u || !u->begin || !u->chunk || !u->finish || !u->abort)
            FAULT(k, row, "ROUTE_UPLOAD needs all four upload functions");
        if (row->lane != LANE_WORK)
            FAULT(k, row, "an upload is finished on LANE_WORK");
    } else if (!row->fn) {
        FAULT(k, row, "has no handler");
    }
    check_path(k, row, row->path);
    if (row->flags & ROUTE_MLFLOW_AJAX) {
        if (route_ajax_path(row, ajax, sizeof(ajax)))
            check_path(k, row, ajax);
        else
            FAULT(k, row, "ROUTE_MLFLOW_AJAX needs a path under /api/");
    }
}

static bool names_field(const struct shape *s, const struct field *f) {
    for (size_t i = 0; s && i < s->n; i++)
        if (str_eq(s->fields[i].name, f->name) && s->fields[i].type == f->type)
            return true;
    return false;
}

/* The twin is a GET that reads, and what it needs to find its thing stands in this row's input. */
static void check_twin(struct checker *k, const struct route *row) {
    const struct route *twin = row->twin ? map_get(k->ids, row->twin) : NULL;
    if (!row->twin)
        return;
    if (!twin || !twin->method || strcmp(twin->method, "GET") != 0 || twin->lane != LANE_READ ||
        !twin->in || !twin->out) {
        FAULT(k, row, "the twin %s must be a GET on the READ lane with input and output",
              row->twin);
        return;
    }
    if (strcmp(row->method, "GET") != 0 && row->lane != LANE_WRITE)
        FAULT(k, row, "a change with a twin must be on the WRITE lane");
    for (size_t i = 0; i < twin->in->n; i++)
        if ((twin->in->fields[i].flags & F_REQUIRED) && !names_field(row->in, &twin->in->fields[i]))
            FAULT(k, row, "the twin %s needs %s, which the input lacks", row->twin,
                  twin->in->fields[i].name);
}

int routes_check(const struct route_list *routes, struct buf *error) {
    struct checker k = {.error = error, .ids = map_new(), .paths = map_new()};
    for (const struct route_list *l = routes; l->n; l++)
        for (size_t i = 0; i < l->n; i++)
            check_row(&k, &l->rows[i]);
    for (const struct route_list *l = routes; l->n; l++)
        for (size_t i = 0; i < l->n; i++)
            check_twin(&k, &l->rows[i]);
    map_free(k.ids, NULL);
    map_free(k.paths, NULL);
    return k.faults ? -1 : 0;
}
