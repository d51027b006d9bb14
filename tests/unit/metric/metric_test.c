/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/metric/metric.h"

#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "quern/base/buf.h"
#include "quern/base/thread.h"

static void counters_and_gauges(void) {
    metric_add(METRIC_HTTP_REQUESTS, 1, "/a", "GET", "200");
    metric_add(METRIC_HTTP_REQUESTS, 2, "/a", "GET", "200");
    metric_add(METRIC_HTTP_REQUESTS, 5, "/a", "GET", "404");
    metric_add(METRIC_HTTP_REQUESTS, -5, "/a", "GET", "404"); /* a counter never falls */
    metric_add(METRIC_HTTP_REQUESTS, (double)NAN, "/a", "GET", "404");
    CHECK_NEAR(metric_value(METRIC_HTTP_REQUESTS, "/a", "GET", "200"), 3, 0);
    CHECK_NEAR(metric_value(METRIC_HTTP_REQUESTS, "/a", "GET", "404"), 5, 0);
    metric_set(METRIC_DB_QUEUE, 7, NULL, NULL, NULL);
    metric_add(METRIC_DB_QUEUE, -2, NULL, NULL, NULL);
    CHECK_NEAR(metric_value(METRIC_DB_QUEUE, NULL, NULL, NULL), 5, 0);
    /* Labels that a row does not have are not looked at. */
    metric_add(METRIC_DB_COMMITS, 1, "x", "y", "z");
    CHECK_NEAR(metric_value(METRIC_DB_COMMITS, NULL, NULL, NULL), 1, 0);
    /* "a","bc" and "ab","c" are two. */
    metric_add(METRIC_PREDICTION_ROWS, 1, "a", "bc", NULL);
    metric_add(METRIC_PREDICTION_ROWS, 10, "ab", "c", NULL);
    CHECK_NEAR(metric_value(METRIC_PREDICTION_ROWS, "a", "bc", NULL), 1, 0);
}

static char *rendered(bool openmetrics) {
    static struct buf b;
    buf_clear(&b);
    metric_render(openmetrics, &b);
    return b.data;
}

static void histograms(void) {
    struct metric_cell *m = metric_cell(METRIC_HTTP_SECONDS, "/a", NULL, NULL);
    CHECK(m == metric_cell(METRIC_HTTP_SECONDS, "/a", NULL, NULL));
    metric_cell_observe(m, 0.001); /* on the bound: inside */
    metric_cell_observe(m, 0.0011);
    metric_cell_observe(m, 0);
    metric_cell_observe(m, 1e9);
    metric_cell_observe(m, (double)NAN);
    CHECK_NEAR(metric_value(METRIC_HTTP_SECONDS, "/a", NULL, NULL), 4, 0);
    char *s = rendered(false);
    CHECK_HAS(s, "# TYPE quern_http_request_duration_seconds histogram\n");
    CHECK_HAS(s, "quern_http_request_duration_seconds_bucket{route=\"/a\",le=\"0.0005\"} 1\n");
    CHECK_HAS(s, "quern_http_request_duration_seconds_bucket{route=\"/a\",le=\"0.001\"} 2\n");
    CHECK_HAS(s, "quern_http_request_duration_seconds_bucket{route=\"/a\",le=\"0.0025\"} 3\n");
    CHECK_HAS(s, "quern_http_request_duration_seconds_bucket{route=\"/a\",le=\"3600\"} 3\n");
    CHECK_HAS(s, "quern_http_request_duration_seconds_bucket{route=\"/a\",le=\"+Inf\"} 4\n");
    CHECK_HAS(s, "quern_http_request_duration_seconds_count{route=\"/a\"} 4\n");
    CHECK_HAS(s, "quern_http_request_duration_seconds_sum{route=\"/a\"} 1000000000.0021\n");
    metric_observe(METRIC_DB_BATCH, 3, NULL, NULL, NULL);
    s = rendered(false);
    CHECK_HAS(s, "quern_db_batch_size_bucket{le=\"2\"} 0\n");
    CHECK_HAS(s, "quern_db_batch_size_bucket{le=\"4\"} 1\n");
    s = rendered(true);
    CHECK_HAS(s, "quern_db_batch_size_bucket{le=\"4.0\"} 1\n");
}

