/* SPDX-License-Identifier: Apache-2.0 */
/* Child launch: from a child's spec to a process under a keeper, and how that ended. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "child_state.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/fd.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/process/process.h"

#define GRACE_MS 2000
#define LOG_CAP (1 << 20)
#define LAST_BYTES 4096
#define STAMP_LEN 27 /* "2026-01-02T03:04:05.678Z o " */

const char *child_health_path(const struct child *ch, size_t i) {
    static const char *const oip[] = {"/v2/health/ready", "/ping", "/readyz", "/healthz", NULL};
    static const char *const scoring[] = {"/ping", "/v2/health/ready", "/readyz", "/healthz", NULL};
    static const char *const vertex[] = {"/health", "/ping", "/readyz", "/healthz", NULL};
    if (ch->spec.health)
        return i == 0 ? ch->spec.health : NULL;
    return (ch->protocol == CHILD_OIP ? oip : ch->protocol == CHILD_VERTEX ? vertex : scoring)[i];
}

/* A port that is free now. Between this and the child's bind another may take it: then the child
 * ends or is not healthy, and its next start gets another. */
static unsigned free_port(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unsigned port = 0;
    if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
        getsockname(fd, (struct sockaddr *)&a, &n) == 0)
        port = ntohs(a.sin_port);
    fd_close(fd);
    return port;
}

static bool port_taken(unsigned port) {
    pthread_mutex_lock(&children.lock);
    bool taken = false;
    for (struct child *ch = children.list; ch && !taken; ch = ch->next)
        taken = ch->port == port;
    pthread_mutex_unlock(&children.lock);
    return taken;
}

/* Where this start listens. */
static int place(struct ctx *c, struct child *ch) {
    char socket_path[sizeof ch->socket] = "";
    unsigned port = 0;
    if (ch->by_socket) {
        const char *path =
            arena_printf(c->arena, "%s/%s.sock", dir_path(children.work), ch->folder);
        if (!str_copy(socket_path, sizeof socket_path, path))
            return fail(c, ERR_UNPROCESSABLE,
                        "the data directory's path is too long for a unix socket; use {port}");
    } else {
        for (int i = 0; i < 20 && (port == 0 || port_taken(port)); i++)
            port = free_port();
        if (port == 0)
            return fail(c, ERR_BUSY, "no port of 127.0.0.1 is free for the child");
    }
    pthread_mutex_lock(&children.lock);
    ch->port = port;
    memcpy(ch->socket, socket_path, sizeof ch->socket);
    pthread_mutex_unlock(&children.lock);
    return 0;
}

static const char *expand(struct ctx *c, const struct child *ch, const char *word) {
    const struct {
        const char *name, *value;
    } rows[] = {{"{model}", ch->model_folder},
                {"{port}", arena_printf(c->arena, "%u", ch->port)},
                {"{socket}", ch->socket},
                {"{name}", ch->model_name},
                {"{version}", ch->version}};
    struct buf out = {0};
    while (*word) {
        size_t i = 0;
        while (i < ARRAY_LEN(rows) && !str_starts(word, rows[i].name))
            i++;
        if (i == ARRAY_LEN(rows)) {
            buf_putc(&out, *word++);
        } else {
            buf_puts(&out, rows[i].value);
            word += strlen(rows[i].name);
        }
    }
    char *text = arena_strndup(c->arena, out.data ? out.data : "", out.len);
    buf_free(&out);
    return text;
}

struct environment {
    struct arena *arena;
    const char **items;
    size_t n, cap;
};

/* A later value of a name takes the place of an earlier one. */
static void env_set(struct environment *e, const char *name, const char *value) {
    size_t len = strlen(name), i = 0;
    while (i < e->n && !(strncmp(e->items[i], name, len) == 0 && e->items[i][len] == '='))
        i++;
    if (i == e->n) {
        e->items = arena_room(e->arena, e->items, e->n, &e->cap, sizeof *e->items);
        e->n++;
    }
    e->items[i] = arena_printf(e->arena, "%s=%s", name, value);
}

