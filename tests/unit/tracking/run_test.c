/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

static const char *new_run(const char *extra) {
    return fx_text(fx_call("runs.create", "{\"experiment_id\":\"0\"%s}", extra), "run_id");
}

static void experiments(void) {
    REQUIRE(fx_begin());
    CHECK_STR(fx_call("experiments.create", "{\"name\":\"a\"}"), "{\"experiment_id\":\"1\"}");
    CHECK_STR(
        fx_call("experiments.create",
                "{\"name\":\"b\",\"artifact_location\":\"s3://x/y?q=1\",\"tags\":[{\"key\":\"k\","
                "\"value\":\"v\"}]}"),
        "{\"experiment_id\":\"2\"}");
    fx_now = 1000;
    CHECK_STR(fx_call("experiments.get", "{\"experiment_id\":\"1\"}"),
              "{\"experiment\":{\"experiment_id\":\"1\",\"name\":\"a\",\"artifact_location\":"
              "\"mlflow-artifacts:/1\",\"lifecycle_stage\":\"active\",\"last_update_time\":1000,"
              "\"creation_time\":1000}}");
    CHECK_HAS(fx_call("experiments.get_by_name", "{\"experiment_name\":\"b\"}"),
              "\"tags\":[{\"key\":\"k\",\"value\":\"v\"}]");
    CHECK_HAS(fx_call("experiments.get", "{\"experiment_id\":\"0\"}"), "\"name\":\"Default\"");
    CHECK_HAS(fx_call("runs.create", "{\"experiment_id\":\"2\"}"), "\"artifact_uri\":\"s3://x/y/");
    CHECK_HAS(fx_call("runs.create", "{\"experiment_id\":\"2\"}"), "/artifacts?q=1\"");

    CHECK_HAS(fx_call("experiments.create", "{\"name\":\"a\"}"),
              "\"error_code\":\"RESOURCE_ALREADY_EXISTS\",\"message\":\"Experiment(name=a) already "
              "exists.");
    CHECK_HAS(fx_call("experiments.create", "[]"),
              "Missing value for required parameter 'name'. See the API docs for more information "
              "about request parameters.");
    CHECK_HAS(fx_call("experiments.get", "{\"experiment_id\":\"77\"}"),
              "No Experiment with id=77 exists");
    CHECK_INT(fx_status, 404);
    CHECK_HAS(fx_call("experiments.get", "{\"experiment_id\":\"x\"}"),
              "Invalid experiment ID 'x'. Experiment ID must be a valid integer.");
    CHECK_HAS(fx_call("experiments.get_by_name", "{\"experiment_name\":\"zz\"}"),
              "Could not find experiment with name 'zz'");
    CHECK_HAS(
        fx_call("experiments.create", "{\"name\":\"f\",\"artifact_location\":\"s3://a/b#frag\"}"),
        "'artifact_location' URL can't include fragments or params.");

    const char *run = fx_text(fx_call("runs.create", "{\"experiment_id\":\"1\"}"), "run_id");
    fx_now = 2000;
    CHECK_STR(fx_call("experiments.update", "{\"experiment_id\":\"1\",\"new_name\":\"c\"}"), "{}");
    CHECK_HAS(fx_call("experiments.update", "{\"experiment_id\":\"1\",\"new_name\":\"b\"}"),
              "RESOURCE_ALREADY_EXISTS");
    CHECK_STR(fx_call("experiments.delete", "{\"experiment_id\":\"1\"}"), "{}");
    CHECK_HAS(fx_call("experiments.delete", "{\"experiment_id\":\"1\"}"),
              "RESOURCE_DOES_NOT_EXIST");
    CHECK_HAS(fx_call("experiments.get", "{\"experiment_id\":\"1\"}"),
              "\"lifecycle_stage\":\"deleted\",\"last_update_time\":2000");
    CHECK_HAS(fx_call("runs.get", "{\"run_id\":\"%s\"}", run), "\"lifecycle_stage\":\"deleted\"");
    CHECK_HAS(fx_call("runs.create", "{\"experiment_id\":\"1\"}"),
              "The experiment 1 must be in the 'active' state. Current state is deleted.");
    CHECK_HAS(fx_call("experiments.set_tag", "{\"experiment_id\":\"1\",\"key\":\"k\"}"),
              "must be in the 'active' state");
    CHECK_STR(fx_call("experiments.restore", "{\"experiment_id\":\"1\"}"), "{}");
    CHECK_HAS(fx_call("runs.get", "{\"run_id\":\"%s\"}", run), "\"lifecycle_stage\":\"active\"");
    CHECK_STR(fx_call("experiments.set_tag", "{\"experiment_id\":\"1\",\"key\":\"k\"}"), "{}");
    CHECK_HAS(fx_call("experiments.get", "{\"experiment_id\":\"1\"}"),
              "[{\"key\":\"k\",\"value\":\"\"}]");
    CHECK_STR(fx_call("experiments.delete_tag", "{\"experiment_id\":\"1\",\"key\":\"k\"}"), "{}");
    CHECK_HAS(fx_call("experiments.delete_tag", "{\"experiment_id\":\"1\",\"key\":\"k\"}"),
              "No tag with name: k in experiment with id 1");
    fx_project = 2; /* another project sees none of it */
    CHECK_HAS(fx_call("experiments.get", "{\"experiment_id\":\"1\"}"), "RESOURCE_DOES_NOT_EXIST");
    CHECK_HAS(fx_call("runs.get", "{\"run_id\":\"%s\"}", run), "Run with id=");
    CHECK_STR(fx_call("experiments.search", "{}"), "{}");
    CHECK_STR(fx_call("runs.search", "{\"experiment_ids\":[\"1\"]}"), "{}");
    fx_end();
}

