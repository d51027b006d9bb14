/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "dataset.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/core/page.h"
#include "quern/db/db.h"
#include "quern/genai/genai.h"
#include "record.h"

#define RESULTS_DEFAULT 1000
#define RESULTS_MAX 50000

static struct db *database;

void genai_open(struct db *db) {
    database = db;
}

/* ------------------------------------------------------------------ shapes */

struct dataset_wire {
    const char *dataset_id, *name, *tags, *schema, *profile, *digest, *created_by, *last_updated_by;
    struct opt_i64 created_time, last_update_time;
    struct strs experiment_ids;
};
SHAPE_LOCAL(wire_dataset, "EvaluationDataset", struct dataset_wire,
            FIELD(struct dataset_wire, dataset_id, T_STR, 0, "d- and 32 hex digits."),
            FIELD(struct dataset_wire, name, T_STR, 0, "Not unique."),
            FIELD(struct dataset_wire, tags, T_STR, 0, "Text of a JSON object."),
            FIELD(struct dataset_wire, schema, T_STR, 0, "Text of JSON: fields and their types."),
            FIELD(struct dataset_wire, profile, T_STR, 0, "Text of JSON: the number of records."),
            FIELD(struct dataset_wire, digest, T_STR, 0,
                  "Another one after each change of records."),
            FIELD(struct dataset_wire, created_time, T_I64, 0, "Unix ms."),
            FIELD(struct dataset_wire, last_update_time, T_I64, 0, "Unix ms."),
            FIELD(struct dataset_wire, created_by, T_STR, 0, "From the tag mlflow.user."),
            FIELD(struct dataset_wire, last_updated_by, T_STR, 0, "From the tag mlflow.user."),
            FIELD(struct dataset_wire, experiment_ids, T_STRS, 0, "Told when it is made."));

struct wish {
    const char *dataset_id, *name, *tags, *key, *records, *filter_string, *page_token;
    struct strs experiment_ids, dataset_record_ids, order_by;
    struct opt_i64 max_results;
};
#define ID FIELD(struct wish, dataset_id, T_STR, F_PATH | F_REQUIRED, "Dataset.")
#define TAGS(flags)                                                                                \
    FIELD(struct wish, tags, T_STR, flags, "Text of a JSON object; null leaves a tag as it is.")
#define EXPERIMENTS(flags) FIELD(struct wish, experiment_ids, T_STRS, flags, "Experiments, by id.")
SHAPE_LOCAL(in_dataset_create, "CreateEvaluationDataset", struct wish,
            FIELD(struct wish, name, T_STR, F_REQUIRED, "Name."), EXPERIMENTS(0), TAGS(0));
SHAPE_LOCAL(in_dataset_id, "EvaluationDatasetById", struct wish, ID);
SHAPE_LOCAL(in_dataset_tags, "SetEvaluationDatasetTags", struct wish, ID, TAGS(F_REQUIRED));
SHAPE_LOCAL(in_dataset_tag, "EvaluationDatasetTag", struct wish, ID,
            FIELD(struct wish, key, T_STR, F_PATH | F_REQUIRED, "Tag."));
SHAPE_LOCAL(in_dataset_experiments, "EvaluationDatasetExperiments", struct wish, ID,
            EXPERIMENTS(0));
SHAPE_LOCAL(in_dataset_upsert, "UpsertDatasetRecords", struct wish, ID,
            FIELD(struct wish, records, T_STR, F_REQUIRED, "Text of a JSON list of records."));
SHAPE_LOCAL(in_dataset_records, "GetDatasetRecords", struct wish, ID,
            FIELD(struct wish, max_results, T_I64, F_QUERY, "Most of a page; 1000."),
            FIELD(struct wish, page_token, T_STR, F_QUERY, "From the page before."));
SHAPE_LOCAL(in_dataset_drop, "DeleteDatasetRecords", struct wish, ID,
            FIELD(struct wish, dataset_record_ids, T_STRS, 0, "Records."));
