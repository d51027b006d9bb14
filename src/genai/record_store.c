/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <string.h>

#include "dataset.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/id.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/json/json_out.h"
#include "record.h"
#include "record_schema.h"

/* What others wait at most for, but for one record. */
#define HOLD_MS 50

static bool held_long(int64_t since) {
    return clock_mono_ms() - since >= HOLD_MS;
}

/* What is there with the new members over it; *out NULL: none of both. */
static int merged(struct ctx *c, const char *before, const json_t *more, const char **out) {
    *out = before;
    if (!json_is_object(more) || (json_object_size(more) == 0 && before))
        return 0;
    json_t *all = before ? json_loads(before, 0, NULL) : NULL;
    if (before && !all) /* moved in from where NaN was let through */
        return fail_field(c, ERR_INVALID, "records",
                          "The expectations or tags of a record are no JSON that anything could be "
                          "merged in. Delete the record first.");
    all = all ? all : json_object();
    json_object_update(all, (json_t *)(uintptr_t)more);
    *out = json_text(c->arena, all, JSON_TIGHT);
    json_decref(all);
    if (strlen(*out) <= RECORD_MEMBER_MAX)
        return 0;
    return fail_field(c, ERR_TOO_LARGE, "records",
                      "Invalid value for parameter 'records' supplied: the expectations or tags of "
                      "a record are larger than %zu MiB, put together with those that are there.",
                      RECORD_MEMBER_MAX >> 20);
}

static int insert(struct ctx *c, const struct evaluation_dataset *d, const struct record *r,
                  const char *expectations, const char *tags) {
    char hex[33];
    id_hex32(hex);
    return db_exec(c,
                   "INSERT INTO evaluation_record (dataset, record_id, inputs_sha256, inputs,"
                   " outputs, expectations, tags, source, created_ms, updated_ms, created_by,"
                   " updated_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?9, ?9, ?10, ?10)",
                   "isssssssis", d->row, arena_printf(c->arena, "dr-%s", hex), r->inputs_sha256,
                   r->inputs, r->outputs, expectations, tags ? tags : "{}", r->source, c->now_ms,
                   r->user);
}

static int update(struct ctx *c, int64_t row, const struct record *r, const char *expectations,
                  const char *tags) {
    bool outputs = json_object_get(r->tree, "outputs") != NULL;
    return db_exec(c,
                   "UPDATE evaluation_record SET"
                   " outputs = CASE WHEN ?2 THEN ?3 ELSE outputs END, expectations = ?4,"
                   " tags = ?5, updated_ms = ?6, updated_by = coalesce(?7, updated_by)"
                   " WHERE id = ?1",
                   "iisssis", row, (int64_t)outputs, r->outputs, expectations, tags, c->now_ms,
                   r->user);
}

static int put_one(struct ctx *c, const struct evaluation_dataset *d, const struct record *r,
                   struct progress *p) {
    struct stmt *st = db_query(c,
                               "SELECT id, expectations, tags FROM evaluation_record"
                               " WHERE dataset = ? AND inputs_sha256 = ?",
                               "is", d->row, r->inputs_sha256);
    int rc = stmt_next(st);
    int64_t row = rc > 0 ? stmt_i64(st, 0) : 0;
    const char *expectations = rc > 0 ? stmt_text(c, st, 1) : NULL;
    const char *tags = rc > 0 ? stmt_text(c, st, 2) : NULL;
    stmt_end(st);
    if (rc < 0)
        return rc;
    *(row ? &p->updated : &p->inserted) += 1;
    rc = merged(c, expectations, json_object_get(r->tree, "expectations"), &expectations);
    rc = rc ? rc : merged(c, tags, json_object_get(r->tree, "tags"), &tags);
    if (rc == 0)
        rc = row ? update(c, row, r, expectations, tags) : insert(c, d, r, expectations, tags);
    return rc < 0 ? rc : 0;
}