static void experiment_search(void) {
    REQUIRE(fx_begin());
    for (int i = 1; i <= 3; i++) {
        fx_now = 5000 + i / 2;
        fx_call("experiments.create",
                "{\"name\":\"e%d\",\"tags\":[{\"key\":\"n\",\"value\":\"%d\"}]}", i, i);
    }
    fx_call("experiments.delete", "{\"experiment_id\":\"0\"}");
    const char *all = fx_call("experiments.search", "{}");
    /* creation time DESC, then id ASC: 2 and 3 share one */
    CHECK(strstr(all, "\"e2\"") < strstr(all, "\"e3\"") &&
          strstr(all, "\"e3\"") < strstr(all, "\"e1\""));
    CHECK(!strstr(all, "Default"));
    CHECK_HAS(fx_call("experiments.search", "{\"view_type\":\"DELETED_ONLY\"}"), "Default");
    CHECK_HAS(fx_call("experiments.search", "{\"view_type\":3,\"max_results\":1}"),
              "next_page_token");
    const char *one = fx_call("experiments.search", "{\"filter\":\"name = 'e2'\"}");
    CHECK(strstr(one, "\"e2\"") && !strstr(one, "\"e1\"") && !strstr(one, "\"e3\""));
    one = fx_call("experiments.search", "{\"filter\":\"tags.n != '2' AND name LIKE 'e%%'\"}");
    CHECK(!strstr(one, "\"e2\"") && strstr(one, "\"e1\"") && strstr(one, "\"e3\""));
    CHECK_STR(fx_call("experiments.search", "{\"filter\":\"name LIKE 'E%%'\"}"), "{}");
    CHECK_HAS(fx_call("experiments.search", "{\"filter\":\"name ILIKE 'E1'\"}"), "\"e1\"");
    CHECK_HAS(fx_call("experiments.search", "{\"filter\":\"tag.zz IS NULL\"}"), "\"e1\"");
    CHECK_STR(fx_call("experiments.search", "{\"filter\":\"tag.zz IS NOT NULL\"}"), "{}");
    CHECK_HAS(fx_call("experiments.search", "{\"filter\":\"attributes.name = 'e2'\"}"),
              "Invalid entity type 'attributes'");
    one = fx_call("experiments.search", "{\"order_by\":[\"name DESC\"],\"max_results\":2}");
    CHECK(strstr(one, "\"e3\"") < strstr(one, "\"e2\"") && !strstr(one, "\"e1\""));
    one = fx_call("experiments.search",
                  "{\"order_by\":[\"name DESC\"],\"max_results\":2,\"page_token\":\"%s\"}",
                  fx_text(one, "next_page_token"));
    CHECK(strstr(one, "\"e1\"") && !strstr(one, "next_page_token"));
    CHECK_HAS(fx_call("experiments.search", "{\"order_by\":[\"tag.n\"]}"),
              "Invalid order_by entity: tag");
    CHECK_HAS(fx_call("experiments.search", "{\"max_results\":50001}"),
              "Invalid value 50001 for parameter 'max_results' supplied. It must be at most 50000");
    CHECK_HAS(fx_call("experiments.search", "{\"max_results\":0}"), "positive integer");
    fx_end();
}

