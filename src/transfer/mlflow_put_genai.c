/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluation datasets, scorers, and what MLflow keeps as associations. */
#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "mlflow_put.h"
#include "quern/base/arena.h"
#include "quern/base/id.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "quern/db/db.h"

static int associate(struct ctx *c, const char *kind, const char *id, const char *with,
                     const char *with_id, int64_t when) {
    char uuid[33];
    id_hex32(uuid);
    return db_exec(c,
                   "INSERT INTO entity_associations (association_id, source_type, source_id,"
                   " destination_type, destination_id, created_time) VALUES (?, ?, ?, ?, ?, ?)",
                   "sssssi", uuid, kind, id, with, with_id, when);
}

int mlflow_put_links(struct ctx *c, const struct copy_trace *t) {
    int rc = 0;
    for (size_t i = 0; i < t->runs.n && rc >= 0; i++)
        rc = associate(c, "trace", t->id, "run", t->runs.items[i], t->timestamp_ms);
    return rc < 0 ? rc : 0;
}

/* MLflow tells records apart by the hash of what Python writes with sorted keys: escapes in lower
 * case. Numbers with a fraction may still be written in another way. */
static const char *python_hash(struct ctx *c, const char *inputs) {
    json_t *tree = json_loads(inputs, 0, NULL);
    char *text = json_dumps(tree, JSON_SORT_KEYS | JSON_ENSURE_ASCII);
    char hex[65];
    json_decref(tree);
    if (!text)
        return NULL;
    for (char *at = text; *at; at++) {
        if (*at != '\\')
            continue;
        if (*++at == 'u')
            for (int i = 0; i < 4; i++, at++)
                at[1] = (char)tolower((unsigned char)at[1]);
    }
    sha256_hex(text, strlen(text), hex);
    free(text);
    return arena_strdup(c->arena, hex);
}

static const char *member(struct ctx *c, const char *json, const char *within, const char *key) {
    json_t *tree = json ? json_loads(json, 0, NULL) : NULL;
    const json_t *of = within ? json_object_get(tree, within) : tree;
    const char *text = arena_strdup(c->arena, json_string_value(json_object_get(of, key)));
    json_decref(tree);
    return text;
}

static int put_record(struct ctx *c, const char *dataset, const struct copy_record *r) {
    const char *type = member(c, r->source, NULL, "source_type");
    const char *id_key = type && str_eq(type, "TRACE") ? "trace_id" : "source_id";
    const char *hash = python_hash(c, r->inputs);
    if (!hash)
        return fail(c, ERR_INVALID, "the inputs of record '%s' are no JSON object", r->id);
    return db_exec(
        c,
        "INSERT INTO evaluation_dataset_records (dataset_record_id, dataset_id, inputs,"
        " expectations, tags, source, source_id, source_type, created_time, last_update_time,"
        " created_by, last_updated_by, input_hash, outputs)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "ssssssssiissss", r->id, dataset, r->inputs, r->expectations, r->tags, r->source,
        member(c, r->source, "source_data", id_key), type, r->created_ms, r->updated_ms,
        r->created_by, r->updated_by, hash,
        r->outputs ? arena_printf(c->arena, "{\"mlflow_wrapped\": %s}", r->outputs) : NULL);
}

int mlflow_put_evaluation(struct ctx *c, const struct copy_evaluation *e) {
    const char *profile =
        e->nrecords ? arena_printf(c->arena, "{\"num_records\": %zu}", e->nrecords) : NULL;
    int rc = db_exec(c,
                     "INSERT INTO evaluation_datasets (dataset_id, name, schema, profile, digest,"
                     " created_time, last_update_time, created_by, last_updated_by)"
                     " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                     "sssssiiss", e->id, e->name, e->schema, profile, e->digest, e->created_ms,
                     e->updated_ms, e->created_by, e->updated_by);
    for (size_t i = 0; i < e->tags.n && rc >= 0; i++)
        rc = db_exec(c,
                     "INSERT INTO evaluation_dataset_tags (dataset_id, key, value)"
                     " VALUES (?, ?, ?)",
                     "sss", e->id, e->tags.items[i].key, e->tags.items[i].value);
    for (size_t i = 0; i < e->nexperiments && rc >= 0; i++)
        rc = associate(c, "evaluation_dataset", e->id, "experiment",
                       arena_printf(c->arena, "%lld", (long long)e->experiments[i]), e->created_ms);
    for (size_t i = 0; i < e->nrecords && rc >= 0; i++)
        rc = put_record(c, e->id, &e->records[i]);
    return rc < 0 ? rc : 0;
}

int mlflow_put_scorer(struct ctx *c, const struct copy_scorer *s) {
    int rc = db_exec(c,
                     "INSERT INTO scorers (experiment_id, scorer_name, scorer_id)"
                     " VALUES (?, ?, ?)",
                     "iss", s->experiment, s->name, s->id);
    for (size_t i = 0; i < s->nversions && rc >= 0; i++)
        rc = db_exec(c,
                     "INSERT INTO scorer_versions (scorer_id, scorer_version, serialized_scorer,"
                     " creation_time) VALUES (?, ?, ?, ?)",
                     "sisi", s->id, s->versions[i].version, s->versions[i].content,
                     s->versions[i].created_ms);
    return rc < 0 ? rc : 0;
}
