/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/registry/registry.h"

#include "artifact/house.h"
#include "model.h"
#include "name.h"
#include "quern/base/clock.h"
#include "quern/base/str.h"
#include "quern/tracking/tracking.h"
#include "search.h"
#include "source.h"
#include "version.h"
#include "version_store.h"
#include "wire.h"

static struct house h;
static char run_id[33];
#define FOREIGN "m-fedcba9876543210fedcba9876543210"
#define LOGGED "m-0123456789abcdef0123456789abcdef"

/* Copies of what the operations found: their arena is gone when the check looks. */
static char text[4000];
static struct {
    int64_t version, created, updated;
    char source[300], storage[300], run[64], stage[20], description[100], path[300];
} v;

static void keep(const struct version_row *r) {
    v.version = r->version;
    v.created = r->created_ms;
    v.updated = r->updated_ms;
    snprintf(v.source, sizeof v.source, "%s", r->source);
    snprintf(v.storage, sizeof v.storage, "%s", r->storage ? r->storage : "(none)");
    snprintf(v.run, sizeof v.run, "%s", r->run_id);
    snprintf(v.stage, sizeof v.stage, "%s", r->stage);
    snprintf(v.description, sizeof v.description, "%s", r->description);
}

struct args {
    const char *name, *a, *b;
    int64_t version;
    bool flag;
    const char *run_token;
};
#define OP(fn, ...)                                                                                \
    static int fn(struct ctx *c, void *arg) {                                                      \
        const struct args *g = arg;                                                                \
        struct model_row m = {0};                                                                  \
        struct version_row r = {0};                                                                \
        int rc = 0;                                                                                \
        (void)m;                                                                                   \
        (void)g;                                                                                   \
        c->who.run_id = g->run_token;                                                              \
        __VA_ARGS__;                                                                               \
        if (rc == 0 && r.name)                                                                     \
            keep(&r);                                                                              \
        return rc;                                                                                 \
    }
#define DO(fn, ...) house_write(&h, fn, &(struct args){__VA_ARGS__})
#define ASK(fn, ...) house_read(&h, fn, &(struct args){__VA_ARGS__})

OP(make_model, {
    struct pair tag = {g->a, g->b};
    rc = model_create(c, g->name, NULL, &(struct pairs){&tag, g->a ? 1 : 0}, &m);
})
OP(make_version,
   rc = version_create(c, &(struct version_new){.name = g->name, .source = g->a, .run_id = g->b},
                       &r))
OP(make_version_of_logged,
   rc = version_create(c, &(struct version_new){.name = g->name, .source = g->a, .model_id = g->b},
                       &r))