static void runs(void) {
    REQUIRE(fx_begin());
    const char *run =
        fx_call("runs.create", "{\"experiment_id\":\"0\",\"user_id\":\"u\",\"start_time\":"
                               "7,\"run_name\":\"n\",\"tags\":[{\"key\":\"t\",\"value\":"
                               "\"1\"}]}");
    const char *id = fx_text(run, "run_id");
    CHECK_INT(strlen(id), 32);
    CHECK_STR(run,
              arena_printf(fx_keep,
                           "{\"run\":{\"info\":{\"run_id\":\"%s\",\"run_uuid\":\"%s\","
                           "\"experiment_id\":\"0\",\"run_name\":\"n\",\"user_id\":\"u\","
                           "\"status\":\"RUNNING\",\"start_time\":7,\"artifact_uri\":"
                           "\"mlflow-artifacts:/0/%s/artifacts\",\"lifecycle_stage\":\"active\"},"
                           "\"data\":{\"tags\":[{\"key\":\"t\",\"value\":\"1\"},{\"key\":"
                           "\"mlflow.runName\",\"value\":\"n\"}]},\"inputs\":{}}}",
                           id, id, id));
    CHECK_HAS(fx_call("runs.get", "{\"run_uuid\":\"%s\"}", id), "\"inputs\":{},\"outputs\":{}}}");
    const char *named = fx_call("runs.create", "{\"experiment_id\":\"0\"}");
    const char *name = fx_text(named, "run_name");
    CHECK(strlen(name) <= 20 && strchr(name, '-') != strrchr(name, '-'));
    CHECK_HAS(named, "\"start_time\":0");
    CHECK_HAS(fx_call("runs.create",
                      "{\"experiment_id\":\"0\",\"run_name\":\"a\",\"tags\":[{\"key\":"
                      "\"mlflow.runName\",\"value\":\"b\"}]}"),
              "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different "
              "values (run_name='a', mlflow.runName='b').");
    CHECK_HAS(fx_call("runs.update",
                      "{\"run_id\":\"%s\",\"status\":\"FINISHED\",\"end_time\":9,"
                      "\"run_name\":\"m\"}",
                      id),
              "\"run_name\":\"m\",\"user_id\":\"u\",\"status\":\"FINISHED\",\"start_time\":7,"
              "\"end_time\":9");
    CHECK_HAS(fx_call("runs.get", "{\"run_id\":\"%s\"}", id),
              "{\"key\":\"mlflow.runName\",\"value\":\"m\"}");
    CHECK_HAS(fx_call("runs.update", "{\"run_id\":\"%s\",\"status\":\"BOGUS\"}", id),
              "Invalid value");
    CHECK_HAS(fx_call("runs.update", "{\"run_id\":\"%s\",\"status\":4}", id), "\"FAILED\"");
    CHECK_STR(fx_call("runs.set_tag",
                      "{\"run_id\":\"%s\",\"key\":\"mlflow.runName\",\"value\":\"z\"}", id),
              "{}");
    CHECK_HAS(fx_call("runs.get", "{\"run_id\":\"%s\"}", id), "\"run_name\":\"z\"");
    CHECK_STR(fx_call("runs.delete_tag", "{\"run_id\":\"%s\",\"key\":\"t\"}", id), "{}");
    CHECK_HAS(fx_call("runs.delete_tag", "{\"run_id\":\"%s\",\"key\":\"t\"}", id),
              "No tag with name: t in run with id ");
    CHECK_HAS(fx_call("runs.get", "{\"run_id\":\"abc\"}"), "Run with id=abc not found");
    CHECK_STR(fx_call("runs.delete", "{\"run_id\":\"%s\"}", id), "{}");
    CHECK_STR(fx_call("runs.delete", "{\"run_id\":\"%s\"}", id), "{}");
    CHECK_HAS(fx_call("runs.set_tag", "{\"run_id\":\"%s\",\"key\":\"a\"}", id),
              "must be in the 'active' state. Current state is deleted.");
    CHECK_HAS(fx_call("runs.log_metric",
                      "{\"run_id\":\"%s\",\"key\":\"a\",\"value\":1,\"timestamp\":1}", id),
              "must be in the 'active' state");
    CHECK_HAS(fx_call("runs.get", "{\"run_id\":\"%s\"}", id), "\"lifecycle_stage\":\"deleted\"");
    CHECK_STR(fx_call("runs.restore", "{\"run_id\":\"%s\"}", id), "{}");
    CHECK_STR(fx_call("runs.set_tag", "{\"run_id\":\"%s\",\"key\":\"a\"}", id), "{}");
    fx_end();
}

