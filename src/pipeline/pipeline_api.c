/* SPDX-License-Identifier: Apache-2.0 */
/* Doors of the room: rows, and the handlers of stored pipelines. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "executor.h"
#include "json_value.h"
#include "pipeline_run_api.h"
#include "pipeline_store.h"
#include "quern/access/access.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/core/page.h"
#include "quern/crypto/crypto.h"
#include "quern/db/db.h"

struct pipeline_in {
    const char *name, *definition, *page_token;
    struct json_t *files;
    struct opt_i64 version, max_results;
};
SHAPE_STRICT(
    shape_pipeline_put, "PipelinePut", struct pipeline_in,
    FIELD(struct pipeline_in, name, T_STR, F_PATH | F_REQUIRED, "Name; as in the definition."),
    FIELD(struct pipeline_in, definition, T_STR, F_REQUIRED, "The definition, YAML or JSON text."),
    FIELD(struct pipeline_in, files, T_JSON, 0,
          "Source files: {path: base64}, or a list of {path, content_base64} or {path, sha256}."));
SHAPE_STRICT(shape_pipeline_get, "PipelineGetQuery", struct pipeline_in,
             FIELD(struct pipeline_in, name, T_STR, F_PATH | F_REQUIRED, "Name of the pipeline."),
             FIELD_MAX(struct pipeline_in, version, T_I64, F_QUERY, 1, INT64_MAX,
                       "Default: the newest."));
SHAPE_STRICT(shape_pipeline_name, "PipelineName", struct pipeline_in,
             FIELD(struct pipeline_in, name, T_STR, F_PATH | F_REQUIRED, "Name of the pipeline."));
SHAPE_STRICT(shape_pipeline_list_in, "PipelineListQuery", struct pipeline_in,
             FIELD_MAX(struct pipeline_in, max_results, T_I64, F_QUERY, 1, 1000, "Default 100."),
             FIELD(struct pipeline_in, page_token, T_STR, F_QUERY, "From the answer before."));
SHAPE_STRICT(shape_validate, "PipelineValidate", struct pipeline_in,
             FIELD(struct pipeline_in, definition, T_STR, F_REQUIRED,
                   "The definition, YAML or JSON text."));

struct pipeline_out {
    const char *name, *description, *definition, *digest, *created_by;
    struct opt_i64 version, created_ms;
    struct opt_bool valid;
    struct json_t *params, *steps, *files, *versions;
};
#define SUMMARY_FIELDS                                                                             \
    FIELD(struct pipeline_out, name, T_STR, F_ALWAYS, "Name."),                                    \
        FIELD(struct pipeline_out, description, T_STR, 0, "What it is for."),                      \
        FIELD(struct pipeline_out, version, T_I64, 0, "Version, from 1."),                         \
        FIELD(struct pipeline_out, digest, T_STR, 0, "SHA-256 of definition and files."),          \
        FIELD(struct pipeline_out, created_by, T_STR, 0, "Who stored this version."),              \
        FIELD(struct pipeline_out, created_ms, T_I64, 0, "When, milliseconds since the epoch.")
SHAPE(shape_pipeline_summary, "PipelineSummary", struct pipeline_out, SUMMARY_FIELDS);
SHAPE(shape_pipeline, "Pipeline", struct pipeline_out, SUMMARY_FIELDS,
      FIELD(struct pipeline_out, valid, T_BOOL, 0, "From validate: true."),
      FIELD(struct pipeline_out, params, T_JSON, 0, "Parameters with type, default and doc."),
      FIELD(struct pipeline_out, steps, T_JSON, 0, "Steps in order, with kind and needs."),
      FIELD(struct pipeline_out, files, T_JSON, 0, "Source files with their digests."),
      FIELD(struct pipeline_out, versions, T_JSON, 0, "Every version, newest first."),
      FIELD(struct pipeline_out, definition, T_STR, 0, "The definition's text."));
struct pipeline_list_out {
    struct list pipelines;
    const char *next_page_token;
};
SHAPE(shape_pipeline_list, "PipelineList", struct pipeline_list_out,
      FIELD_SUB(struct pipeline_list_out, pipelines, T_LIST, F_ALWAYS, &shape_pipeline_summary,
                "By name."),
      FIELD(struct pipeline_list_out, next_page_token, T_STR, 0, "When there are more."));

static void describe_definition(struct ctx *c, const struct definition *d, struct pipeline_out *o) {
    static const char *const types[] = {"string", "int", "float", "bool", "list"};
    static const char *const kinds[] = {"run", "select", "gate"};
    o->name = d->name;
    o->description = d->description;
    o->params = json_on_arena(c, json_object());
    o->steps = json_on_arena(c, json_array());
    for (size_t i = 0; i < d->nparams; i++) {
        const struct param *p = &d->params[i];
        json_t *one = json_pack("{s:s,s:s*}", "type", types[p->type], "doc", p->doc);
        json_object_set_new(o->params, p->name, one);
        if (p->def) {
            json_object_set(one, "default", p->def);
        }
    }
    for (size_t i = 0; i < d->nsteps; i++) {
        const struct step *s = &d->steps[i];
        json_t *needs = json_array();
        for (size_t k = 0; k < s->nneeds; k++) {
            json_array_append_new(needs, json_string(d->steps[s->needs[k]].name));
        }
        json_array_append_new(o->steps,
                              json_pack("{s:s,s:s,s:o,s:b,s:s*,s:s*}", "name", s->name, "kind",
                                        s->kind == STEP_ACTION ? s->action->name : kinds[s->kind],
                                        "needs", needs, "fan_out", (int)s->fan_out, "when",
                                        s->when_text, "doc", s->doc));
    }
}

static int validate(struct ctx *c, const void *in, void *out) {
    const char *text = ((const struct pipeline_in *)in)->definition;
    struct definition *d;
    struct pipeline_out *o = out;
    int rc = definition_parse(c, text, strlen(text), &d);
    if (rc == 0) {
        describe_definition(c, d, o);
        o->valid = SET_BOOL(true);
    }
    return rc;
}

static int schema(struct ctx *c, const void *in, void *out) {
    struct buf text = {0};
    (void)in;
    (void)out;
    definition_schema(&text);
    reply_bytes(c, "application/schema+json", arena_dup(c->arena, text.data, text.len), text.len);
    buf_free(&text);
    return 0;
}

struct put {
    struct pipeline_row row;
    struct source_files files;
    int64_t version;
    bool made;
};

static int put_op(struct ctx *c, void *arg) {
    struct put *p = arg;
    int rc = pipeline_put(c, &p->row, &p->files, &p->version, &p->made);
    return rc ? rc
              : audit_append(c, "pipeline.put", arena_printf(c->arena, "pipeline:%s", p->row.name),
                             arena_printf(c->arena, "{\"version\":%lld}", (long long)p->version));
}

static int by_file_path(const void *a, const void *b) {
    return strcmp(((const struct source_file *)a)->path, ((const struct source_file *)b)->path);
}

static const char *digest_of(struct ctx *c, const char *definition, struct source_files *files) {
    struct sha256 *s = sha256_new();
    unsigned char digest[32];
    char *hex = arena_alloc(c->arena, 65);
    sha256_add(s, definition, strlen(definition) + 1);
    if (files->n) {
        qsort(files->items, files->n, sizeof *files->items, by_file_path);
    }
    for (size_t i = 0; i < files->n; i++) {
        sha256_add(s, files->items[i].path, strlen(files->items[i].path) + 1);
        sha256_add(s, files->items[i].sha256, 64);
    }
    sha256_end(s, digest);
    hex_encode(digest, sizeof digest, hex);
    return hex;
}

static void fill(const struct pipeline_row *p, struct pipeline_out *o) {
    *o = (struct pipeline_out){.name = p->name,
                               .description =
                                   p->description && *p->description ? p->description : NULL,
                               .digest = p->digest,
                               .created_by = p->created_by,
                               .version = SET_I64(p->version),
                               .created_ms = SET_I64(p->created_ms)};
}

static int answer(struct ctx *c, const char *name, int64_t version, struct pipeline_out *o) {
    struct pipeline_row p, *all;
    struct source_files files;
    struct definition *d;
    size_t n;
    int rc = pipeline_load(c, name, version, &p);
    rc = rc ? rc : pipeline_files(c, name, p.version, &files);
    rc = rc ? rc : pipeline_versions(c, name, &all, &n);
    rc = rc ? rc : definition_parse(c, p.definition, strlen(p.definition), &d);
    if (rc) {
        return rc;
    }
    fill(&p, o);
    describe_definition(c, d, o);
    o->definition = p.definition;
    o->files = json_on_arena(c, json_array());
    for (size_t i = 0; i < files.n; i++) {
        json_array_append_new(o->files, json_pack("{s:s,s:s,s:I}", "path", files.items[i].path,
                                                  "sha256", files.items[i].sha256, "size",
                                                  (json_int_t)files.items[i].size));
    }
    o->versions = json_on_arena(c, json_array());
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(o->versions,
                              json_pack("{s:I,s:I,s:s,s:s}", "version", (json_int_t)all[i].version,
                                        "created_ms", (json_int_t)all[i].created_ms, "created_by",
                                        all[i].created_by, "digest", all[i].digest));
    }
    return 0;
}

static int put(struct ctx *c, const void *in_, void *out) {
    const struct pipeline_in *in = in_;
    struct put p = {0};
    struct definition *d;
    int rc = people_only(c);
    rc = rc ? rc : definition_parse(c, in->definition, strlen(in->definition), &d);
    if (rc == 0 && !str_eq(d->name, in->name)) {
        rc = fail_field(c, ERR_INVALID, "name", "the definition's name is %s, the path's %s",
                        d->name, in->name);
    }
    rc = rc ? rc : files_receive(c, in->files, &p.files);
    if (rc == 0) {
        p.row = (struct pipeline_row){.name = in->name,
                                      .description = d->description,
                                      .definition = in->definition,
                                      .digest = digest_of(c, in->definition, &p.files)};
        rc = db_write(executor.db, c, put_op, &p);
    }
    files_unpin(&p.files);
    rc = rc ? rc : db_read_begin(executor.db, c);
    if (rc) {
        return rc;
    }
    rc = answer(c, in->name, p.version, out);
    db_read_end(c);
    reply_status(c, p.made ? 201 : 200);
    return rc;
}

static int get(struct ctx *c, const void *in_, void *out) {
    const struct pipeline_in *in = in_;
    return answer(c, in->name, in->version.v, out);
}

static int list(struct ctx *c, const void *in_, void *out_) {
    const struct pipeline_in *in = in_;
    struct pipeline_list_out *out = out_;
    struct pipeline_row *rows;
    size_t n = 0;
    int64_t offset = 0, limit = in->max_results.set ? in->max_results.v : 100;
    int rc = page_offset(c, in->page_token, &offset);
    rc = rc ? rc : pipeline_list(c, limit + 1, offset, &rows, &n);
    bool more = (int64_t)n > limit;
    n = rc ? 0 : more ? (size_t)limit : n;
    struct pipeline_out *items = ARENA_ARRAY(c->arena, struct pipeline_out, n + 1);
    for (size_t i = 0; i < n; i++) {
        fill(&rows[i], &items[i]);
    }
    out->pipelines = (struct list){.items = items, .n = n};
    out->next_page_token = more ? page_token(c, offset + limit) : NULL;
    return rc;
}

static int delete_one(struct ctx *c, const void *in, void *out) {
    const char *name = ((const struct pipeline_in *)in)->name;
    (void)out;
    int rc = people_only(c);
    rc = rc ? rc : pipeline_delete(c, name);
    return rc ? rc
              : audit_append(c, "pipeline.delete", arena_printf(c->arena, "pipeline:%s", name),
                             "{}");
}

static int run_stored(struct ctx *c, const void *in_, void *out) {
    const struct run_create_in *in = in_;
    struct pipeline_row p;
    struct run_request r = {0};
    int rc = people_only(c);
    rc = rc ? rc : db_read_begin(executor.db, c);
    if (rc) {
        return rc;
    }
    rc = pipeline_load(c, in->name, in->version.v, &p);
    rc = rc ? rc : pipeline_files(c, in->name, p.version, &r.files);
    db_read_end(c);
    r.definition = p.definition;
    r.version = p.version;
    return rc ? rc : run_submit(c, &r, in, out);
}

#define ROW(id_, method_, path_, in_, out_, perm_, lane_, fn_, summary_)                           \
    {                                                                                              \
        .id = "pipeline." id_, .method = method_, .path = "/api/v1/" path_, .in = in_,             \
        .out = out_, .perm = perm_, .lane = lane_, .dialect = DIALECT_PROBLEM, .fn = fn_,          \
        .summary = summary_                                                                        \
    }

static const struct route rows[] = {
    ROW("runs.create", "POST", "pipeline-runs", &shape_run_create, &shape_run, PERM_WRITE,
        LANE_WORK, runs_create, "Runs a definition sent along with its source files."),
    ROW("runs.list", "GET", "pipeline-runs", &shape_run_list_in, &shape_run_list, PERM_READ,
        LANE_READ, runs_list, "Lists pipeline runs, newest first."),
    ROW("runs.get", "GET", "pipeline-runs/{id}", &shape_run_id, &shape_run, PERM_READ, LANE_READ,
        runs_get, "Tells of a run and all its steps."),
    ROW("runs.cancel", "POST", "pipeline-runs/{id}/cancel", &shape_run_id, &shape_run, PERM_WRITE,
        LANE_WRITE, runs_cancel,
        "Ends a run: what has not begun is cancelled, what runs is stopped."),
    ROW("runs.retry", "POST", "pipeline-runs/{id}/retry", &shape_run_id, &shape_run, PERM_WRITE,
        LANE_WRITE, runs_retry, "Runs the steps again that failed, were cancelled, or came after."),
    ROW("runs.events", "GET", "pipeline-runs/{id}/events", &shape_run_events, NULL, PERM_READ,
        LANE_READ, runs_events,
        "Streams state changes as server-sent events until the run has ended."),
    ROW("runs.log", "GET", "pipeline-runs/{id}/steps/{step}/log", &shape_step_log, NULL, PERM_READ,
        LANE_READ, steps_log, "Gives a piece of what a step printed, from a byte offset."),
    ROW("runs.logs", "GET", "pipeline-runs/{id}/steps/{step}/logs", &shape_step_logs, NULL,
        PERM_READ, LANE_READ, steps_logs,
        "Streams what a step prints, as text or, when asked for, as server-sent events."),
    ROW("list", "GET", "pipelines", &shape_pipeline_list_in, &shape_pipeline_list, PERM_READ,
        LANE_READ, list, "Lists stored pipelines."),
    ROW("get", "GET", "pipelines/{name}", &shape_pipeline_get, &shape_pipeline, PERM_READ,
        LANE_READ, get, "Tells of a stored pipeline."),
    ROW("put", "PUT", "pipelines/{name}", &shape_pipeline_put, &shape_pipeline, PERM_WRITE,
        LANE_WORK, put,
        "Stores a definition with its files as a new version, if it differs from the newest."),
    ROW("delete", "DELETE", "pipelines/{name}", &shape_pipeline_name, NULL, PERM_WRITE, LANE_WRITE,
        delete_one, "Deletes a stored pipeline; its runs stay."),
    ROW("run", "POST", "pipelines/{name}/runs", &shape_run_of_stored, &shape_run, PERM_WRITE,
        LANE_WORK, run_stored, "Runs a stored pipeline."),
    ROW("validate", "POST", "pipelines/validate", &shape_validate, &shape_pipeline, PERM_READ,
        LANE_CALL, validate, "Checks a definition; faults are told with line and column."),
    ROW("schema", "GET", "pipelines/schema", NULL, NULL, PERM_PUBLIC, LANE_CALL, schema,
        "Gives the JSON Schema of definitions, for editors."),
};

const struct route_list pipeline_routes = {rows, ARRAY_LEN(rows)};