OP(get_version, rc = version_find(c, g->name, g->version, OBJECT_READ, &r))
OP(drop_version, rc = version_delete(c, g->name, g->version))
OP(drop_model, rc = model_delete(c, g->name))
OP(rename_model, rc = model_rename(c, g->name, g->a, &m))
OP(describe, rc = model_describe(c, g->name, g->a, &m))
OP(set_alias, rc = model_alias_set(c, g->name, g->a, g->version))
OP(drop_alias, rc = model_alias_drop(c, g->name, g->a))
OP(move, rc = version_transition(c, g->name, g->version, g->a, g->flag, &r))
OP(tag_version, rc = version_set_tag(c, g->name, g->version, g->a, g->b))
OP(tag_model, rc = model_set_tag(c, g->name, g->a, g->b))
OP(get_alias, {
    int64_t n = 0;
    rc = model_alias_version(c, g->name, g->a, &n);
    v.version = n;
})
OP(resolve, {
    struct model_version_info i;
    rc = model_resolve(c, g->name, &i);
    if (rc == 0) {
        v.version = i.version;
        snprintf(v.path, sizeof v.path, "%s", i.artifact_path ? i.artifact_path : "(none)");
    }
})
OP(other_room_creates, {
    struct model_version_info i;
    rc = model_version_create(c, g->name, g->a, NULL, NULL, "made here", &i);
    if (rc == 0)
        v.version = i.version;
})
OP(foreign_project, {
    c->project = 9;
    rc = version_find(c, g->name, g->version, OBJECT_READ, &r);
})
OP(find_models, {
    const char *order[2] = {g->b, NULL};
    struct search s = {.filter = g->a, .order_by = {order, g->b ? 1 : 0}, .limit = 100};
    struct model_rows rows = {0};
    rc = models_search(c, &s, &rows);
    text[0] = '\0';
    for (size_t i = 0; i < rows.n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? "," : "",
                 rows.items[i].name);
})
OP(find_versions, {
    const char *order[2] = {g->b, NULL};
    struct search s = {.filter = g->a, .order_by = {order, g->b ? 1 : 0}, .limit = 100};
    struct version_rows rows = {0};
    rc = versions_search(c, &s, &rows);
    text[0] = '\0';
    for (size_t i = 0; i < rows.n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s/%lld", i ? "," : "",
                 rows.items[i].name, (long long)rows.items[i].version);
})
OP(latest, {
    struct version_rows rows = {0};
    const char *stages[1] = {g->a};
    rc = model_find(c, g->name, OBJECT_READ, &m);
    if (rc == 0)
        rc = versions_latest(c, &m, &(struct strs){stages, g->a ? 1 : 0}, &rows);
    text[0] = '\0';
    for (size_t i = 0; i < rows.n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s=%lld", i ? "," : "",
                 rows.items[i].stage, (long long)rows.items[i].version);
})
OP(count_edges, rc = db_get_i64(c,
                                "SELECT count(*) FROM lineage_edge WHERE source = ? AND target = ?"
                                " AND verb = 'registered_as'",
                                &v.version, NULL, "ss", g->a, g->b))
OP(count_events, rc = db_get_i64(c, "SELECT count(*) FROM event WHERE type = ? AND subject = ?",
                                 &v.version, NULL, "ss", g->a, g->b))
OP(show_aliases, {
    struct version_wire w;
    rc = version_find(c, g->name, g->version, OBJECT_READ, &r);
    if (rc == 0)
        rc = show_version(c, &r, &w);
    text[0] = '\0';
    for (size_t i = 0; rc == 0 && i < w.aliases.n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s", i ? "," : "",
                 w.aliases.items[i]);
})

static int prepare(struct ctx *c, void *arg) {
    int64_t experiment;
    char sha[65] = "";
    (void)arg;
    int rc = experiment_ensure(c, "e", &experiment);
    if (rc == 0)
        rc = run_create(c, &(struct run_new){.experiment_id = experiment, .name = "r"}, run_id);
    if (rc == 0)
        rc = db_exec(c,
                     "INSERT INTO logged_model (uuid, experiment_id, name, artifact_uri, status,"
                     " model_type, source_run_uuid, created_ms, updated_ms)"
                     " VALUES (?, ?, 'forest', ?, 'LOGGED_MODEL_READY', '', ?, 1, 1)",
                     "siss", LOGGED, experiment, "mlflow-artifacts:/1/models/" LOGGED "/artifacts",
                     run_id);
    if (rc == 0)
        rc = db_exec(
            c,
            "INSERT INTO logged_model (uuid, experiment_id, name, artifact_uri, status,"
            " model_type, source_run_uuid, created_ms, updated_ms)"
            " VALUES (?, ?, 'oak', 's3://b/oak', 'LOGGED_MODEL_READY', '', 'another', 1, 1)",
            "si", FOREIGN, experiment);
    (void)sha;
    return rc;
}