static void params(void) {
    REQUIRE(fx_begin());
    const char *id = new_run("");
    char *big = arena_alloc(fx_keep, 6102);
    memset(big, 'x', 6100);
    CHECK_STR(
        fx_call("runs.log_parameter", "{\"run_id\":\"%s\",\"key\":\"k\",\"value\":\"a\"}", id),
        "{}");
    CHECK_STR(
        fx_call("runs.log_parameter", "{\"run_id\":\"%s\",\"key\":\"k\",\"value\":\"a\"}", id),
        "{}");
    CHECK_HAS(
        fx_call("runs.log_parameter", "{\"run_id\":\"%s\",\"key\":\"k\",\"value\":\"b\"}", id),
        arena_printf(fx_keep,
                     "Changing param values is not allowed. Param with key='k' was already "
                     "logged with value='a' for run ID='%s'. Attempted logging new value 'b'.",
                     id));
    CHECK_HAS(
        fx_call("runs.log_batch",
                "{\"run_id\":\"%s\",\"params\":[{\"key\":\"n\",\"value\":\"1\"},{\"key\":\"k\","
                "\"value\":\"b\"}]}",
                id),
        "Params were already logged='[{'key': 'k', 'old_value': 'a', 'new_value': 'b'}]' for "
        "run ID='");
    CHECK(!strstr(fx_call("runs.get", "{\"run_id\":\"%s\"}", id), "\"key\":\"n\""));
    CHECK_HAS(
        fx_call("runs.log_batch",
                "{\"run_id\":\"%s\",\"params\":[{\"key\":\"d\",\"value\":\"1\"},{\"key\":\"d\","
                "\"value\":\"1\"}]}",
                id),
        "Duplicate parameter keys have been submitted: ['d']. Please ensure the request "
        "contains only one param value per param key.");
    CHECK_STR(fx_call("runs.log_parameter", "{\"run_id\":\"%s\",\"key\":\"big\",\"value\":\"%s\"}",
                      id, big),
              "{}");
    CHECK_STR(fx_call("runs.log_parameter", "{\"run_id\":\"%s\",\"key\":\"big\",\"value\":\"%s\"}",
                      id, big),
              "{}");
    const char *run = fx_call("runs.get", "{\"run_id\":\"%s\"}", id);
    CHECK_INT(strlen(fx_text(strstr(run, "\"big\""), "value")), 6000);
    CHECK_STR(fx_call("runs.log_parameter", "{\"run_id\":\"%s\",\"key\":\"empty\"}", id), "{}");
    CHECK_HAS(
        fx_call("runs.log_parameter", "{\"run_id\":\"%s\",\"key\":\"a//b\",\"value\":\"1\"}", id),
        "Invalid value \\\"a//b\\\" for parameter 'key' supplied: Names may be treated as files");
    CHECK_HAS(
        fx_call("runs.log_parameter", "{\"run_id\":\"%s\",\"key\":\"a$\",\"value\":\"1\"}", id),
        "Names may only contain alphanumerics");
    CHECK_HAS(
        fx_call("runs.log_parameter", "{\"run_id\":\"%s\",\"key\":\"../a\",\"value\":\"1\"}", id),
        "would resolve to '../a'");
    CHECK_STR(fx_call("runs.log_parameter", "{\"run_id\":\"%s\",\"key\":\"\xc3\xa9/a.b\"}", id),
              "{}");
    CHECK_HAS(fx_call("runs.log_parameter", "{\"run_id\":\"%s\",\"key\":\"%.251s\"}", id, big),
              "'Param key' exceeds the maximum length of 250 characters");
    fx_end();
}