static void text_forms(void) {
    metric_set(METRIC_BUILD, 1, "1 \"q\" \\ \n", NULL, NULL);
    metric_add(METRIC_AUTH_FAILURES, 1, "\xff", NULL, NULL);
    char *s = rendered(false);
    CHECK_HAS(s, "quern_build_info{version=\"1 \\\"q\\\" \\\\ \\n\"} 1\n");
    CHECK_HAS(s, "# HELP quern_http_requests_total Requests answered.\n"
                 "# TYPE quern_http_requests_total counter\n");
    CHECK_HAS(s, "\nquern_http_requests_total{route=\"/a\",method=\"GET\",status=\"200\"} 3\n");
    CHECK_HAS(s, "quern_auth_failures_total{reason=\"other\"} 1\n");
    CHECK_HAS(s, "quern_audit_rows_total 0\n");     /* there from the start */
    CHECK(!strstr(s, "quern_pipeline_runs_total")); /* no label set yet, no head */
    CHECK(!strstr(s, "# EOF"));
    s = rendered(true);
    CHECK_HAS(s, "# TYPE quern_http_requests counter\n");
    CHECK_HAS(s, "\nquern_http_requests_total{route=\"/a\",method=\"GET\",status=\"200\"} 3\n");
    CHECK_STR(s + strlen(s) - 6, "# EOF\n");
}

static void too_many_label_sets(void) {
    char label[24];
    for (int i = 0; i < 3000; i++) {
        snprintf(label, sizeof label, "e%d", i);
        metric_add(METRIC_PREDICTIONS, 1, label, "1", "ok");
    }
    CHECK_NEAR(metric_value(METRIC_PREDICTIONS, "other", "other", "other"), 1000, 0);
    CHECK_NEAR(metric_value(METRIC_PREDICTIONS, "e1999", "1", "ok"), 1, 0);
    metric_add(METRIC_PREDICTIONS, 1, "e5", "1", "ok"); /* known ones go on */
    CHECK_NEAR(metric_value(METRIC_PREDICTIONS, "e5", "1", "ok"), 2, 0);
}

static void hammer(void *arg) {
    char label[24];
    (void)arg;
    for (int i = 0; i < 20000; i++) {
        snprintf(label, sizeof label, "r%d", i % 50);
        metric_add(METRIC_HTTP_REFUSED, 1, label, NULL, NULL);
        metric_observe(METRIC_STEP_SECONDS, 1, "ok", NULL, NULL);
        if (i % 5000 == 0) {
            struct buf b = {0};
            metric_render(false, &b);
            buf_free(&b);
        }
    }
}

static void threads_lose_no_count(void) {
    struct thread *t[4];
    for (int i = 0; i < 4; i++)
        t[i] = thread_start("hammer", hammer, NULL);
    for (int i = 0; i < 4; i++)
        thread_join(t[i]);
    double sum = 0;
    char label[24];
    for (int i = 0; i < 50; i++) {
        snprintf(label, sizeof label, "r%d", i);
        sum += metric_value(METRIC_HTTP_REFUSED, label, NULL, NULL);
    }
    CHECK_NEAR(sum, 80000, 0);
    CHECK_NEAR(metric_value(METRIC_STEP_SECONDS, "ok", NULL, NULL), 80000, 0);
}

/* Prometheus' own tool reads what is printed, where it is installed. */
static void promtool_agrees(void) {
    if (system("command -v promtool >/dev/null 2>&1") != 0) {
        printf("note: no promtool here\n");
        return;
    }
    char path[] = "/tmp/quern-metric-XXXXXX", command[128];
    int fd = mkstemp(path);
    char *s = rendered(false);
    ssize_t n = write(fd, s, strlen(s));
    close(fd);
    CHECK_INT(n, strlen(s));
    snprintf(command, sizeof command, "promtool check metrics < %s", path);
    CHECK_INT(system(command), 0);
    unlink(path);
}

int main(void) {
    RUN(counters_and_gauges);
    RUN(histograms);
    RUN(text_forms);
    RUN(promtool_agrees);
    RUN(too_many_label_sets);
    RUN(threads_lose_no_count);
    return CHECK_END();
}