static void models_are_made(void) {
    CHECK_INT(DO(make_model, .name = "m"), 0);
    CHECK_INT(DO(make_model, .name = "m"), -ERR_EXISTS);
    CHECK_STR(said, "Registered Model (name=m) already exists.");
    CHECK_INT(DO(make_model, .name = "a/b"), -ERR_INVALID);
    CHECK_STR(said, "Invalid model name 'a/b'. Names cannot contain '/' or ':'.");
    CHECK_INT(DO(make_model, .name = "a:b"), -ERR_INVALID);
    CHECK_INT(DO(make_model, .name = " "), -ERR_INVALID);
    CHECK_INT(DO(make_model, .name = ".."), -ERR_INVALID);
    CHECK_INT(DO(make_model, .name = "a\nb"), -ERR_INVALID);
    CHECK_INT(DO(make_model, .name = "tags", .a = "bad*key", .b = "x"), -ERR_INVALID);
    CHECK_INT(DO(make_model, .name = "tags", .a = "a//b", .b = "x"), -ERR_INVALID);
    CHECK_INT(ASK(latest, .name = "tags"), -ERR_NOT_FOUND);
    CHECK_STR(said, "Registered Model with name=tags not found");
}

static void numbers_are_never_used_again(void) {
    CHECK_INT(DO(make_version, .name = "m", .a = "s3://b/1"), 0);
    CHECK_INT(v.version, 1);
    CHECK_INT(DO(make_version, .name = "m", .a = "s3://b/2"), 0);
    CHECK_INT(v.version, 2);
    CHECK_INT(DO(drop_version, .name = "m", .version = 2), 0);
    CHECK_INT(DO(drop_version, .name = "m", .version = 2), -ERR_NOT_FOUND);
    CHECK_STR(said, "Model Version (name=m, version=2) not found");
    CHECK_INT(DO(make_version, .name = "m", .a = "s3://b/3"), 0);
    CHECK_INT(v.version, 3);
    /* A refused creation uses up no number. */
    CHECK_INT(DO(make_version, .name = "m", .a = "../x"), -ERR_INVALID);
    CHECK_INT(DO(make_version, .name = "m", .a = "s3://b/4"), 0);
    CHECK_INT(v.version, 4);
    CHECK_INT(ASK(get_version, .name = "m", .version = 3), 0);
    CHECK_STR(v.source, "s3://b/3");
    CHECK_STR(v.stage, "None");
    CHECK_STR(v.run, "");
    CHECK_INT(ASK(foreign_project, .name = "m", .version = 3), -ERR_NOT_FOUND);
    CHECK_INT(DO(make_version, .name = "none", .a = "s3://b/4"), -ERR_NOT_FOUND);
    CHECK_STR(said, "Registered Model with name=none not found");
}