SHAPE_LOCAL(in_dataset_search, "SearchEvaluationDatasets", struct wish, EXPERIMENTS(F_QUERY),
            FIELD(struct wish, filter_string, T_STR, F_QUERY,
                  "name, created_time, last_update_time, created_by, last_updated_by, tags.<key>."),
            FIELD(struct wish, max_results, T_I64, F_QUERY, "Most of a page; 1000."),
            FIELD(struct wish, order_by, T_STRS, F_QUERY, "name, created_time, last_update_time."),
            FIELD(struct wish, page_token, T_STR, F_QUERY, "From the page before."));

struct answer {
    struct dataset_wire *dataset;
    struct list datasets;
    const char *records, *next_page_token;
    struct strs experiment_ids;
    struct opt_i64 inserted_count, updated_count, deleted_count;
};
SHAPE_LOCAL(out_dataset, "EvaluationDatasetAnswer", struct answer,
            FIELD_SUB(struct answer, dataset, T_OBJ, 0, &wire_dataset, "The dataset."));
SHAPE_LOCAL(out_datasets, "EvaluationDatasets", struct answer,
            FIELD_SUB(struct answer, datasets, T_LIST, 0, &wire_dataset, "Datasets of this page."),
            FIELD(struct answer, next_page_token, T_STR, 0, "Absent on the last page."));
SHAPE_LOCAL(out_records, "DatasetRecords", struct answer,
            FIELD(struct answer, records, T_STR, 0, "Text of a JSON list of records."),
            FIELD(struct answer, next_page_token, T_STR, 0, "Absent on the last page."));
SHAPE_LOCAL(out_upsert, "UpsertedDatasetRecords", struct answer,
            FIELD(struct answer, inserted_count, T_I64, 0, "New ones."),
            FIELD(struct answer, updated_count, T_I64, 0, "Those that were there."));
SHAPE_LOCAL(out_deleted, "DeletedDatasetRecords", struct answer,
            FIELD(struct answer, deleted_count, T_I64, 0, "Those that were there."));
SHAPE_LOCAL(out_experiment_ids, "EvaluationDatasetExperimentIds", struct answer,
            FIELD(struct answer, experiment_ids, T_STRS, 0, "Experiments, by id."));

static int show(struct ctx *c, const struct evaluation_dataset *d, struct dataset_wire *out) {
    *out = (struct dataset_wire){.dataset_id = d->id,
                                 .name = d->name,
                                 .schema = d->schema,
                                 .digest = d->digest,
                                 .created_time = SET_I64(d->created_ms),
                                 .last_update_time = SET_I64(d->updated_ms),
                                 .created_by = d->created_by,
                                 .last_updated_by = d->updated_by};
    if (d->records)
        out->profile = arena_printf(c->arena, "{\"num_records\": %" PRId64 "}", d->records);
    return evaluation_tags(c, d->row, &out->tags);
}

static int answer(struct ctx *c, int rc, const struct evaluation_dataset *d, void *out) {
    struct answer *a = out;
    a->dataset = ARENA_NEW(c->arena, struct dataset_wire);
    return rc ? rc : show(c, d, a->dataset);
}

/* ------------------------------------------------------------------ datasets */

static int create(struct ctx *c, const void *input, void *out) {
    const struct wish *in = input;
    struct evaluation_dataset d;
    int rc = evaluation_create(c, in->name, &in->experiment_ids, in->tags, &d);
    rc = answer(c, rc, &d, out);
    ((struct answer *)out)->dataset->experiment_ids = in->experiment_ids;
    return rc;
}

static int get(struct ctx *c, const void *input, void *out) {
    const struct wish *in = input;
    struct evaluation_dataset d;
    return answer(c, evaluation_find(c, in->dataset_id, OBJECT_READ, &d), &d, out);
}

static int drop(struct ctx *c, const void *input, void *out) {
    (void)out;
    return evaluation_delete(c, ((const struct wish *)input)->dataset_id);
}

static int set_tags(struct ctx *c, const void *input, void *out) {
    const struct wish *in = input;
    (void)out;
    return evaluation_set_tags(c, in->dataset_id, in->tags);
}

static int delete_tag(struct ctx *c, const void *input, void *out) {
    const struct wish *in = input;
    (void)out;
    return evaluation_delete_tag(c, in->dataset_id, in->key);
}

static int join(struct ctx *c, const void *input, void *out) {
    const struct wish *in = input;
    struct evaluation_dataset d;
    return answer(c, evaluation_join(c, in->dataset_id, &in->experiment_ids, &d), &d, out);
}

