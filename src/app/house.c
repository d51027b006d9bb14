/* SPDX-License-Identifier: Apache-2.0 */
#include "house.h"

#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backup.h"
#include "housekeeping.h"
#include "page.h"
#include "quern/access/access.h"
#include "quern/artifact/artifact.h"
#include "quern/artifact/grant.h"
#include "quern/artifact/place.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/log.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/config/config.h"
#include "quern/db/db.h"
#include "quern/duck/duck.h"
#include "quern/genai/genai.h"
#include "quern/http/server.h"
#include "quern/lane/lane.h"
#include "quern/lineage/lineage.h"
#include "quern/net/net.h"
#include "quern/onnx/onnx.h"
#include "quern/pipeline/pipeline.h"
#include "quern/prediction/prediction.h"
#include "quern/registry/registry.h"
#include "quern/serving/serving.h"
#include "quern/trace/trace.h"
#include "quern/tracking/tracking.h"
#include "quern/trash/trash.h"
#include "quern/webhook/webhook.h"

struct house house;

/* HOST:PORT with a name, an IPv4 address or a bracketed IPv6 address; the host in the arena. Looked
 * at before anything is made on the disk. */
static int listen_split(struct arena *a, const char *listen, const char **host, struct buf *error) {
    struct in6_addr v6;
    int64_t port = -1;
    const char *colon = strrchr(listen, ':');
    size_t n = colon ? (size_t)(colon - listen) : 0;
    bool good = colon && colon[1] >= '0' && colon[1] <= '9' && str_to_i64(colon + 1, &port) &&
                port <= 65535;
    *host = arena_strndup(a, listen, n);
    if (good && listen[0] == '[') {
        good = n > 2 && listen[n - 1] == ']';
        *host = arena_strndup(a, listen + 1, good ? n - 2 : 0);
        good = good && inet_pton(AF_INET6, *host, &v6) == 1;
    } else {
        good = good && n > 0 && !strchr(*host, ':');
    }
    if (!good) {
        buf_printf(error,
                   "--listen must be HOST:PORT with a port up to 65535, as 127.0.0.1:7780 or "
                   "[::1]:7780, not '%s'",
                   listen);
    }
    return good ? 0 : -1;
}

static bool listens_on_loopback(const char *listen) {
    struct arena *a = arena_new();
    struct buf unused = {0};
    struct in_addr v4;
    struct in6_addr v6;
    const char *host = "";
    bool loopback = false;
    if (listen_split(a, listen, &host, &unused) == 0) {
        loopback = str_ieq(host, "localhost") ||
                   (inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127) ||
                   (inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6));
    }
    buf_free(&unused);
    arena_free(a);
    return loopback;
}

static int listen_check(const struct config *c, int listen_fd, struct buf *error) {
    struct arena *a = arena_new();
    const char *host = "";
    int rc = listen_fd >= 0 ? 0 : listen_split(a, config_str(c, CONFIG_LISTEN), &host, error);
    arena_free(a);
    if (rc == 0 && !config_str(c, CONFIG_TLS_CERT)[0] != !config_str(c, CONFIG_TLS_KEY)[0]) {
        buf_puts(error, "--tls-cert and --tls-key belong together; give both or neither");
        rc = -1;
    }
    return rc;
}

/* A socket that was handed over may be bound elsewhere than the settings say. */
static bool bound_to_loopback(int fd) {
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &n) != 0) {
        return false;
    }
    if (a.ss_family == AF_INET) {
        return ntohl(((struct sockaddr_in *)&a)->sin_addr.s_addr) >> 24 == 127;
    }
    return a.ss_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&a)->sin6_addr);
}

static bool on_loopback(const struct config *c, int listen_fd) {
    return listen_fd >= 0 ? bound_to_loopback(listen_fd)
                          : listens_on_loopback(config_str(c, CONFIG_LISTEN));
}

/* Whoever listens to the network must know whom he lets in, and nobody may read along. */
static int exposure_check(const struct config *c, int listen_fd, bool has_principals,
                          struct buf *error) {
    const char *listen = config_str(c, CONFIG_LISTEN);
    if (on_loopback(c, listen_fd)) {
        return 0;
    }
    if (listen_fd >= 0) {
        listen = "the socket that was handed over";
    }
    if (!config_str(c, CONFIG_TLS_CERT)[0] && !config_bool(c, CONFIG_BEHIND_PROXY)) {
        buf_printf(error,
                   "refusing to listen on %s without TLS: give --tls-cert and --tls-key, or "
                   "--behind-proxy when a proxy in front speaks TLS",
                   listen);
        return -1;
    }
    if (!has_principals) {
        buf_printf(error,
                   "refusing to listen on %s while nobody can sign in: run 'quern token create "
                   "NAME --data %s' first",
                   listen, config_str(c, CONFIG_DATA));
        return -1;
    }
    return 0;
}

