/* SPDX-License-Identifier: Apache-2.0 */
/* What the program knows about itself, as documents: docs/generated/ holds these, and a test
 * compares them with what the built program prints. */
#include <curl/curl.h>
#include <stdio.h>

#include "command.h"
#include "house.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/config/config.h"
#include "quern/core/err.h"
#include "quern/core/event.h"
#include "quern/crypto/crypto.h"
#include "quern/db/db.h"
#include "quern/git/git.h"
#include "quern/http/server.h"
#include "quern/metric/metric.h"

static void print_buf(struct buf *out) {
    fwrite(out->data, 1, out->len, stdout);
    buf_free(out);
}

int openapi_command(struct invocation *inv) {
    (void)inv;
    struct buf out = {0};
    openapi_render(house_routes(), QUERN_VERSION, &out);
    buf_putc(&out, '\n');
    print_buf(&out);
    return EXIT_OK;
}

static void api_page(struct buf *out) {
    routes_markdown(house_routes(), out);
}

static void settings_page(struct buf *out) {
    buf_puts(out, "# Settings\n\nPrinted by `quern reference settings`. Flag `--db-queue`, "
                  "environment `QUERN_DB_QUEUE`, file `db.queue = ...`.\n\n"
                  "| setting | default | meaning |\n|---|---|---|\n");
    for (int i = 0; i < CONFIG_COUNT; i++) {
        const struct config_row *r = &config_rows[i];
        buf_printf(out, "| `%s` | %s%s%s | %s |\n", r->key, r->def[0] ? "`" : "",
                   r->def[0] ? r->def : "none", r->def[0] ? "`" : "", r->doc);
    }
}

static void metrics_page(struct buf *out) {
    static const char *const types[] = {"counter", "gauge", "histogram"};
    buf_puts(out, "# Metrics\n\nPrinted by `quern reference metrics`; served at `/metrics`.\n\n"
                  "| metric | type | labels | meaning |\n|---|---|---|---|\n");
    for (int i = 0; i < METRIC_COUNT; i++) {
        const struct metric_row *r = &metric_rows[i];
        buf_printf(out, "| `%s` | %s | %s | %s |\n", r->name, types[r->type], r->labels, r->help);
    }
}

static void errors_page(struct buf *out) {
    buf_puts(out,
             "# Errors\n\nPrinted by `quern reference errors`. MLflow's routes answer "
             "`{\"error_code\", \"message\"}`, the Open Inference Protocol's `{\"error\"}`, all "
             "others `application/problem+json` whose `type` is `urn:quern:error:<name>`.\n\n"
             "| name | status | MLflow error_code | retry | meaning |\n|---|---|---|---|---|\n");
    for (int code = 1; code < ERR_COUNT; code++) {
        const struct err_row *r = err_row(code);
        buf_printf(out, "| %s | %d | %s | %s | %s |\n", r->name, r->status, r->mlflow,
                   r->retry_after ? "yes" : "no", r->title);
    }
}

static void events_page(struct buf *out) {
    buf_puts(out, "# Events\n\nPrinted by `quern reference events`. Written to the outbox in the "
                  "transaction of the change they tell of.\n\n"
                  "| event | subject | data | when |\n|---|---|---|---|\n");
    for (size_t i = 0; i < event_row_count; i++) {
        const struct event_row *r = &event_rows[i];
        buf_printf(out, "| `%s` | %s | %s | %s |\n", r->type, r->subject, r->data, r->doc);
    }
}

static const struct {
    const char *name;
    void (*print)(struct buf *out);
} pages[] = {{"api", api_page},
             {"settings", settings_page},
             {"metrics", metrics_page},
             {"errors", errors_page},
             {"events", events_page}};

int reference_command(struct invocation *inv) {
    struct buf out = {0};
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        if (str_eq(pages[i].name, inv->args[0])) {
            pages[i].print(&out);
            print_buf(&out);
            return EXIT_OK;
        }
    }
    return complain(EXIT_USAGE,
                    "there is no page '%s'; api, settings, metrics, errors and events are",
                    inv->args[0]);
}

int version_command(struct invocation *inv) {
    (void)inv;
    printf("quern %s (SQLite %s, %s, libgit2 %s, libcurl %s)\n", QUERN_VERSION, db_version(),
           crypto_version(), git_version(), curl_version_info(CURLVERSION_NOW)->version);
    return EXIT_OK;
}
