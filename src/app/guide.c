/* SPDX-License-Identifier: Apache-2.0 */
/* The first page: the same short guide as plain text for a shell and as a small page for a browser,
 * with the address that the caller itself used, so that each line works as printed. */
#include <string.h>

#include "house.h"
#include "page.h"
#include "quern/access/access.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/str.h"
#include "quern/config/config.h"
#include "quern/core/ctx.h"
#include "quern/core/err.h"

struct guide_line {
    const char *title;
    const char *command; /* $ stands for the server's URL */
};

static const struct guide_line lines[] = {
    {"Make an experiment",
     "curl -s $/api/2.0/mlflow/experiments/create --json '{\"name\":\"first\"}'"},
    {"Point MLflow code here", "export MLFLOW_TRACKING_URI=$"},
    {"Run a pipeline and follow it", "quern run pipeline.yaml --follow --url $"},
    {"List pipeline runs", "curl -s $/api/v1/pipeline-runs"},
    {"List endpoints", "curl -s $/api/v1/endpoints"},
    {"List the models that answer predictions", "curl -s $/v2/models"},
    {"Search registered models", "curl -s $/api/2.0/mlflow/registered-models/search"},
    {"Where did an endpoint come from",
     "curl -s '$/api/v1/lineage?node=endpoint:NAME&direction=upstream'"},
    {"Numbers for Prometheus", "curl -s $/metrics"},
    {"Is it ready", "curl -s $/readyz"},
    {"Who am I", "curl -s $/api/v1/whoami"},
    {"The whole API", "curl -s $/openapi.json"},
};

static const char *own_url(struct ctx *c) {
    const char *host = ctx_header(c, "host");
    const char *scheme =
        house.config && config_str(house.config, CONFIG_TLS_CERT)[0] ? "https" : "http";
    return arena_printf(c->arena, "%s://%s", scheme, host ? host : "127.0.0.1:7780");
}

static void put_command(struct buf *out, const char *command, const char *url) {
    for (const char *p = command; *p; p++) {
        if (*p == '$') {
            buf_puts(out, url);
        } else {
            buf_putc(out, *p);
        }
    }
}

static void put_html(struct buf *out, const char *text) {
    for (const char *p = text; *p; p++) {
        switch (*p) {
        case '<':
            buf_puts(out, "&lt;");
            break;
        case '>':
            buf_puts(out, "&gt;");
            break;
        case '&':
            buf_puts(out, "&amp;");
            break;
        case '"':
            buf_puts(out, "&quot;");
            break;
        default:
            buf_putc(out, *p);
        }
    }
}

static void guide_text(struct buf *out, const char *url) {
    buf_printf(out, "Quern %s: experiments, registry, pipelines, serving and lineage.\n\n",
               QUERN_VERSION);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        buf_printf(out, "# %s\n", lines[i].title);
        put_command(out, lines[i].command, url);
        buf_puts(out, "\n\n");
    }
}

static const char page_head[] =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
    "<title>Quern</title><style>"
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:52rem;margin:3rem auto;padding:0 1rem}"
    "h1{font-size:1.6rem;margin:0}p.lead{margin:.2rem 0 2rem;opacity:.75}"
    "h2{font-size:1rem;margin:1.4rem 0 .3rem}"
    "pre{margin:0;padding:.6rem .8rem;border-radius:.4rem;overflow-x:auto;"
    "background:#8881;border:1px solid #8883;font:14px/1.45 ui-monospace,monospace}"
    "a{color:inherit}nav{margin:2rem 0;display:flex;gap:1.2rem;flex-wrap:wrap}"
    "</style></head><body><main><h1>Quern</h1><p class=\"lead\">Version " QUERN_VERSION
    ". Experiments, registry, pipelines, serving and lineage in one binary.</p>"
    "<nav><a href=\"/api/v1/pipeline-runs\">Pipeline runs</a>"
    "<a href=\"/api/v1/endpoints\">Endpoints</a><a href=\"/v2/models\">Models in service</a>"
    "<a href=\"/metrics\">Metrics</a><a href=\"/readyz\">Readiness</a>"
    "<a href=\"/openapi.json\">OpenAPI</a></nav>";

static void guide_html(struct buf *out, const char *url) {
    buf_puts(out, page_head);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        struct buf command = {0};
        put_command(&command, lines[i].command, url);
        buf_printf(out, "<h2>%s</h2><pre>", lines[i].title);
        put_html(out, command.data);
        buf_puts(out, "</pre>");
        buf_free(&command);
    }
    buf_puts(out, "</main></body></html>\n");
}

static bool wants_html(const struct ctx *c) {
    const char *accept = ctx_header(c, "accept");
    return accept && strstr(accept, "text/html");
}

static int guide(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    bool html = wants_html(c);
    struct buf text = {0};
    if (html) {
        guide_html(&text, own_url(c));
    } else {
        guide_text(&text, own_url(c));
    }
    reply_header(c, "Vary", "Accept");
    reply_header(c, "Content-Security-Policy",
                 "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
                 "frame-ancestors 'none'");
    reply_bytes(c, html ? "text/html; charset=utf-8" : "text/plain; charset=utf-8",
                arena_dup(c->arena, text.data, text.len), text.len);
    buf_free(&text);
    return 0;
}

static int first_page(struct ctx *c, const void *in, void *out) {
    return page_is_open() && wants_html(c) ? page_index(c) : guide(c, in, out);
}

static int errors(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    struct buf text = {0};
    buf_puts(&text, "Name                 HTTP  MLflow error_code            Meaning\n");
    for (int code = 1; code < ERR_COUNT; code++) {
        const struct err_row *r = err_row(code);
        buf_printf(&text, "%-20s %4d  %-28s %s\n", r->name, r->status, r->mlflow, r->title);
    }
    reply_text(c, "text/plain; charset=utf-8", arena_strdup(c->arena, text.data));
    buf_free(&text);
    return 0;
}

static const struct route rows[] = {
    {.id = "ops.first_page",
     .method = "GET",
     .path = "/",
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .dialect = DIALECT_TEXT,
     .fn = first_page,
     .summary = "The guide; for a browser MLflow's page, where the operator lends one."},
    {.id = "ops.guide",
     .method = "GET",
     .path = "/guide",
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .dialect = DIALECT_TEXT,
     .fn = guide,
     .summary = "A short guide with working commands: text, or a page for a browser."},
    {.id = "ops.errors",
     .method = "GET",
     .path = "/errors",
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .dialect = DIALECT_TEXT,
     .fn = errors,
     .summary = "The ways to fail, with status and MLflow's code for each."},
};
const struct route_list guide_routes = {rows, ARRAY_LEN(rows)};