int records_put(struct ctx *c, const struct evaluation_dataset *d, const struct records *in,
                const struct progress *before, struct progress *after) {
    const int64_t since = clock_mono_ms();
    struct json_t *schema = schema_open(c, d->schema);
    int rc = 0;
    *after = *before;
    while (after->at < in->n && rc == 0 && (after->at == before->at || !held_long(since))) {
        const struct record *r = &in->items[after->at++];
        rc = put_one(c, d, r, after);
        schema_learn(schema, r->tree);
        after->user = r->user ? r->user : after->user;
    }
    const char *text = in->n ? json_text(c->arena, schema, JSON_SPACED) : d->schema;
    return rc ? rc
              : evaluation_touch(c, d, text, after->user ? after->user : "",
                                 after->inserted - before->inserted);
}

int records_delete(struct ctx *c, const struct evaluation_dataset *d, const struct strs *ids,
                   const struct progress *before, struct progress *after) {
    const int64_t since = clock_mono_ms();
    int rc = 0;
    *after = *before;
    while (after->at < ids->n && rc >= 0 && (after->at == before->at || !held_long(since))) {
        rc = db_exec(c, "DELETE FROM evaluation_record WHERE dataset = ? AND record_id = ?", "is",
                     d->row, ids->items[after->at++]);
        after->gone += rc < 0 ? 0 : db_changes(c);
    }
    if (rc < 0 || after->gone == before->gone)
        return rc < 0 ? rc : 0;
    return evaluation_touch(c, d, NULL, NULL, before->gone - after->gone);
}

/* ------------------------------------------------------------------ reading */

/* What is stored is JSON already. */
static void put_json(struct json_writer *w, const char *key, struct stmt *st, int col) {
    size_t n;
    const char *text = stmt_peek(st, col, &n);
    if (text) {
        jw_key(w, key);
        jw_raw(w, text, n);
    }
}

static void put_text(struct json_writer *w, const char *key, struct stmt *st, int col) {
    size_t n;
    const char *text = stmt_peek(st, col, &n);
    if (text) {
        jw_key(w, key);
        jw_strn(w, text, n);
    }
}

static void put_source(struct json_writer *w, struct stmt *st, int col) {
    size_t n;
    const char *text = stmt_peek(st, col, &n);
    json_t *source = text ? json_loadb(text, n, 0, NULL) : NULL;
    const char *type = json_string_value(json_object_get(source, "source_type"));
    const json_t *data = json_object_get(source, "source_data");
    const char *key = str_eq(type, "TRACE") ? "trace_id" : "source_id";
    if (source) {
        jw_key_str(w, "source_id", json_string_value(json_object_get(data, key)));
        jw_key_str(w, "source_type", type);
        put_json(w, "source", st, col);
    }
    json_decref(source);
}

static void show(struct json_writer *w, const struct evaluation_dataset *d, struct stmt *st) {
    jw_obj(w);
    put_text(w, "dataset_record_id", st, 1);
    jw_key_str(w, "dataset_id", d->id);
    put_json(w, "inputs", st, 2);
    put_json(w, "outputs", st, 3);
    put_json(w, "expectations", st, 4);
    put_json(w, "tags", st, 5);
    put_source(w, st, 6);
    jw_key_i64(w, "created_time", stmt_i64(st, 7));
    jw_key_i64(w, "last_update_time", stmt_i64(st, 8));
    put_text(w, "created_by", st, 9);
    put_text(w, "last_updated_by", st, 10);
    jw_obj_end(w);
}

int records_list(struct ctx *c, const struct evaluation_dataset *d, int64_t most, int64_t *after,
                 const char **text) {
    struct stmt *st = db_query(c,
                               "SELECT id, record_id, inputs, outputs, expectations, tags, source,"
                               " created_ms, updated_ms, created_by, updated_by"
                               " FROM evaluation_record WHERE dataset = ? AND id > ?"
                               " ORDER BY id LIMIT ?",
                               "iii", d->row, *after, most + 1);
    struct buf b = {0};
    struct json_writer w;
    int64_t last = 0, n = 0;
    int rc;
    *after = 0;
    jw_init(&w, &b);
    jw_arr(&w);
    while ((rc = stmt_next(st)) > 0) {
        if (n == most || b.len > RECORD_PAGE_MAX) {
            *after = last;
            break;
        }
        last = stmt_i64(st, 0);
        show(&w, d, st);
        n++;
    }
    stmt_end(st);
    jw_arr_end(&w);
    *text = arena_strndup(c->arena, b.data, b.len);
    buf_free(&b);
    return rc < 0 ? rc : 0;
}