static void aliases(void) {
    static const char *const bad[] = {"latest", "LATEST", "v12", "V1", "a b", "a.b", "", "a/b"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK_INT(DO(set_alias, .name = "m", .a = bad[i], .version = 1), -ERR_INVALID);
    CHECK_INT(DO(set_alias, .name = "m", .a = "v12", .version = 1), -ERR_INVALID);
    CHECK_STR(said, "Version alias name 'v12' is reserved.");
    CHECK_INT(DO(set_alias, .name = "m", .a = "a b", .version = 1), -ERR_INVALID);
    CHECK_STR(said, "Invalid alias name: 'a b'. Names may only contain alphanumerics, underscores "
                    "(_), and dashes (-).");
    CHECK_INT(DO(set_alias, .name = "m", .a = "champion", .version = 2), -ERR_NOT_FOUND);
    CHECK_INT(DO(set_alias, .name = "m", .a = "champion", .version = 1), 0);
    CHECK_INT(DO(set_alias, .name = "m", .a = "champion", .version = 1), 0);
    CHECK_INT(ASK(count_events, .a = "model.alias.moved", .b = "model:m"), 0);
    CHECK_INT(v.version, 1); /* the repetition moved nothing */
    CHECK_INT(DO(set_alias, .name = "m", .a = "champion", .version = 3), 0);
    CHECK_INT(DO(set_alias, .name = "m", .a = "best", .version = 3), 0);
    CHECK_INT(ASK(get_alias, .name = "m", .a = "champion"), 0);
    CHECK_INT(v.version, 3);
    CHECK_INT(ASK(show_aliases, .name = "m", .version = 3), 0);
    CHECK_STR(text, "best,champion");
    CHECK_INT(ASK(show_aliases, .name = "m", .version = 1), 0);
    CHECK_STR(text, "");
    CHECK_INT(ASK(get_alias, .name = "m", .a = "nobody"), -ERR_INVALID);
    CHECK_STR(said, "Registered model alias nobody not found.");
    CHECK_INT(ASK(get_alias, .name = "none", .a = "nobody"), -ERR_NOT_FOUND);
    CHECK_INT(ASK(get_alias, .name = "m", .a = "latest"), 0);
    CHECK_INT(v.version, 4);
    CHECK_INT(DO(drop_alias, .name = "m", .a = "best"), 0);
    CHECK_INT(DO(drop_alias, .name = "m", .a = "best"), 0);
    CHECK_INT(DO(drop_version, .name = "m", .version = 3), 0);
    CHECK_INT(ASK(get_alias, .name = "m", .a = "champion"), -ERR_INVALID);
    CHECK_INT(ASK(count_events, .a = "model.alias.moved", .b = "model:m"), 0);
    CHECK_INT(v.version, 5); /* champion 1, 3, gone; best set, gone */
}

static void stages(void) {
    CHECK_INT(DO(make_model, .name = "s"), 0);
    for (int i = 0; i < 4; i++)
        CHECK_INT(DO(make_version, .name = "s", .a = "s3://b/s"), 0);
    CHECK_INT(DO(move, .name = "s", .version = 1, .a = "production"), 0);
    CHECK_STR(v.stage, "Production");
    CHECK_INT(DO(move, .name = "s", .version = 2, .a = "PRODUCTION"), 0);
    CHECK_INT(DO(move, .name = "s", .version = 3, .a = "Staging", .flag = true), 0);
    CHECK_INT(ASK(latest, .name = "s"), 0);
    CHECK_STR(text, "None=4,Staging=3,Production=2");
    CHECK_INT(DO(move, .name = "s", .version = 4, .a = "Production", .flag = true), 0);
    CHECK_INT(ASK(latest, .name = "s"), 0);
    CHECK_STR(text, "Staging=3,Production=4,Archived=2");
    CHECK_INT(ASK(latest, .name = "s", .a = "staging"), 0);
    CHECK_STR(text, "Staging=3");
    CHECK_INT(ASK(latest, .name = "s", .a = "Dead"), -ERR_INVALID);
    CHECK_INT(DO(move, .name = "s", .version = 4, .a = "Dead"), -ERR_INVALID);
    CHECK_STR(said, "Invalid Model Version stage: Dead. Value must be one of None, Staging, "
                    "Production, Archived.");
    CHECK_INT(DO(move, .name = "s", .version = 4, .a = "None", .flag = true), -ERR_INVALID);
    CHECK_HAS(said, "is not an Active stage");
    CHECK_INT(DO(move, .name = "s", .version = 9, .a = "None"), -ERR_NOT_FOUND);
}

static void search(void) {
    CHECK_INT(DO(make_model, .name = "Sonar", .a = "team", .b = "red"), 0);
    CHECK_INT(DO(make_model, .name = "sonar2", .a = "team", .b = "blue"), 0);
    CHECK_INT(DO(make_model, .name = "p", .a = "mlflow.prompt.is_prompt", .b = "true"), 0);
    CHECK_INT(ASK(find_models, .a = NULL), 0);
    CHECK_STR(text, "Sonar,m,s,sonar2");
    CHECK_INT(ASK(find_models, .a = "tag.`mlflow.prompt.is_prompt` != 'true'"), 0);
    CHECK_STR(text, "Sonar,m,s,sonar2");
    CHECK_INT(ASK(find_models, .a = "tag.`mlflow.prompt.is_prompt` = 'false'"), 0);
    CHECK_STR(text, "Sonar,m,s,sonar2");
    CHECK_INT(ASK(find_models, .a = "tag.`mlflow.prompt.is_prompt` = 'true'"), 0);
    CHECK_STR(text, "p");
    CHECK_INT(ASK(find_models, .a = "name LIKE 'son%'"), 0);
    CHECK_STR(text, "sonar2");
    CHECK_INT(ASK(find_models, .a = "name ILIKE 'SON%' AND tags.team != 'blue'"), 0);
    CHECK_STR(text, "Sonar");
    CHECK_INT(ASK(find_models, .a = "tags.team != 'green'"), 0);
    CHECK_STR(text, "Sonar,sonar2"); /* the key must be there */
    CHECK_INT(ASK(find_models, .a = "name = 'x'' OR 1=1 --'"), 0);
    CHECK_STR(text, "");
    CHECK_INT(ASK(find_models, .b = "name DESC"), 0);
    CHECK_STR(text, "sonar2,s,m,Sonar");
    CHECK_INT(ASK(find_models, .b = "last_updated_timestamp ASC"), 0);
    CHECK_INT(ASK(find_models, .b = "foo"), -ERR_INVALID);
    CHECK_HAS(said, "Invalid order by key 'foo' specified.");
    CHECK_INT(ASK(find_models, .b = "name; DROP TABLE event"), -ERR_INVALID);
    CHECK_INT(ASK(find_models, .a = "name > 'a'"), -ERR_INVALID);
    CHECK_STR(said, "Invalid comparator for attribute: >");
    CHECK_INT(ASK(find_models, .a = "foo = 'a'"), -ERR_INVALID);
    CHECK_HAS(said, "Invalid attribute key 'foo' specified.");
    CHECK_INT(ASK(find_models, .a = "metrics.a = 1"), -ERR_INVALID);
    CHECK_INT(ASK(find_models, .a = "name = 3"), -ERR_INVALID);
    CHECK_INT(ASK(find_models, .a = "name = 'a' OR name = 'b'"), -ERR_INVALID);

    CHECK_INT(ASK(find_versions, .a = "name = 's'", .b = "version_number ASC"), 0);
    CHECK_STR(text, "s/1,s/2,s/3,s/4");
    CHECK_INT(ASK(find_versions, .a = "name = 's' and version_number > 2", .b = "version_number"),
              0);
    CHECK_STR(text, "s/3,s/4");
    CHECK_INT(ASK(find_versions, .a = "version_number = '4' AND name IN ('s', 't')"), 0);
    CHECK_STR(text, "s/4");
    CHECK_INT(ASK(find_versions, .a = "version_number = '4' AND name = 's'"), 0);
    CHECK_STR(text, "s/4");
    CHECK_INT(ASK(find_versions, .a = "version_number LIKE '4'"), -ERR_INVALID);
    CHECK_INT(ASK(find_versions, .a = "source_path LIKE 's3://b/_'", .b = "version_number"), 0);
    CHECK_HAS(text, "m/1");
    CHECK_INT(DO(tag_version, .name = "s", .version = 2, .a = "k", .b = "v"), 0);
    CHECK_INT(ASK(find_versions, .a = "tags.k = 'v'"), 0);
    CHECK_STR(text, "s/2");
    CHECK_INT(DO(make_version, .name = "p", .a = "s3://b/p"), 0);
    CHECK_INT(ASK(find_versions, .a = "name = 'p'"), 0);
    CHECK_STR(text, "");
    CHECK_INT(ASK(find_versions, .a = "current_stage = 'None'"), -ERR_INVALID);
    CHECK_INT(DO(make_model, .name = "p"), -ERR_EXISTS);
    CHECK_HAS(said, "A prompt with the name 'p'");
}

static void sources(void) {
    static const char *const bad[] = {
        "/etc/passwd",
        "etc",
        "./x",
        "../x",
        "file:///etc/passwd",
        "FILE:/etc",
        "file://host/x",
        "s3://b/../x",
        "s3://b/%2e%2e/x",
        "s3://b/%252e%252e/x",
        "s3://b/..%2fx",
        "s3://b/..\\x",
        "s3://b/%25252e./m",
        "mlflow-artifacts:/1/../2",
        "mlflow-artifacts:/1/..;/2",
        "mlflow-artifacts:..",
        "s3://b/x?/..",
        "s3://b/#/../x",
        "runs:/a/..",
        "models:/../m",
        "s3://b/%00x",
        "s3://b/%2500",
        "C:\\models",
        "C:/models",
        "\\\\host\\x",
        "",
        " ",
        "fi%6ce:///etc/passwd",
        " file:///etc",
        "%66ile:/etc",
        "~/x",
        "http://h/%2E%2E/x",
        "http:%2f%2fh/..",
        "http://h/x#..",
        "dbfs:/a/b/..",
    };
    static const char *const good[] = {
        "s3://bucket/a/b",       "gs://b/x",   "dbfs:/models/x", "https://h/x?y=1",
        "mlflow-artifacts:/1/r", "runs:/r/m",  "s3://b/..a/b..", "s3://b/a%20b",
        "abfss://c@a/x",         "hdfs://h/x", "ftp://h/x",      "s3://b/100%",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (DO(make_version, .name = "m", .a = bad[i]) != -ERR_INVALID) {
            printf("accepted: %s (%s)\n", bad[i], said);
            CHECK(false);
        }
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (DO(make_version, .name = "m", .a = good[i]) != 0) {
            printf("refused: %s: %s\n", good[i], said);
            CHECK(false);
        }
    CHECK_INT(DO(make_version, .name = "m", .a = "s3://b/../x"), -ERR_INVALID);
    CHECK_STR(said,
              "Invalid model version source: 's3://b/../x'. If supplying a source as an http, "
              "https, local file path, ftp, objectstore, or mlflow-artifacts uri, an absolute path "
              "must be provided without relative path references present. Please provide an "
              "absolute path.");
    CHECK_INT(DO(make_version, .name = "m", .a = "/x"), -ERR_INVALID);
    CHECK_HAS(said, "To use a local path as a model version source, the run_id request parameter");
}

static void pointers_to_models(void) {
    char edge_from[80];
    CHECK_INT(DO(make_model, .name = "l"), 0);
    CHECK_INT(DO(make_version, .name = "l", .a = "models:/" LOGGED), 0);
    CHECK_STR(v.source, "models:/" LOGGED);
    CHECK_STR(v.storage, "mlflow-artifacts:/1/models/" LOGGED "/artifacts");
    CHECK_STR(v.run, run_id);
    CHECK_INT(ASK(count_edges, .a = "logged_model:" LOGGED, .b = "model_version:l/1"), 0);
    CHECK_INT(v.version, 1);
    snprintf(edge_from, sizeof edge_from, "run:%s", run_id);
    CHECK_INT(ASK(count_edges, .a = edge_from, .b = "model_version:l/1"), 0);
    CHECK_INT(v.version, 1);
    CHECK_INT(ASK(count_events, .a = "model.version.created", .b = "model:l"), 0);
    CHECK_INT(v.version, 1);
    CHECK_INT(DO(make_version, .name = "l", .a = "models:/m-ffffffffffffffffffffffffffffffff"),
              -ERR_NOT_FOUND);
    CHECK_INT(DO(make_version, .name = "l", .a = "models:/l/1"), 0);
    CHECK_STR(v.storage, "mlflow-artifacts:/1/models/" LOGGED "/artifacts");
    CHECK_INT(DO(make_version, .name = "l", .a = "models:/l/99"), -ERR_NOT_FOUND);
    CHECK_INT(DO(make_version_of_logged, .name = "l", .a = "runs:/x/model", .b = LOGGED), 0);
    CHECK_INT(v.version, 3);
    CHECK_STR(v.run, run_id);
    /* A run that is not ours is kept as told, without an edge. */
    CHECK_INT(DO(make_version, .name = "l", .a = "s3://b/x", .b = "feed"), 0);
    CHECK_STR(v.run, "feed");
    CHECK_INT(ASK(count_edges, .a = "run:feed", .b = "model_version:l/4"), 0);
    CHECK_INT(v.version, 0);
}

static void resolution(void) {
    char source[100], want[100], got_root[100];
    CHECK_INT(DO(set_alias, .name = "l", .a = "champion", .version = 1), 0);
    CHECK_INT(ASK(resolve, .name = "models:/l@champion"), 0);
    CHECK_INT(v.version, 1);
    CHECK_STR(v.path, "1/models/" LOGGED "/artifacts");
    CHECK_INT(ASK(resolve, .name = "models:/l/2"), 0);
    CHECK_INT(v.version, 2);
    CHECK_INT(ASK(resolve, .name = "models:/l/latest"), 0);
    CHECK_INT(v.version, 4);
    CHECK_STR(v.path, "(none)");
    CHECK_INT(ASK(resolve, .name = "models:/s/Production"), 0);
    CHECK_INT(v.version, 4);
    CHECK_INT(ASK(resolve, .name = "models:/l@nobody"), -ERR_NOT_FOUND);
    CHECK_HAS(said, "nobody");
    CHECK_INT(ASK(resolve, .name = "models:/none/1"), -ERR_NOT_FOUND);
    CHECK_INT(ASK(resolve, .name = "models:/l/77"), -ERR_NOT_FOUND);
    CHECK_INT(ASK(resolve, .name = "models:/l"), -ERR_INVALID);
    CHECK_INT(ASK(resolve, .name = "runs:/l/1"), -ERR_INVALID);

    /* runs:/R/forest: nothing lies below the run, but a logged model has that name. */
    snprintf(source, sizeof source, "runs:/%s/forest", run_id);
    CHECK_INT(DO(other_room_creates, .name = "fresh", .a = source), 0);
    CHECK_INT(v.version, 1);
    CHECK_INT(ASK(resolve, .name = "models:/fresh/1"), 0);
    CHECK_STR(v.path, "1/models/" LOGGED "/artifacts");
    snprintf(source, sizeof source, "runs:/%s/other", run_id);
    CHECK_INT(DO(other_room_creates, .name = "fresh", .a = source), 0);
    CHECK_INT(ASK(resolve, .name = "models:/fresh/2"), 0);
    snprintf(want, sizeof want, "/%s/artifacts/other", run_id);
    snprintf(got_root, sizeof got_root, "%s", strchr(v.path, '/') ? strchr(v.path, '/') : "?");
    CHECK_STR(got_root, want);
}

static void run_tokens(void) {
    CHECK_INT(DO(make_version, .name = "l", .a = "models:/" LOGGED, .run_token = run_id), 0);
    CHECK_INT(DO(make_version, .name = "l", .a = "models:/" LOGGED, .run_token = "another"),
              -ERR_FORBIDDEN);
    /* Naming its own run does not help with another run's model. */
    CHECK_INT(DO(make_version, .name = "l", .a = "models:/" LOGGED, .b = "another",
                 .run_token = "another"),
              -ERR_FORBIDDEN);
    /* Nor may it say that its model came from another run, */
    CHECK_INT(
        DO(make_version, .name = "l", .a = "models:/" LOGGED, .b = "another", .run_token = run_id),
        -ERR_FORBIDDEN);
    /* or tie another run's model to its own. */
    CHECK_INT(DO(make_version_of_logged, .name = "l", .a = "models:/" LOGGED, .b = FOREIGN,
                 .run_token = run_id),
              -ERR_FORBIDDEN);
    CHECK_INT(DO(make_version, .name = "l", .a = "s3://b/x", .run_token = run_id), -ERR_FORBIDDEN);
    CHECK_INT(DO(make_version, .name = "l", .a = "s3://b/x", .b = run_id, .run_token = run_id), 0);
    CHECK_INT(DO(tag_version, .name = "l", .version = 4, .a = "k", .b = "v", .run_token = run_id),
              -ERR_FORBIDDEN);
}

static void renames_and_deletions(void) {
    CHECK_INT(DO(rename_model, .name = "l", .a = "s"), -ERR_EXISTS);
    CHECK_INT(DO(rename_model, .name = "l", .a = "a/b"), -ERR_INVALID);
    CHECK_INT(DO(rename_model, .name = "l", .a = "renamed"), 0);
    CHECK_INT(ASK(get_version, .name = "l", .version = 1), -ERR_NOT_FOUND);
    CHECK_INT(ASK(get_version, .name = "renamed", .version = 1), 0);
    CHECK_INT(ASK(resolve, .name = "models:/renamed@champion"), 0);
    CHECK_INT(ASK(count_edges, .a = "logged_model:" LOGGED, .b = "model_version:renamed/1"), 0);
    CHECK_INT(v.version, 1);
    CHECK_INT(DO(describe, .name = "renamed", .a = "text"), 0);
    CHECK_INT(DO(describe, .name = "renamed"), 0);
    CHECK_INT(DO(tag_model, .name = "renamed", .a = "k", .b = ""), 0);
    CHECK_INT(DO(tag_model, .name = "nobody", .a = "k", .b = ""), -ERR_NOT_FOUND);
    CHECK_INT(DO(drop_model, .name = "renamed"), 0);
    CHECK_INT(DO(drop_model, .name = "renamed"), -ERR_NOT_FOUND);
    CHECK_INT(ASK(resolve, .name = "models:/renamed/1"), -ERR_NOT_FOUND);
    CHECK_INT(ASK(find_versions, .a = "name = 'renamed'"), 0);
    CHECK_STR(text, "");
    CHECK_INT(DO(make_model, .name = "renamed"), 0);
}

static void lengths(void) {
    static char long_text[TAG_VALUE_MAX + 2];
    memset(long_text, 'x', sizeof long_text - 1);
    CHECK_INT(DO(tag_model, .name = "m", .a = "k", .b = long_text), -ERR_INVALID);
    CHECK_STR(said, "'value' exceeds the maximum length of 100000 characters");
    long_text[TAG_VALUE_MAX] = '\0';
    CHECK_INT(DO(tag_model, .name = "m", .a = "k", .b = long_text), 0);
    long_text[251] = '\0';
    CHECK_INT(DO(tag_model, .name = "m", .a = long_text, .b = "v"), -ERR_INVALID);
    CHECK_STR(said, "'key' exceeds the maximum length of 250 characters");
    long_text[250] = '\0';
    CHECK_INT(DO(tag_model, .name = "m", .a = long_text, .b = "v"), 0);
    memset(long_text, 'x', 300);
    long_text[256] = '\0';
    CHECK_INT(DO(set_alias, .name = "m", .a = long_text, .version = 1), -ERR_INVALID);
    CHECK_STR(said, "'Registered model alias name' exceeds the maximum length of 255 characters");
}

int main(void) {
    house_open(&h, 0);
    CHECK_INT(house_write(&h, prepare, NULL), 0);
    RUN(models_are_made);
    RUN(numbers_are_never_used_again);
    RUN(aliases);
    RUN(stages);
    RUN(search);
    RUN(sources);
    RUN(pointers_to_models);
    RUN(resolution);
    RUN(run_tokens);
    RUN(renames_and_deletions);
    RUN(lengths);
    house_end(&h);
    return CHECK_END();
}