static void metrics(void) {
    REQUIRE(fx_begin());
    const char *id = new_run("");
#define POINT(v, t, s)                                                                             \
    CHECK_STR(fx_call("runs.log_metric",                                                           \
                      "{\"run_id\":\"%s\",\"key\":\"m\",\"value\":" v ",\"timestamp\":" t          \
                      ",\"step\":" s "}",                                                          \
                      id),                                                                         \
              "{}")
    POINT("1", "10", "5");
    POINT("1", "10", "5"); /* a replay leaves one point */
    POINT("2", "99", "4"); /* later by the clock, smaller step: not the latest */
    CHECK_HAS(fx_call("runs.get", "{\"run_id\":\"%s\"}", id),
              "\"metrics\":[{\"key\":\"m\",\"value\":1.0,\"timestamp\":10,\"step\":5}]");
    POINT("0.5", "10", "5"); /* same step and time, smaller */
    CHECK_HAS(fx_call("runs.get", "{\"run_id\":\"%s\"}", id), "\"value\":1.0,");
    POINT("\"NaN\"", "11", "5");
    CHECK_HAS(fx_call("runs.get", "{\"run_id\":\"%s\"}", id), "\"value\":\"NaN\",");
    POINT("-1", "11", "5"); /* NaN counts as 0 */
    CHECK_HAS(fx_call("runs.get", "{\"run_id\":\"%s\"}", id), "\"value\":\"NaN\",");
    POINT("\"Infinity\"", "12", "5");
    CHECK_HAS(fx_call("runs.get", "{\"run_id\":\"%s\"}", id),
              "\"value\":1.7976931348623157e+308,\"timestamp\":12,\"step\":5");
    POINT("\"-Infinity\"", "1", "-3");
    CHECK_STR(fx_call("metrics.history", "{\"run_id\":\"%s\",\"metric_key\":\"m\"}", id),
              "{\"metrics\":[{\"key\":\"m\",\"value\":-1.7976931348623157e+308,\"timestamp\":1,"
              "\"step\":-3},"
              "{\"key\":\"m\",\"value\":0.5,\"timestamp\":10,\"step\":5},"
              "{\"key\":\"m\",\"value\":1.0,\"timestamp\":10,\"step\":5},"
              "{\"key\":\"m\",\"value\":-1.0,\"timestamp\":11,\"step\":5},"
              "{\"key\":\"m\",\"value\":\"NaN\",\"timestamp\":11,\"step\":5},"
              "{\"key\":\"m\",\"value\":1.7976931348623157e+308,\"timestamp\":12,\"step\":5},"
              "{\"key\":\"m\",\"value\":2.0,\"timestamp\":99,\"step\":4}]}");
    const char *page = fx_call("metrics.history",
                               "{\"run_id\":\"%s\",\"metric_key\":\"m\",\"max_results\":5}", id);
    const char *token = fx_text(page, "next_page_token");
    CHECK(*token);
    page =
        fx_call("metrics.history",
                "{\"run_id\":\"%s\",\"metric_key\":\"m\",\"max_results\":5,\"page_token\":\"%s\"}",
                id, token);
    CHECK_HAS(page, "\"timestamp\":99");
    CHECK(!strstr(page, "next_page_token") && !strstr(page, "NaN"));
    CHECK_HAS(fx_call("metrics.history",
                      "{\"run_id\":\"%s\",\"metric_key\":\"m\",\"page_token\":\"%%%%\"}", id),
              "Invalid page token, could not base64-decode");
    CHECK_STR(fx_call("metrics.history", "{\"run_id\":\"%s\",\"metric_key\":\"none\"}", id), "{}");
    CHECK_STR(fx_call("metrics.history", "{\"run_id\":\"none\",\"metric_key\":\"m\"}"), "{}");
    CHECK_HAS(fx_call("metrics.history", "{\"run_id\":\"%s\"}", id),
              "Missing value for required parameter 'metric_key'");
    CHECK_HAS(
        fx_call("runs.log_metric", "{\"run_id\":\"%s\",\"key\":\"m\",\"value\":1,\"timestamp\":-1}",
                id),
        "Invalid value -1 for parameter 'timestamp' supplied: metric 'm' (value=1.0). Timestamp "
        "must be a nonnegative long (64-bit integer) ");
    CHECK_HAS(fx_call("runs.log_metric", "{\"run_id\":\"%s\",\"key\":\"m\",\"timestamp\":1}", id),
              "Missing value for required parameter 'value'");
    CHECK_HAS(fx_call("runs.log_metric",
                      "{\"run_id\":\"%s\",\"key\":\"m\",\"value\":1,\"timestamp\":1.5}", id),
              "Invalid value 1.5 for parameter 'timestamp' supplied:");
    fx_end();
}

