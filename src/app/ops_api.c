/* SPDX-License-Identifier: Apache-2.0 */
/* What operators and orchestrators ask: alive, ready, which version, how much of what. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "house.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/map.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "quern/http/server.h"
#include "quern/metric/metric.h"
#include "quern/onnx/onnx.h"
#include "quern/serving/serving.h"

/* The MLflow release whose server behaviour the routes follow: clients choose features by it (from
 * 3.4 on they send spans to /v1/traces), and it is what our facts were recorded from. */
#define MLFLOW_LEVEL "3.11.2"
#define DISK_RESERVE (UINT64_C(16) << 20)

static int livez(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    reply_text(c, "text/plain; charset=utf-8", "ok\n");
    return 0;
}

static int health(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    reply_text(c, "text/plain; charset=utf-8", "OK");
    return 0;
}

static int version(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    reply_header(c, "X-Quern-Version", QUERN_VERSION);
    reply_text(c, "text/plain; charset=utf-8", MLFLOW_LEVEL);
    return 0;
}

static bool disk_has_room(void) {
    struct statvfs v;
    return fstatvfs(dir_fd(house.data), &v) == 0 &&
           (uint64_t)v.f_bavail * v.f_frsize > DISK_RESERVE;
}

static int readyz(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    struct {
        const char *name;
        bool good;
    } parts[] = {{"started", atomic_load(&house.ready)},
                 {"not-draining", !atomic_load(&house.draining)},
                 {"database-writable", house.db && db_writable(house.db)},
                 {"disk-space", house.data && disk_has_room()}};
    struct buf text = {0};
    bool good = true;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        buf_printf(&text, "[%s] %s\n", parts[i].good ? "+" : "-", parts[i].name);
        good = good && parts[i].good;
    }
    buf_puts(&text, good ? "ready\n" : "not ready\n");
    reply_status(c, good ? 200 : 503);
    reply_text(c, "text/plain; charset=utf-8", arena_strdup(c->arena, text.data));
    buf_free(&text);
    return 0;
}

static double proc_value(const char *key) {
    char line[256];
    double found = 0;
    FILE *f = fopen("/proc/self/status", "re");
    size_t n = strlen(key);
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, key, n) == 0) {
            (void)sscanf(line + n, " %lf", &found);
        }
    }
    if (f) {
        fclose(f);
    }
    return found;
}

static double open_fds(void) {
    double n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d)) {
        n++;
    }
    if (d) {
        closedir(d);
    }
    return n;
}

/* Endpoints that the caller's project has and no other: a series has no project, so one of a shared
 * name tells of both. */
static int own_endpoints(struct ctx *c, struct map *names) {
    int rc = db_read_begin(house.db, c);
    if (rc != 0) {
        return rc;
    }
    struct stmt *st = db_query(c,
                               "SELECT name FROM endpoint WHERE project_id = ?1 AND name NOT IN "
                               "(SELECT name FROM endpoint WHERE project_id <> ?1)",
                               "i", c->project);
    while ((rc = stmt_next(st)) > 0) {
        map_set(names, stmt_text(c, st, 0), names);
    }
    db_read_end(c);
    return rc;
}

/* Takes out the lines about endpoints that are not among `names`. */
static void leave_out_others(struct ctx *c, const struct map *names, struct buf *text) {
    static const char label[] = "{endpoint=\"";
    size_t kept = 0;
    for (size_t at = 0; at < text->len;) {
        const char *line = text->data + at;
        const char *end = memchr(line, '\n', text->len - at);
        size_t n = end ? (size_t)(end - line) + 1 : text->len - at;
        const char *name = memmem(line, n, label, sizeof label - 1);
        bool keep = !name;
        if (name) {
            name += sizeof label - 1;
            keep = map_has(names, arena_strndup(c->arena, name, strcspn(name, "\"")));
        }
        if (keep) {
            memmove(text->data + kept, line, n);
            kept += n;
        }
        at += n;
    }
    text->len = kept;
}

