/* SPDX-License-Identifier: Apache-2.0 */
#include "flat.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/map.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

#define COLUMNS_MOST 4096
#define WIDE 256 /* a longer list in a row stays one column */

static const char *const fixed[] = {"prediction_id", "row",        "time_ms", "kind",
                                    "model",         "version",    "arm",     "reason",
                                    "status",        "latency_us", "key"};

static struct flat_column *column(struct flat *f, const char *name) {
    struct flat_column *k = map_get(f->columns, name);
    if (k || f->fixed)
        return k;
    k = mem_alloc(sizeof *k);
    k->name = mem_strdup(name);
    map_set(f->columns, name, k);
    if (f->n == f->cap) {
        f->cap = f->cap ? f->cap * 2 : 32;
        f->order = mem_realloc(f->order, f->cap * sizeof(struct flat_column *));
    }
    k->place = f->n;
    f->order[f->n++] = k;
    return k;
}

void flat_begin(struct flat *f) {
    *f = (struct flat){.columns = map_new()};
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        column(f, fixed[i]);
}

static void clear(struct flat *f) {
    for (size_t i = 0; i < f->n; i++) {
        json_decref(f->order[i]->made);
        f->order[i]->made = f->order[i]->value = NULL;
    }
}

static void column_free(void *arg) {
    struct flat_column *k = arg;
    json_decref(k->made);
    free(k->name);
    free(k);
}

void flat_end(struct flat *f) {
    map_free(f->columns, column_free);
    free(f->order);
    *f = (struct flat){0};
}

static bool is_odd_real(const json_t *v) {
    const char *s = json_string_value(v);
    return s &&
           (strcmp(s, "NaN") == 0 || strcmp(s, "Infinity") == 0 || strcmp(s, "-Infinity") == 0);
}

static void see(struct flat_column *k, const json_t *v) {
    k->flag = k->flag || json_is_boolean(v);
    k->whole = k->whole || json_is_integer(v);
    k->real = k->real || json_is_real(v);
    k->odd_real = k->odd_real || is_odd_real(v);
    k->text = k->text || (json_is_string(v) && !is_odd_real(v));
}

enum flat_type flat_type(const struct flat_column *k) {
    bool number = k->whole || k->real;
    if (k->text || (k->flag && (number || k->odd_real)) || (k->odd_real && !number))
        return FLAT_TEXT;
    if (k->flag)
        return FLAT_BOOL;
    if (k->real || k->odd_real)
        return FLAT_REAL;
    return k->whole ? FLAT_INT : FLAT_NONE;
}

const char *flat_type_sql(enum flat_type t) {
    static const char *const names[] = {"VARCHAR", "BOOLEAN", "BIGINT", "DOUBLE", "VARCHAR"};
    return names[t];
}

static void set(struct flat *f, const char *name, json_t *v, bool own) {
    struct flat_column *k = column(f, name);
    if (!k || json_is_null(v) || k->value) {
        if (own)
            json_decref(v);
        return;
    }
    if (!f->fixed)
        see(k, v);
    k->value = v;
    k->made = own ? v : NULL;
}

static bool plain(const json_t *v) {
    return !json_is_array(v) && !json_is_object(v);
}

/* One value of one row under a name: itself, spread over columns, or as JSON text. */
static void put(struct flat *f, const char *name, json_t *v) {
    struct buf sub = {0};
    const char *key;
    json_t *item;
    size_t i;
    bool spread = json_is_object(v) ? json_object_size(v) <= WIDE : json_array_size(v) <= WIDE;
    while (json_is_array(v) && json_array_size(v) == 1)
        v = json_array_get(v, 0); /* [n, 1] is a column of plain values */
    if (plain(v)) {
        set(f, name, v, false);
        return;
    }
    json_array_foreach(v, i, item) spread = spread && plain(item);
    json_object_foreach(v, key, item) spread = spread && plain(item);
    if (!spread) {
        char *text = json_dumps(v, JSON_COMPACT | JSON_REAL_PRECISION(17));
        set(f, name, json_string(text ? text : ""), true);
        free(text);
        return;
    }
    json_array_foreach(v, i, item) {
        buf_clear(&sub);
        buf_printf(&sub, "%s.%zu", name, i);
        set(f, sub.data, item, false);
    }
    json_object_foreach(v, key, item) {
        buf_clear(&sub);
        buf_printf(&sub, "%s.%s", name, key);
        set(f, sub.data, item, false);
    }
    buf_free(&sub);
}

static void put_group(struct flat *f, json_t *record, const char *group, size_t row, size_t rows) {
    struct buf name = {0};
    const char *key;
    json_t *v;
    json_object_foreach(json_object_get(record, group), key, v) {
        buf_clear(&name);
        buf_printf(&name, "%s.%s", group, key);
        if (json_is_array(v) && json_array_size(v) == rows)
            put(f, name.data, json_array_get(v, row));
        else if (row == 0)
            put(f, name.data, v);
    }
    buf_free(&name);
}

static void put_feedback(struct flat *f, json_t *record) {
    struct buf name = {0};
    const char *key;
    json_t *v;
    json_object_foreach(json_object_get(record, "feedback"), key, v) {
        json_t *label = json_object_get(v, "label"), *reward = json_object_get(v, "reward");
        buf_clear(&name);
        buf_printf(&name, "feedback.%s", key);
        put(f, name.data, label ? label : reward);
        buf_puts(&name, ".reward");
        if (label && reward)
            put(f, name.data, reward);
    }
    buf_free(&name);
}

int flat_record(struct ctx *c, struct flat *f, json_t *record,
                int (*row)(struct ctx *c, void *arg, struct flat *f), void *arg) {
    int64_t rows = json_integer_value(json_object_get(record, "rows"));
    int rc = 0;
    for (int64_t r = 0; rc == 0 && r < (rows > 0 ? rows : 1); r++) {
        set(f, "prediction_id", json_object_get(record, "id"), false);
        set(f, "row", json_integer(r), true);
        for (size_t i = 2; i < ARRAY_LEN(fixed); i++) {
            json_t *v = json_object_get(record, fixed[i]);
            if (v)
                set(f, fixed[i], v, false);
        }
        put_group(f, record, "inputs", (size_t)r, (size_t)rows);
        put_group(f, record, "outputs", (size_t)r, (size_t)rows);
        put_feedback(f, record);
        if (!row && f->n > COLUMNS_MOST)
            rc = fail(c, ERR_UNPROCESSABLE,
                      "these predictions have more than %d columns; export fewer of them, or as "
                      "jsonl",
                      COLUMNS_MOST);
        else if (row)
            rc = row(c, arg, f);
        clear(f);
        if (row && !f->fixed && f->n > COLUMNS_MOST) { /* those of earlier rows are not missed */
            flat_end(f);
            flat_begin(f);
        }
    }
    return rc;
}

static int rank(const char *name) {
    return str_starts(name, "inputs.") ? 1 : str_starts(name, "outputs.") ? 2 : 3;
}

static int by_rank(const void *a_, const void *b_) {
    const struct flat_column *a = *(struct flat_column *const *)a_,
                             *b = *(struct flat_column *const *)b_;
    int d = rank(a->name) - rank(b->name);
    return d ? d : (a->place > b->place) - (a->place < b->place);
}

void flat_fix(struct flat *f) {
    size_t head = ARRAY_LEN(fixed);
    qsort(f->order + head, f->n - head, sizeof(struct flat_column *), by_rank);
    f->fixed = true;
}