static int count_principals(struct db *db, int64_t *n) {
    struct ctx c;
    ctx_begin(&c);
    int rc = db_read_begin(db, &c);
    if (rc == 0) {
        rc = db_get_i64(&c, "SELECT count(*) FROM principal", n, NULL, "");
        db_read_end(&c);
    }
    ctx_end(&c);
    return rc;
}

static char *read_pem(const char *path, struct buf *error) {
    if (!path[0]) {
        return NULL;
    }
    FILE *f = fopen(path, "re");
    struct buf text = {0};
    char part[4096];
    size_t n;
    while (f && (n = fread(part, 1, sizeof part, f)) > 0) {
        buf_put(&text, part, n);
    }
    if (f) {
        fclose(f);
    }
    if (!text.len) {
        buf_printf(error, "cannot read %s", path);
    }
    return text.data;
}

static void open_onnx(const struct config *c) {
    char near[PATH_MAX];
    snprintf(near, sizeof near, "%s/lib/libonnxruntime.so", dir_path(house.data));
    const char *const more[] = {near, "libonnxruntime.so.1", "libonnxruntime.so", NULL};
    struct buf error = {0};
    if (onnx_open(config_str(c, CONFIG_ONNX_LIB), more, &error) == 0) {
        log_info("onnx.open", "ONNX Runtime %s from %s", onnx_version(), onnx_path());
    } else {
        log_warn("onnx.missing", "no ONNX Runtime, endpoints cannot load models: %s",
                 error.data ? error.data : "");
    }
    buf_free(&error);
}

static void open_duck(const struct config *c) {
    char near[PATH_MAX];
    snprintf(near, sizeof near, "%s/lib/libduckdb.so", dir_path(house.data));
    const char *const more[] = {near, "libduckdb.so", NULL};
    struct buf error = {0};
    if (duck_open(config_str(c, CONFIG_DUCK_LIB), more, &error) == 0) {
        log_info("duck.open", "DuckDB %s from %s", duck_version(), duck_path());
    } else {
        log_info("duck.missing", "no DuckDB, Parquet files are neither read nor written: %s",
                 error.data ? error.data : "");
    }
    buf_free(&error);
}

static int start_store(struct config *c, int listen_fd, struct buf *error) {
    int rc = dir_open(config_str(c, CONFIG_DATA), true, &house.data);
    if (rc != 0) {
        buf_printf(error, "cannot open the data directory %s: %s", config_str(c, CONFIG_DATA),
                   strerror(-rc));
        return -1;
    }
    if (dir_exists(house.data, RESTORE_MARK)) {
        buf_printf(
            error,
            "the restore to %s was cut off, so files are missing there; empty it and restore "
            "again",
            config_str(c, CONFIG_DATA));
        return -1;
    }
    struct db_options db = {.dir = house.data,
                            .queue = (size_t)config_int(c, CONFIG_DB_QUEUE),
                            .batch = (size_t)config_int(c, CONFIG_DB_BATCH),
                            .wal_soft = config_int(c, CONFIG_DB_WAL_SOFT),
                            .wal_hard = config_int(c, CONFIG_DB_WAL_HARD)};
    if (db_open(&db, &house.db, error) != 0) {
        return -1;
    }
    (void)backup_sweep(); /* the lock is ours: nobody fetches from it */
    int64_t principals = 0;
    if (count_principals(house.db, &principals) != 0) {
        buf_puts(error, "cannot read the database");
        return -1;
    }
    return exposure_check(c, listen_fd, principals > 0, error);
}

static int run_of_model(struct ctx *c, const char *model_id, const char **run_id) {
    struct logged_model_info m;
    int rc = logged_model_get(c, model_id, &m);
    *run_id = rc == 0 ? m.source_run_id : "";
    return rc;
}

/* What the house calls by itself, and to whom. */
static int start_outbound(struct config *c, struct buf *error) {
    struct net_options net = {.allow = config_str(c, CONFIG_NET_ALLOW),
                              .allow_http = config_bool(c, CONFIG_NET_ALLOW_HTTP),
                              .ca_file = config_str(c, CONFIG_NET_CA_FILE)};
    struct webhook_options webhooks = {.lanes = house.lanes,
                                       .data = house.data,
                                       .workers = (unsigned)config_int(c, CONFIG_WEBHOOK_WORKERS),
                                       .timeout_ms = config_int(c, CONFIG_WEBHOOK_TIMEOUT_MS),
                                       .keep_ms = config_int(c, CONFIG_WEBHOOK_KEEP_MS)};
    return net_start(&net, error) == 0 ? webhook_start(&webhooks, error) : -1;
}