static int leave(struct ctx *c, const void *input, void *out) {
    const struct wish *in = input;
    struct evaluation_dataset d;
    return answer(c, evaluation_leave(c, in->dataset_id, &in->experiment_ids, &d), &d, out);
}

static int experiments(struct ctx *c, const void *input, void *out) {
    const struct wish *in = input;
    struct evaluation_dataset d;
    int rc = evaluation_find(c, in->dataset_id, OBJECT_READ, &d);
    return rc ? rc : evaluation_experiments(c, d.row, &((struct answer *)out)->experiment_ids);
}

static int limit(struct ctx *c, struct opt_i64 asked, int64_t *out) {
    *out = asked.set ? asked.v : RESULTS_DEFAULT;
    if (*out > 0 && *out <= RESULTS_MAX)
        return 0;
    return fail_field(c, ERR_INVALID, "max_results",
                      "Invalid value %" PRId64 " for parameter 'max_results' supplied. It must be "
                      "a positive integer, at most %d",
                      *out, RESULTS_MAX);
}

static int search(struct ctx *c, const void *input, void *output) {
    const struct wish *in = input;
    struct answer *out = output;
    struct evaluation_search s = {
        .experiments = in->experiment_ids, .filter = in->filter_string, .order_by = in->order_by};
    struct evaluation_datasets found = {0};
    int64_t most;
    int rc = limit(c, in->max_results, &most);
    s.limit = most;
    rc = rc ? rc : page_offset(c, in->page_token, &s.offset);
    rc = rc ? rc : evaluation_search(c, &s, &found);
    if (rc != 0)
        return rc;
    struct dataset_wire *items = ARENA_ARRAY(c->arena, struct dataset_wire, found.n + 1);
    size_t n = 0, bytes = 0;
    for (; n < found.n && rc == 0 && bytes <= DATASET_PAGE_MAX; n++) {
        rc = show(c, &found.items[n], &items[n]);
        bytes += rc ? 0 : strlen(items[n].tags);
    }
    if (found.more || n < found.n)
        out->next_page_token = page_token(c, s.offset + (int64_t)n);
    out->datasets = (struct list){items, n};
    return rc;
}

/* ------------------------------------------------------------------ records */

/* Many records are written in several transactions, so that others' writes come between: when the
 * server ends midway, those before are there, and sending all again completes them. */
struct change {
    const struct wish *in;
    struct records records;
    struct progress before, after;
    bool done;
};

static int change(struct ctx *c, struct change *x, db_op *part) {
    int rc = 0;
    do {
        x->before = x->after;
        rc = db_write(database, c, part, x);
    } while (rc == 0 && !x->done);
    return rc;
}

static int put_part(struct ctx *c, void *arg) {
    struct change *x = arg;
    struct evaluation_dataset d;
    int rc = evaluation_find(c, x->in->dataset_id, OBJECT_EDIT, &d);
    rc = rc ? rc : records_put(c, &d, &x->records, &x->before, &x->after);
    x->done = x->after.at == x->records.n;
    return rc;
}

/* Read on a worker: a request may bring many megabytes. */
static int upsert(struct ctx *c, const void *input, void *output) {
    struct answer *out = output;
    struct change x = {.in = input};
    int rc = records_read(c, x.in->records, &x.records);
    rc = rc ? rc : change(c, &x, put_part);
    out->inserted_count = SET_I64(x.after.inserted);
    out->updated_count = SET_I64(x.after.updated);
    return rc;
}

static int delete_part(struct ctx *c, void *arg) {
    struct change *x = arg;
    struct evaluation_dataset d;
    int rc = evaluation_find(c, x->in->dataset_id, OBJECT_EDIT, &d);
    rc = rc ? rc : records_delete(c, &d, &x->in->dataset_record_ids, &x->before, &x->after);
    x->done = x->after.at == x->in->dataset_record_ids.n;
    return rc;
}

static int delete_records(struct ctx *c, const void *input, void *output) {
    struct answer *out = output;
    struct change x = {.in = input};
    int rc = change(c, &x, delete_part);
    out->deleted_count = SET_I64(x.after.gone);
    return rc;
}

