/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

static const char *new_model(const char *name, const char *extra) {
    const char *json =
        fx_call("logged_models.create", "{\"experiment_id\":\"0\",\"name\":\"%s\"%s}", name, extra);
    const char *id = fx_text(json, "model_id");
    if (!*id)
        printf("no model: %s\n", json);
    return id;
}

static void life(void) {
    REQUIRE(fx_begin());
    fx_now = 100;
    const char *run = fx_text(fx_call("runs.create", "{\"experiment_id\":\"0\"}"), "run_id");
    const char *json =
        fx_call("logged_models.create",
                "{\"experiment_id\":\"0\",\"name\":\"clf\",\"model_type\":\"toy\","
                "\"source_run_id\":\"%s\",\"params\":[{\"key\":\"p\",\"value\":\"1\"}],"
                "\"tags\":[{\"key\":\"t\",\"value\":\"v\"}]}",
                run);
    const char *id = fx_text(json, "model_id");
    CHECK_STR(
        json,
        arena_printf(fx_keep,
                     "{\"model\":{\"info\":{\"model_id\":\"%s\",\"experiment_id\":\"0\",\"name\":"
                     "\"clf\",\"creation_timestamp_ms\":100,\"last_updated_timestamp_ms\":100,"
                     "\"artifact_uri\":\"mlflow-artifacts:/0/models/%s/artifacts\",\"status\":"
                     "\"LOGGED_MODEL_PENDING\",\"model_type\":\"toy\",\"source_run_id\":\"%s\","
                     "\"tags\":[{\"key\":\"t\",\"value\":\"v\"}]},\"data\":{\"params\":[{\"key\":"
                     "\"p\",\"value\":\"1\"}]}}}",
                     id, id, run));
    CHECK(strlen(id) == 34 && id[0] == 'm' && id[1] == '-');
    const char *plain = fx_call("logged_models.create", "{\"experiment_id\":\"0\"}");
    CHECK_HAS(plain, "\"model_type\":\"\",\"source_run_id\":\"\"},\"data\":{}}}");
    CHECK(strchr(fx_text(plain, "name"), '-') != NULL);
    fx_now = 200;
    CHECK_HAS(fx_call("logged_models.finalize", "{\"model_id\":\"%s\",\"status\":2}", id),
              "\"last_updated_timestamp_ms\":200");
    CHECK_HAS(fx_call("logged_models.finalize", "{\"model_id\":\"%s\"}", id),
              "Missing value for required parameter 'status'");
    CHECK_HAS(
        fx_call("logged_models.set_tags",
                "{\"model_id\":\"%s\",\"tags\":[{\"key\":\"t\",\"value\":\"w\"},{\"key\":\"u\"}]}",
                id),
        "[{\"key\":\"t\",\"value\":\"w\"},{\"key\":\"u\",\"value\":\"\"}]");
    CHECK_STR(fx_call("logged_models.delete_tag", "{\"model_id\":\"%s\",\"tag_key\":\"u\"}", id),
              "{}");
    CHECK_HAS(fx_call("logged_models.delete_tag", "{\"model_id\":\"%s\",\"tag_key\":\"u\"}", id),
              arena_printf(fx_keep, "No tag with key 'u' found for model with ID '%s'.", id));
    CHECK_STR(
        fx_call(
            "logged_models.log_params",
            "{\"model_id\":\"%s\",\"params\":[{\"key\":\"p\",\"value\":\"1\"},{\"key\":\"q\"}]}",
            id),
        "{}");
    CHECK_HAS(fx_call("logged_models.log_params",
                      "{\"model_id\":\"%s\",\"params\":[{\"key\":\"p\",\"value\":\"2\"}]}", id),
              "Changing param values is not allowed");
    CHECK_HAS(
        fx_call("logged_models.create", "{\"experiment_id\":\"0\",\"name\":\"a/b\"}"),
        "Invalid model name ('a/b') provided. Model name must be a non-empty string and cannot "
        "contain the following characters: ('/', ':', '.', '%', '\\\"', \\\"'\\\")");
    CHECK_HAS(
        fx_call("logged_models.create", "{\"experiment_id\":\"0\",\"source_run_id\":\"nope\"}"),
        "Run with id=nope not found");
    fx_project = 2;
    CHECK_HAS(fx_call("logged_models.get", "{\"model_id\":\"%s\"}", id), "RESOURCE_DOES_NOT_EXIST");
    fx_project = 1;
    CHECK_STR(fx_call("logged_models.delete", "{\"model_id\":\"%s\"}", id), "{}");
    CHECK_HAS(fx_call("logged_models.get", "{\"model_id\":\"%s\"}", id),
              arena_printf(fx_keep, "Logged model with ID '%s' not found.", id));
    CHECK_HAS(fx_call("logged_models.get", "{\"model_id\":\"%s\",\"allow_deleted\":true}", id),
              "\"clf\"");
    CHECK_HAS(fx_call("logged_models.delete", "{\"model_id\":\"m-0\"}"), "RESOURCE_DOES_NOT_EXIST");
    fx_end();
}