static int settle_op(struct ctx *c, void *arg) {
    (void)arg;
    return experiment_settle_default(c);
}

static int settle_experiments(struct buf *error) {
    struct ctx c;
    ctx_begin(&c);
    int rc = db_write(house.db, &c, settle_op, NULL);
    if (rc != 0) {
        buf_puts(error, "cannot write the default experiment's location");
    }
    ctx_end(&c);
    return rc;
}

static int start_rooms(struct config *c, struct buf *error) {
    struct lane_options lanes = {.db = house.db,
                                 .workers = (unsigned)config_int(c, CONFIG_WORKERS),
                                 .work_queue = (size_t)config_int(c, CONFIG_WORK_QUEUE),
                                 .audit = access_audit,
                                 .routes = house_routes()};
    house.lanes = lanes_start(&lanes);
    if (artifacts_open(house.db, house.data, (uint64_t)config_int(c, CONFIG_UPLOAD_CAP),
                       config_int(c, CONFIG_GC_GRACE_MS), error) != 0) {
        return -1;
    }
    house.artifacts = true;
    artifact_upload_keep(config_int(c, CONFIG_UPLOAD_KEEP_MS));
    struct grant_options grants = {.data = house.data,
                                   .public_url = config_str(c, CONFIG_PUBLIC_URL),
                                   .tls = config_str(c, CONFIG_TLS_CERT)[0] != '\0',
                                   .behind_proxy = config_bool(c, CONFIG_BEHIND_PROXY)};
    if (grants_open(&grants, error) != 0) {
        return -1;
    }
    if (artifact_root_open(config_str(c, CONFIG_ARTIFACT_ROOT), dir_path(house.data), error) != 0 ||
        settle_experiments(error) != 0) {
        return -1;
    }
    artifact_model_owner(run_of_model);
    trace_open(house.db);
    genai_open(house.db);
    trash_open(house.db, config_int(c, CONFIG_TRASH_KEEP_MS));
    if (page_open(config_str(c, CONFIG_PAGE), error) != 0) {
        return -1;
    }
    struct prediction_options predictions = {.lanes = house.lanes,
                                             .data = house.data,
                                             .ring_bytes =
                                                 (uint64_t)config_int(c, CONFIG_PREDICTION_RING),
                                             .sweep_ms = config_int(c, CONFIG_PREDICTION_SWEEP_MS)};
    if (prediction_start(&predictions, error) != 0) {
        return -1;
    }
    open_onnx(c);
    open_duck(c);
    struct serving_options serving = {.lanes = house.lanes,
                                      .child_env = config_str(c, CONFIG_SERVING_ENV),
                                      .pyfunc_command = config_str(c, CONFIG_SERVING_PYFUNC),
                                      .data = house.data,
                                      .self_exe = house.self_exe,
                                      .max_model = config_int(c, CONFIG_SERVING_MAX_MODEL),
                                      .timeout_ms = config_int(c, CONFIG_SERVING_TIMEOUT_MS),
                                      .threads = (unsigned)config_int(c, CONFIG_SERVING_THREADS),
                                      .batch_jobs = (unsigned)config_int(c, CONFIG_BATCH_JOBS),
                                      .batch_max_input = config_int(c, CONFIG_BATCH_MAX_INPUT),
                                      .batch_max_output = config_int(c, CONFIG_BATCH_MAX_OUTPUT),
                                      .memory = config_int(c, CONFIG_SERVING_MEMORY)};
    if (serving_start(&serving, error) != 0) {
        return -1;
    }
    house.endpoints = true;
    return start_outbound(c, error);
}