static int records(struct ctx *c, const void *input, void *output) {
    const struct wish *in = input;
    struct answer *out = output;
    struct evaluation_dataset d;
    struct opt_i64 asked = in->max_results;
    int64_t most, after = 0;
    asked.set = asked.set && asked.v; /* here 0 is the default, in a search it is refused */
    int rc = limit(c, asked, &most);
    rc = rc ? rc : page_offset(c, in->page_token, &after);
    rc = rc ? rc : evaluation_find(c, in->dataset_id, OBJECT_READ, &d);
    rc = rc ? rc : records_list(c, &d, most, &after, &out->records);
    if (rc == 0 && after)
        out->next_page_token = page_token(c, after);
    return rc;
}

#define ROW(ident, verb, where, takes, gives, level, on, more, handler, shown_by, says)            \
    {                                                                                              \
        .id = "datasets." ident, .method = (verb), .path = "/api/3.0/mlflow/datasets" where,       \
        .in = (takes), .out = (gives), .perm = (level), .lane = (on), .dialect = DIALECT_MLFLOW,   \
        .flags = ROUTE_MLFLOW_AJAX | ROUTE_OBJECT | (more), .fn = (handler), .summary = (says),    \
        .twin = (shown_by)                                                                         \
    }
#define SHOWN "datasets.get"
#define READS(ident, verb, where, in, out, fn, says)                                               \
    ROW(ident, verb, where, in, out, PERM_READ, LANE_READ, 0, fn, NULL, says)
#define CHANGES(ident, verb, where, in, out, fn, says)                                             \
    ROW(ident, verb, where, in, out, PERM_WRITE, LANE_WRITE, 0, fn, SHOWN, says)

static const struct route rows[] = {
    ROW("create", "POST", "/create", &in_dataset_create, &out_dataset, PERM_WRITE, LANE_WRITE, 0,
        create, NULL, "Makes an evaluation dataset."),
    ROW("get", "GET", "/{dataset_id}", &in_dataset_id, &out_dataset, PERM_READ, LANE_READ, 0, get,
        SHOWN, "Gives a dataset without its records."),
    ROW("delete", "DELETE", "/{dataset_id}", &in_dataset_id, NULL, PERM_WRITE, LANE_WRITE,
        ROUTE_AUDIT, drop, SHOWN, "Deletes a dataset and its records for good."),
    READS("search", "POST", "/search", &in_dataset_search, &out_datasets, search,
          "Finds datasets by experiment, attribute and tag."),
    READS("search_get", "GET", "/search", &in_dataset_search, &out_datasets, search,
          "Finds datasets by experiment, attribute and tag."),
    CHANGES("set_tags", "PATCH", "/{dataset_id}/tags", &in_dataset_tags, NULL, set_tags,
            "Sets tags of a dataset."),
    CHANGES("delete_tag", "DELETE", "/{dataset_id}/tags/{key}", &in_dataset_tag, NULL, delete_tag,
            "Removes a tag of a dataset."),
    CHANGES("add_experiments", "POST", "/{dataset_id}/add-experiments", &in_dataset_experiments,
            &out_dataset, join, "Notes that a dataset belongs to experiments."),
    CHANGES("remove_experiments", "POST", "/{dataset_id}/remove-experiments",
            &in_dataset_experiments, &out_dataset, leave, "Takes a dataset from experiments."),
    READS("experiment_ids", "GET", "/{dataset_id}/experiment-ids", &in_dataset_id,
          &out_experiment_ids, experiments, "Gives the experiments of a dataset."),
    ROW("upsert_records", "POST", "/{dataset_id}/records", &in_dataset_upsert, &out_upsert,
        PERM_WRITE, LANE_WORK, 0, upsert, NULL, "Adds records, and merges those that are there."),
    READS("records", "GET", "/{dataset_id}/records", &in_dataset_records, &out_records, records,
          "Gives records in the order in which they came."),
    ROW("delete_records", "DELETE", "/{dataset_id}/records", &in_dataset_drop, &out_deleted,
        PERM_WRITE, LANE_WORK, 0, delete_records, NULL, "Deletes records."),
};

const struct route_list dataset_routes = {.rows = rows, .n = ARRAY_LEN(rows)};