static void batches(void) {
    REQUIRE(fx_begin());
    const char *id = new_run("");
    struct buf b = {0};
    CHECK_STR(fx_call("runs.log_batch", "{\"run_id\":\"%s\"}", id), "{}");
    buf_printf(&b, "{\"run_id\":\"%s\",\"metrics\":[", id);
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%s{\"key\":\"k%d\",\"value\":%d,\"timestamp\":5,\"step\":%d}", i ? "," : "",
                   i % 4, i, i);
    size_t whole = b.len;
    buf_puts(&b, "]}");
    CHECK_STR(fx_json("runs.log_batch", b.data), "{}");
    CHECK_STR(fx_json("runs.log_batch", b.data), "{}");
    CHECK_HAS(fx_call("runs.get", "{\"run_id\":\"%s\"}", id),
              "{\"key\":\"k3\",\"value\":999.0,\"timestamp\":5,\"step\":999}");
    const char *history =
        fx_call("metrics.history", "{\"run_id\":\"%s\",\"metric_key\":\"k1\"}", id);
    int points = 0;
    for (const char *p = history; (p = strstr(p, "\"step\"")); p++)
        points++;
    CHECK_INT(points, 250);
    b.len = whole;
    buf_puts(&b, ",{\"key\":\"x\",\"value\":1,\"timestamp\":1}]}");
    CHECK_HAS(fx_json("runs.log_batch", b.data),
              "A batch logging request can contain at most 1000 metrics. Got 1001 metrics. Please "
              "split up metrics across multiple requests and try again.");
    b.len = whole;
    buf_puts(&b, "],\"tags\":[{\"key\":\"t\",\"value\":\"v\"}]}");
    CHECK_HAS(fx_json("runs.log_batch", b.data),
              "at most 1000 metrics, params, and tags. Got 1001");
    buf_clear(&b);
    buf_printf(&b, "{\"run_id\":\"%s\",\"params\":[", id);
    for (int i = 0; i < 101; i++)
        buf_printf(&b, "%s{\"key\":\"p%d\",\"value\":\"v\"}", i ? "," : "", i);
    buf_puts(&b, "]}");
    CHECK_HAS(fx_json("runs.log_batch", b.data), "at most 100 params. Got 101 params.");
    buf_free(&b);
    CHECK_HAS(fx_call("runs.log_batch", "{\"run_id\":\"a/b\"}"),
              "Invalid value \\\"a/b\\\" for parameter 'run_id' supplied.");
    CHECK_HAS(fx_call("runs.log_batch",
                      "{\"run_id\":\"%s\",\"metrics\":[{\"key\":\"a\",\"value\":1}]}", id),
              "Missing value for required parameter 'metrics[0].timestamp'");
    CHECK_HAS(
        fx_call("runs.log_batch",
                "{\"run_id\":\"%s\",\"metrics\":[{\"key\":\"../b\",\"value\":1,\"timestamp\":1}]}",
                id),
        "for parameter 'metrics[0].name' supplied");
    CHECK_HAS(fx_call("runs.log_batch", "{\"run_id\":\"%s\",\"tags\":[{\"value\":\"1\"}]}", id),
              "'tags[0].key'");
    CHECK_STR(fx_call("runs.log_batch",
                      "{\"run_id\":\"%s\",\"tags\":[{\"key\":\"t\",\"value\":\"1\"},{\"key\":\"t\","
                      "\"value\":\"2\"}]}",
                      id),
              "{}");
    CHECK_HAS(fx_call("runs.get", "{\"run_id\":\"%s\"}", id), "{\"key\":\"t\",\"value\":\"2\"}");
    /* a param conflict leaves the batch's metrics out as well */
    fx_call("runs.log_parameter", "{\"run_id\":\"%s\",\"key\":\"p\",\"value\":\"1\"}", id);
    fx_call("runs.log_batch",
            "{\"run_id\":\"%s\",\"params\":[{\"key\":\"p\",\"value\":\"2\"}],\"metrics\":[{\"key\":"
            "\"zz\","
            "\"value\":1,\"timestamp\":1}]}",
            id);
    CHECK(!strstr(fx_call("runs.get", "{\"run_id\":\"%s\"}", id), "\"zz\""));
    fx_end();
}