static int start_server(struct config *c, int listen_fd, struct buf *error) {
    const char *listen = config_str(c, CONFIG_LISTEN);
    const char *colon = strrchr(listen, ':');
    /* Behind a proxy every caller comes from this machine, and not every proxy says so. */
    struct access_options access = {.db = house.db,
                                    .auth_on = str_eq(config_str(c, CONFIG_AUTH), "on") ||
                                               config_bool(c, CONFIG_BEHIND_PROXY),
                                    .loopback = on_loopback(c, listen_fd),
                                    .port = colon ? atoi(colon + 1) : 0,
                                    .allowed_hosts = config_str(c, CONFIG_ALLOWED_HOSTS),
                                    .allowed_origins = config_str(c, CONFIG_ALLOWED_ORIGINS),
                                    .default_permission = config_str(c, CONFIG_DEFAULT_PERMISSION)};
    if (access_start(&access, &house.access, error) != 0) {
        return -1;
    }
    char *cert = read_pem(config_str(c, CONFIG_TLS_CERT), error);
    char *key = read_pem(config_str(c, CONFIG_TLS_KEY), error);
    struct server_options o = {.listen = listen,
                               .listen_fd = listen_fd,
                               .tls_cert_pem = cert,
                               .tls_key_pem = key,
                               .threads = (unsigned)config_int(c, CONFIG_HTTP_THREADS),
                               .connections = (unsigned)config_int(c, CONFIG_HTTP_CONNECTIONS),
                               .per_ip = (unsigned)config_int(c, CONFIG_HTTP_PER_IP),
                               .head_ms = config_int(c, CONFIG_HTTP_HEAD_MS),
                               .body_ms = config_int(c, CONFIG_HTTP_BODY_MS),
                               .idle_ms = config_int(c, CONFIG_HTTP_IDLE_MS),
                               .body_cap = (uint64_t)config_int(c, CONFIG_HTTP_BODY_CAP),
                               .upload_cap = (uint64_t)config_int(c, CONFIG_UPLOAD_CAP),
                               .routes = house_routes(),
                               .admit = access_admit,
                               .admit_arg = house.access,
                               .dispatch = lane_dispatch,
                               .dispatch_arg = house.lanes,
                               .thread_end = lane_thread_end};
    int rc = error->len ? -1 : server_start(&o, &house.server, error);
    free(cert);
    if (key) {
        explicit_bzero(key, strlen(key));
    }
    free(key);
    return rc;
}

static int start_pipelines(struct config *c, struct buf *error) {
    const char *listen = config_str(c, CONFIG_LISTEN);
    const char *given = config_str(c, CONFIG_PUBLIC_URL);
    struct buf url = {0};
    if (given[0]) {
        buf_puts(&url, given);
    } else {
        const char *colon = strrchr(listen, ':');
        int host = colon ? (int)(colon - listen) : (int)strlen(listen);
        const char *scheme = config_str(c, CONFIG_TLS_CERT)[0] ? "https" : "http";
        if (str_starts(listen, "0.0.0.0:") || str_starts(listen, "[::]:")) {
            buf_printf(&url, "%s://127.0.0.1:%d", scheme, server_port(house.server));
        } else {
            buf_printf(&url, "%s://%.*s:%d", scheme, host, listen, server_port(house.server));
        }
    }
    house.public_url = url.data;
    int64_t parallel = config_int(c, CONFIG_PIPELINE_PARALLEL);
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    pipeline_action(&serving_deploy_action);
    struct pipeline_options o = {
        .lanes = house.lanes,
        .data = house.data,
        .self_exe = house.self_exe,
        .public_url = house.public_url,
        .parallel = parallel > 0 ? (unsigned)parallel : (unsigned)(processors > 0 ? processors : 1),
        .log_cap = config_int(c, CONFIG_STEP_LOG_CAP),
        .env_allow = config_str(c, CONFIG_STEP_ENV)};
    if (pipeline_start(&o, error) != 0) {
        return -1;
    }
    house.pipelines = true;
    return 0;
}

int house_start(struct config *config, int listen_fd, struct buf *error) {
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    house.config = config;
    house.self_exe = mem_strdup(self);
    experiment_sweep_listen(housekeeping_mark, NULL);
    /* Pipelines come last: their steps call the server. */
    if (listen_check(config, listen_fd, error) != 0 || start_store(config, listen_fd, error) != 0 ||
        start_rooms(config, error) != 0 || start_server(config, listen_fd, error) != 0 ||
        start_pipelines(config, error) != 0) {
        return -1;
    }
    house.housekeeping = housekeeping_start(house.lanes, config_int(config, CONFIG_GC_EVERY_MS));
    atomic_store(&house.ready, true);
    return 0;
}

void house_stop(void) {
    housekeeping_stop(house.housekeeping);
    net_stop();
    serving_cease();
    if (house.pipelines) {
        pipeline_stop();
    }
    if (house.server) {
        server_stop(house.server);
    }
    if (house.endpoints) {
        serving_stop();
    }
    prediction_stop();
    webhook_stop();
    if (house.lanes) {
        lanes_stop(house.lanes);
    }
    page_close();
    access_stop(house.access);
    if (house.artifacts) {
        grants_close();
        artifact_root_close();
        artifacts_close();
    }
    if (house.db) {
        db_close(house.db);
    }
    if (house.data) {
        dir_close(house.data);
    }
    free(house.public_url);
    free(house.self_exe);
    memset(&house, 0, sizeof house);
}