static int metrics(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    const char *accept = ctx_header(c, "accept");
    bool open = accept && strstr(accept, "application/openmetrics-text");
    metric_set(METRIC_RSS, proc_value("VmRSS:") * 1024, NULL, NULL, NULL);
    metric_set(METRIC_THREADS, proc_value("Threads:"), NULL, NULL, NULL);
    metric_set(METRIC_FDS, open_fds(), NULL, NULL, NULL);
    serving_measure();
    metric_set(METRIC_DB_WAL, (double)db_wal_bytes(house.db), NULL, NULL, NULL);
    metric_set(METRIC_HTTP_CONNECTIONS, (double)server_connections(house.server), NULL, NULL, NULL);
    struct buf text = {0};
    metric_render(open, &text);
    int rc = 0;
    if (c->who.level < PERM_SYSTEM) {
        struct map *names = map_new();
        rc = own_endpoints(c, names);
        leave_out_others(c, names, &text);
        map_free(names, NULL);
    }
    reply_bytes(c,
                open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                     : "text/plain; version=0.0.4; charset=utf-8",
                arena_dup(c->arena, text.data ? text.data : "", text.len), text.len);
    buf_free(&text);
    return rc;
}

static int openapi(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    struct buf text = {0};
    openapi_render(house_routes(), QUERN_VERSION, &text);
    reply_bytes(c, "application/json", arena_dup(c->arena, text.data, text.len), text.len);
    buf_free(&text);
    return 0;
}

struct system_out {
    const char *version, *mlflow_level, *sqlite, *onnxruntime;
    struct opt_i64 wal_bytes;
};
SHAPE_LOCAL(system_shape, "System", struct system_out,
            FIELD(struct system_out, version, T_STR, F_ALWAYS, "Quern's version"),
            FIELD(struct system_out, mlflow_level, T_STR, F_ALWAYS,
                  "MLflow release that the tracking routes follow"),
            FIELD(struct system_out, sqlite, T_STR, F_ALWAYS, "SQLite's version"),
            FIELD(struct system_out, onnxruntime, T_STR, 0,
                  "ONNX Runtime's version; absent: not found"),
            FIELD(struct system_out, wal_bytes, T_I64, F_ALWAYS, "Write-ahead log in bytes"));

static int system_get(struct ctx *c, const void *in, void *out_) {
    (void)in;
    (void)c;
    struct system_out *out = out_;
    *out = (struct system_out){.version = QUERN_VERSION,
                               .mlflow_level = MLFLOW_LEVEL,
                               .sqlite = db_version(),
                               .onnxruntime = onnx_ready() ? onnx_version() : NULL,
                               .wal_bytes = SET_I64(db_wal_bytes(house.db))};
    return 0;
}

#define PROBE .method = "GET", .perm = PERM_PUBLIC, .lane = LANE_CALL, .dialect = DIALECT_TEXT
static const struct route rows[] = {
    {.id = "ops.livez",
     PROBE,
     .path = "/livez",
     .flags = ROUTE_NO_HOST_CHECK | ROUTE_NO_LOG,
     .fn = livez,
     .summary = "The process answers."},
    {.id = "ops.readyz",
     PROBE,
     .path = "/readyz",
     .flags = ROUTE_NO_HOST_CHECK | ROUTE_NO_LOG,
     .fn = readyz,
     .summary = "Started, database writable, room on the disk, not draining."},
    {.id = "ops.health",
     PROBE,
     .path = "/health",
     .flags = ROUTE_NO_HOST_CHECK | ROUTE_NO_LOG,
     .fn = health,
     .summary = "MLflow's health check."},
    {.id = "ops.version",
     PROBE,
     .path = "/version",
     .flags = ROUTE_NO_HOST_CHECK | ROUTE_NO_LOG,
     .fn = version,
     .summary = "MLflow release that the tracking routes follow."},
    {.id = "ops.metrics",
     .method = "GET",
     .path = "/metrics",
     .perm = PERM_READ,
     .lane = LANE_CALL,
     .dialect = DIALECT_TEXT,
     .flags = ROUTE_NO_LOG,
     .fn = metrics,
     .summary = "Prometheus text, or OpenMetrics where the caller accepts it."},
    {.id = "ops.openapi",
     .method = "GET",
     .path = "/openapi.json",
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .fn = openapi,
     .summary = "This API as an OpenAPI 3.1 document."},
    {.id = "ops.system",
     .method = "GET",
     .path = "/api/v1/system",
     .out = &system_shape,
     .perm = PERM_READ,
     .lane = LANE_CALL,
     .fn = system_get,
     .summary = "Versions of the daemon and its libraries."},
};
const struct route_list ops_routes = {rows, ARRAY_LEN(rows)};