static void intervals(void) {
    REQUIRE(fx_begin());
    const char *a = new_run(""), *b = new_run("");
    for (int i = 0; i < 20; i++) {
        if (i < 10)
            fx_call("runs.log_metric",
                    "{\"run_id\":\"%s\",\"key\":\"m\",\"value\":1,\"timestamp\":1,\"step\":%d}", a,
                    i);
        fx_call("runs.log_metric",
                "{\"run_id\":\"%s\",\"key\":\"m\",\"value\":2,\"timestamp\":1,\"step\":%d}", b, i);
    }
#define STEPS(json, ...)                                                                           \
    do {                                                                                           \
        static const int want[] = {__VA_ARGS__};                                                   \
        size_t n_ = 0;                                                                             \
        for (const char *p = (json); (p = strstr(p, "\"step\":")); p++, n_++)                      \
            if (n_ < ARRAY_LEN(want))                                                              \
                CHECK_INT(atoi(p + 7), want[n_]);                                                  \
        CHECK_INT(n_, ARRAY_LEN(want));                                                            \
    } while (0)
    const char *got = fx_call("metrics.history_interval",
                              "{\"run_ids\":[\"%s\"],\"metric_key\":\"m\",\"max_results\":5}", a);
    CHECK_HAS(got, arena_printf(fx_keep, "\"step\":0,\"run_id\":\"%s\"", a));
    STEPS(got, 0, 2, 4, 6, 8, 9);
    STEPS(fx_call("metrics.history_interval",
                  "{\"run_ids\":[\"%s\",\"%s\"],\"metric_key\":\"m\",\"max_results\":5}", a, b),
          0, 4, 8, 9, 0, 4, 8, 12, 16, 19);
    STEPS(fx_call("metrics.history_interval",
                  "{\"run_ids\":[\"%s\"],\"metric_key\":\"m\",\"start_step\":3,\"end_step\":5}", a),
          3, 4, 5);
    STEPS(fx_call("metrics.history_bulk",
                  "{\"run_id\":[\"%s\"],\"metric_key\":\"m\",\"max_results\":3}", a),
          0, 1, 2);
    CHECK_HAS(fx_call("metrics.history_bulk", "{\"metric_key\":\"m\"}"),
              "GetMetricHistoryBulk request must specify at least one run_id.");
    CHECK_HAS(fx_call("metrics.history_bulk", "{\"run_id\":[\"x\"]}"),
              "must specify a metric_key.");
    CHECK_HAS(fx_call("metrics.history_interval",
                      "{\"run_ids\":[\"x\"],\"metric_key\":\"m\",\"start_step\":1}"),
              "both must be specified");
    CHECK_STR(fx_call("metrics.history_interval", "{\"run_ids\":[\"x\"],\"metric_key\":\"m\"}"),
              "{\"metrics\":[]}");
    fx_end();
}