static const char *found(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static const char *found(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    const char *rest = arena_vprintf(fx_keep, fmt, ap);
    va_end(ap);
    const char *json = fx_call("logged_models.search", "{\"experiment_ids\":[\"0\"]%s}", rest);
    const char *out = "";
    if (fx_status != 200)
        return json;
    for (const char *p = json; (p = strstr(p, "\"name\":\"")); p++)
        out = arena_printf(fx_keep, "%s%s%.*s", out, *out ? " " : "", (int)strcspn(p + 8, "\""),
                           p + 8);
    return out;
}

static void search(void) {
    REQUIRE(fx_begin());
    const char *run = fx_text(fx_call("runs.create", "{\"experiment_id\":\"0\"}"), "run_id");
    const char *names[] = {"a", "b", "c", "d"}, *values[] = {"1", "3", "\"NaN\"", NULL};
    for (int i = 0; i < 4; i++) {
        fx_now = 100 + i;
        const char *id =
            new_model(names[i], i == 0 ? ",\"tags\":[{\"key\":\"t\",\"value\":\"x\"}]" : "");
        if (values[i])
            CHECK_STR(
                fx_call(
                    "runs.log_metric",
                    "{\"run_id\":\"%s\",\"key\":\"f\",\"value\":%s,\"timestamp\":1,\"model_id\":"
                    "\"%s\",\"dataset_name\":\"%s\",\"dataset_digest\":\"9\"}",
                    run, values[i], id, i ? "one" : "two"),
                "{}");
        if (i == 1) {
            fx_call("logged_models.finalize",
                    "{\"model_id\":\"%s\",\"status\":\"LOGGED_MODEL_READY\"}", id);
            CHECK_HAS(fx_call("logged_models.get", "{\"model_id\":\"%s\"}", id),
                      arena_printf(
                          fx_keep,
                          "\"metrics\":[{\"key\":\"f\",\"value\":3.0,\"timestamp\":1,\"step\":0,"
                          "\"dataset_name\":\"one\",\"dataset_digest\":\"9\",\"model_id\":\"%s\","
                          "\"run_id\":\"%s\"}]",
                          id, run));
        }
    }
    CHECK_HAS(
        fx_call(
            "runs.log_metric",
            "{\"run_id\":\"%s\",\"key\":\"lost\",\"value\":1,\"timestamp\":1,\"model_id\":\"m-0\"}",
            run),
        "Logged model with ID 'm-0' not found.");
    CHECK(!strstr(fx_call("runs.get", "{\"run_id\":\"%s\"}", run), "lost")); /* all or nothing */
    CHECK_STR(found("%s", ""), "d c b a");
#define ORDERED(f, up) found(",\"order_by\":[{\"field_name\":\"" f "\",\"ascending\":" up "}]")
    CHECK_STR(ORDERED("metrics.f", "true"), "a b c d");
    CHECK_STR(ORDERED("metrics.f", "false"), "b a c d");
    CHECK_STR(ORDERED("name", "false"), "d c b a");
    CHECK_STR(ORDERED("creation_timestamp", "true"), "a b c d");
    CHECK_HAS(ORDERED("foo", "true"), "Invalid order by field name: foo");
    CHECK_HAS(ORDERED("params.q", "true"), "Only metrics are supported.");
    CHECK_STR(found(",\"filter\":\"metrics.f >= 1\""), "b a");
    CHECK_STR(found(",\"filter\":\"metrics.f >= 1\",\"datasets\":[{\"dataset_name\":\"two\"}]"),
              "a");
    CHECK_STR(found(",\"filter\":\"metrics.f >= 1\",\"datasets\":[{\"dataset_name\":\"two\","
                    "\"dataset_digest\":\"8\"}]"),
              "");
    CHECK_STR(found(",\"filter\":\"name IN ('a', 'd')\""), "d a");
    CHECK_STR(found(",\"filter\":\"attributes.name LIKE 'B'\""), "");
    CHECK_STR(found(",\"filter\":\"name ILIKE 'B'\""), "b");
    CHECK_STR(found(",\"filter\":\"status = 'READY'\""), "b");
    CHECK_STR(found(",\"filter\":\"status != 'LOGGED_MODEL_READY'\""), "d c a");
    CHECK_STR(found(",\"filter\":\"tags.t = 'x' AND creation_time = 100\""), "a");
    CHECK_HAS(found(",\"filter\":\"metric.f > 1\""),
              "Invalid entity type: 'metric'. Expected one of ['attributes', 'metrics', 'params', "
              "'tags'].");
    CHECK_HAS(found(",\"filter\":\"foo = 'x'\""), "Invalid attribute key 'foo'");
    CHECK_HAS(fx_call("logged_models.search", "{}"),
              "Missing value for required parameter 'experiment_ids'");
    const char *page =
        fx_call("logged_models.search", "{\"experiment_ids\":[\"0\"],\"max_results\":3}");
    const char *token = fx_text(page, "next_page_token");
    CHECK(*token);
    CHECK_STR(found(",\"max_results\":3,\"page_token\":\"%s\"", token), "a");
    /* a token belongs to its search */
    CHECK_HAS(
        found(",\"filter\":\"name = 'a'\",\"page_token\":\"%s\"", token),
        "Filter string in the page token does not match the requested filter string. Expected: "
        "\\\"name = 'a'\\\". Found: null");
    CHECK_INT(fx_status, 400);
    CHECK_HAS(found(",\"order_by\":[{\"field_name\":\"name\"}],\"page_token\":\"%s\"", token),
              "Order by in the page token does not match the requested order by.");
    CHECK_HAS(
        fx_call("logged_models.search", "{\"experiment_ids\":[\"0\",\"1\"],\"page_token\":\"%s\"}",
                token),
        "Experiment IDs in the page token do not match the requested experiment IDs. Expected: "
        "[\\\"0\\\", \\\"1\\\"]. Found: [\\\"0\\\"]");
    CHECK_HAS(found(",\"page_token\":\"%s\"", "eyJvZmZzZXQiOiAzfQ=="),
              "Experiment IDs in the page");
    CHECK_HAS(found(",\"page_token\":\"%s\"", "eyJvZmZzZXQiOiAwfQ=="), "Invalid page token");
    CHECK_HAS(found(",\"page_token\":\"%s\"", "W10="), "Invalid page token");
    CHECK_HAS(found(",\"page_token\":\"%s\"", "e30"), "could not base64-decode");
#define BY_METRIC                                                                                  \
    ",\"filter\":\"name != ''\",\"order_by\":[{\"field_name\":\"metrics.f\",\"ascending\":false}," \
    "{\"field_name\":\"name\"}],\"max_results\":1"
    const char *all = found(BY_METRIC ",\"page_token\":\"\""), *seen = all;
    for (int i = 0; i < 3; i++) {
        page = fx_call("logged_models.search",
                       "{\"experiment_ids\":[\"0\"]" BY_METRIC ",\"page_token\":\"%s\"}",
                       i ? token : "");
        token = fx_text(page, "next_page_token");
        CHECK(*token);
        seen =
            arena_printf(fx_keep, "%s %s", seen, found(BY_METRIC ",\"page_token\":\"%s\"", token));
    }
    CHECK_STR(seen, found(",\"order_by\":[{\"field_name\":\"metrics.f\",\"ascending\":false},"
                          "{\"field_name\":\"name\"}]"));
    fx_end();
}

/* The edges that came with the facts, as "from verb to" lines. */
static const char *edges(void) {
    struct ctx c;
    const char *out = "";
    ctx_begin(&c);
    if (db_read_begin(fx_db, &c) == 0) {
        struct stmt *st =
            db_query(&c,
                     "SELECT source || ' ' || verb || ' ' || target FROM lineage_edge "
                     "ORDER BY 1",
                     "");
        while (stmt_next(st) > 0)
            out = arena_printf(fx_keep, "%s%s\n", out, stmt_text(&c, st, 0));
        if (c.err.code)
            out = arena_strdup(fx_keep, c.err.message);
        db_read_end(&c);
    }
    ctx_end(&c);
    return out;
}

static void lineage(void) {
    REQUIRE(fx_begin());
    const char *run =
        fx_text(fx_call("runs.create", "{\"experiment_id\":\"0\",\"tags\":[{\"key\":"
                                       "\"mlflow.source.git.commit\",\"value\":\"abc1\"}]}"),
                "run_id");
    CHECK_STR(
        fx_call("runs.set_tag",
                "{\"run_id\":\"%s\",\"key\":\"mlflow.source.git.commit\",\"value\":\"not one\"}",
                run),
        "{}"); /* no edge from that */
    fx_call("runs.log_inputs",
            "{\"run_id\":\"%s\",\"datasets\":[{\"dataset\":{\"name\":\"n\",\"digest\":\"d\"}}]}",
            run);
    const char *model = new_model("m", arena_printf(fx_keep, ",\"source_run_id\":\"%s\"", run));
    fx_call("runs.outputs", "{\"run_id\":\"%s\",\"models\":[{\"model_id\":\"%s\",\"step\":1}]}",
            run, model);
    fx_call("logged_models.delete", "{\"model_id\":\"%s\"}", model);
    fx_call("runs.delete", "{\"run_id\":\"%s\"}", run);
    CHECK_STR(edges(), arena_printf(fx_keep,
                                    "dataset:0/n@d used run:%s\ngit:abc1 used run:%s\n"
                                    "run:%s produced logged_model:%s\n",
                                    run, run, run, model));
    fx_end();
}

static void log_model(void) {
    REQUIRE(fx_begin());
    const char *run = fx_text(fx_call("runs.create", "{\"experiment_id\":\"0\"}"), "run_id");
    CHECK_HAS(fx_call("runs.log_model", "{\"run_id\":\"%s\",\"model_json\":\"{\"}", run),
              "Malformed model info.");
    CHECK_HAS(
        fx_call("runs.log_model", "{\"run_id\":\"%s\",\"model_json\":\"{\\\"run_id\\\":1}\"}", run),
        "Model json is missing mandatory fields:");
    for (int i = 0; i < 2; i++)
        CHECK_STR(
            fx_call(
                "runs.log_model",
                "{\"run_id\":\"%s\",\"model_json\":\"{\\\"run_id\\\":\\\"r\\\",\\\"artifact_path"
                "\\\":\\\"p%d\\\",\\\"flavors\\\":{},\\\"utc_time_created\\\":\\\"t\\\"}\"}",
                run, i),
            "{}");
    const char *json = fx_call("runs.get", "{\"run_id\":\"%s\"}", run);
    CHECK_HAS(json, "\"key\":\"mlflow.log-model.history\",\"value\":\"[{");
    CHECK_HAS(json, "\\\"p0\\\"");
    CHECK_HAS(json, "\\\"p1\\\"");
    fx_end();
}

int main(void) {
    RUN(life);
    RUN(search);
    RUN(lineage);
    RUN(log_model);
    return CHECK_END();
}