static const char *const *environment(struct ctx *c, const struct child *ch) {
    struct environment e = {.arena = c->arena};
    const char *at = children.pass ? children.pass : "";
    while (*at) {
        size_t n = strcspn(at, ", ");
        const char *name = arena_strndup(c->arena, at, n);
        const char *value = n ? getenv(name) : NULL;
        if (value)
            env_set(&e, name, value);
        at += n + (at[n] != 0);
    }
    if (ch->port) {
        const char *port = arena_printf(c->arena, "%u", ch->port);
        env_set(&e, "PORT", port);
        env_set(&e, "AIP_HTTP_PORT", port);
        env_set(&e, "SAGEMAKER_BIND_TO_PORT", port);
    }
    env_set(&e, "AIP_HEALTH_ROUTE", child_health_path(ch, 0));
    env_set(&e, "AIP_PREDICT_ROUTE", ch->spec.path ? ch->spec.path : "/predict");
    env_set(&e, "MODEL_NAME", ch->spec.model ? ch->spec.model : ch->model_name);
    env_set(&e, "MODEL_VERSION", ch->version);
    env_set(&e, "MODEL_FOLDER", ch->model_folder);
    for (size_t i = 0; i < ch->spec.env.n; i++)
        env_set(&e, ch->spec.env.items[i].key, ch->spec.env.items[i].value);
    e.items = arena_room(e.arena, e.items, e.n, &e.cap, sizeof *e.items);
    e.items[e.n] = NULL;
    return e.items;
}

int child_launch(struct ctx *c, struct child *ch) {
    if (*ch->folder)
        dir_remove_tree(children.work, ch->folder);
    const char *folder = arena_printf(c->arena, "%.12s-%" PRId64, ch->id, ch->starts);
    pthread_mutex_lock(&children.lock);
    str_copy(ch->folder, sizeof ch->folder, folder); /* read by whoever asks for the log */
    pthread_mutex_unlock(&children.lock);
    int rc = place(c, ch);
    if (rc < 0)
        return rc;
    const char **argv = ARENA_ARRAY(c->arena, const char *, ch->spec.command.n + 1);
    for (size_t i = 0; i < ch->spec.command.n; i++)
        argv[i] = expand(c, ch, ch->spec.command.items[i]);
    struct process_spec spec = {
        .argv = argv,
        .env = environment(c, ch),
        .workdir = ch->model_folder,
        .limits = {.grace_ms = GRACE_MS,
                   .memory_bytes = ch->spec.memory_bytes.set ? ch->spec.memory_bytes.v : 0,
                   .log_cap = LOG_CAP},
        .tied = true,
    };
    return process_start(children.watcher, c, children.work, ch->folder, &spec);
}

/* ---- the end ---- */

int child_log(struct ctx *c, struct child *ch, size_t max, char **text) {
    struct process_status status;
    char folder[sizeof ch->folder];
    pthread_mutex_lock(&children.lock);
    memcpy(folder, ch->folder, sizeof folder);
    pthread_mutex_unlock(&children.lock);
    int64_t at = 0;
    struct buf all = {0};
    if (*folder && process_status(c, children.work, folder, &status) == 0 &&
        status.log_bytes > (int64_t)max)
        at = status.log_bytes - (int64_t)max;
    err_clear(c);
    for (int64_t next = at; *folder; at = next) {
        char *piece = NULL;
        size_t n = 0;
        if (process_log_read(c, children.work, folder, at, 1 << 16, &piece, &n, &next) < 0 ||
            n == 0 || next <= at)
            break;
        buf_put(&all, piece, n);
    }
    err_clear(c);
    size_t skip = all.len > max ? all.len - max : 0;
    *text = arena_strndup(c->arena, all.data ? all.data + skip : "", all.len - skip);
    buf_free(&all);
    return 0;
}

/* The last line that the command itself wrote; "" when there is none. */
static const char *last_line(struct ctx *c, struct child *ch) {
    char *text = NULL;
    child_log(c, ch, LAST_BYTES, &text);
    const char *found = "";
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        size_t n = strlen(line);
        if (n > STAMP_LEN && line[STAMP_LEN - 1] == ' ' &&
            (line[STAMP_LEN - 2] == 'o' || line[STAMP_LEN - 2] == 'e'))
            found = line + STAMP_LEN;
    }
    return utf8_valid(found, strlen(found)) ? found : "";
}

void child_epitaph(struct child *ch, char *out, size_t size) {
    struct ctx c;
    struct process_status status = {0};
    ctx_begin(&c);
    const char *reason = "its keeper was lost";
    if (process_status(&c, children.work, ch->folder, &status) == 0)
        reason = status.reason;
    err_clear(&c);
    const char *line = last_line(&c, ch);
    size_t n = utf8_prefix(line, 200);
    str_copy(
        out, size,
        n ? arena_printf(c.arena, "the command %.200s; its last line: %.*s", reason, (int)n, line)
          : arena_printf(c.arena, "the command %.200s", reason));
    ctx_end(&c);
}