static void run_tokens(void) {
    REQUIRE(fx_begin());
    const char *own = new_run(""), *other = new_run("");
    fx_token_run = own;
    CHECK_STR(fx_call("runs.set_tag", "{\"run_id\":\"%s\",\"key\":\"a\"}", own), "{}");
    CHECK_HAS(fx_call("runs.update", "{\"run_id\":\"%s\",\"status\":\"RUNNING\"}", own),
              "run_info");
    CHECK_HAS(fx_call("runs.set_tag", "{\"run_id\":\"%s\",\"key\":\"a\"}", other),
              "PERMISSION_DENIED");
    CHECK_INT(fx_status, 403);
    CHECK_HAS(fx_call("runs.delete", "{\"run_id\":\"%s\"}", other), "PERMISSION_DENIED");
    CHECK_HAS(fx_call("runs.create", "{\"experiment_id\":\"0\"}"), "PERMISSION_DENIED");
    CHECK_HAS(fx_call("experiments.create", "{\"name\":\"q\"}"), "PERMISSION_DENIED");
    CHECK_HAS(fx_call("runs.get", "{\"run_id\":\"%s\"}", other), "RUNNING");
    const char *model =
        fx_text(fx_call("logged_models.create",
                        "{\"experiment_id\":\"0\",\"name\":\"m\",\"source_run_id\":\"%s\"}", own),
                "model_id");
    CHECK_INT(strlen(model), 34);
    CHECK_HAS(fx_call("logged_models.create",
                      "{\"experiment_id\":\"0\",\"name\":\"m\",\"source_run_id\":\"%s\"}", other),
              "PERMISSION_DENIED");
    CHECK_HAS(fx_call("logged_models.finalize",
                      "{\"model_id\":\"%s\",\"status\":\"LOGGED_MODEL_READY\"}", model),
              "LOGGED_MODEL_READY");
    fx_end();
}

int main(void) {
    RUN(experiments);
    RUN(experiment_search);
    RUN(runs);
    RUN(params);
    RUN(metrics);
    RUN(batches);
    RUN(intervals);
    RUN(run_tokens);
    return CHECK_END();
}
