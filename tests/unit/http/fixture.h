/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TESTS_FIXTURE_H
#define QUERN_TESTS_FIXTURE_H
/* A server with a small table of rows for the tests of this folder. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "check.h"
#include "client.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/log.h"
#include "quern/base/thread.h"
#include "quern/core/ctx.h"
#include "quern/http/server.h"
#include "quern/metric/metric.h"

struct echo {
    const char *name;
    const char *word;
    struct opt_i64 count;
};
SHAPE(echo_shape, "Echo", struct echo,
      FIELD(struct echo, name, T_STR, F_PATH | F_REQUIRED, "A name."),
      FIELD(struct echo, word, T_STR, 0, "A word."),
      FIELD(struct echo, count, T_I64, F_QUERY, "A count."));
struct word {
    const char *word;
};
SHAPE(word_shape, "Word", struct word, FIELD(struct word, word, T_STR, F_REQUIRED, "A word."));
struct rest {
    const char *path;
};
SHAPE(rest_shape, "Rest", struct rest,
      FIELD(struct rest, path, T_STR, F_PATH | F_REQUIRED, "A path."));

static atomic_int handled; /* calls of any handler */

static int ping(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    atomic_fetch_add(&handled, 1);
    reply_bytes(c, "text/plain", "pong\n", 5);
    return 0;
}

/* Tells the length of the cookies. */
static int cookie(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    const char *text = ctx_header(c, "cookie");
    reply_text(c, "text/plain", arena_printf(c->arena, "%zu", text ? strlen(text) : 0));
    return 0;
}

static int echo(struct ctx *c, const void *in, void *out) {
    (void)c;
    atomic_fetch_add(&handled, 1);
    *(struct echo *)out = *(const struct echo *)in;
    return 0;
}

static int word(struct ctx *c, const void *in, void *out) {
    (void)c;
    atomic_fetch_add(&handled, 1);
    *(struct word *)out = *(const struct word *)in;
    return 0;
}

static int raw(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    atomic_fetch_add(&handled, 1);
    reply_bytes(c, "application/octet-stream", c->body, c->body_len);
    return 0;
}

static int big(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    atomic_fetch_add(&handled, 1);
    char *text = arena_alloc(c->arena, 100001);
    text[0] = '"';
    memset(text + 1, 'a', 99998);
    text[99999] = '"';
    reply_etag(c, "\"big-1\"");
    reply_bytes(c, "application/json", text, 100000);
    return 0;
}

#define FILE_SIZE (300 * 1024)
static char file_byte(size_t i) {
    return (char)('a' + i % 26 + (i / 1000) % 3);
}

static int file(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    atomic_fetch_add(&handled, 1);
    int fd = memfd_create("file", MFD_CLOEXEC);
    char *text = arena_alloc(c->arena, FILE_SIZE);
    for (size_t i = 0; i < FILE_SIZE; i++)
        text[i] = file_byte(i);
    if (write(fd, text, FILE_SIZE) != FILE_SIZE)
        return fail(c, ERR_INTERNAL, "short write");
    reply_etag(c, "\"file-1\"");
    reply_file(c, "application/octet-stream", fd, FILE_SIZE);
    c->reply.ranges = true;
    return 0;
}

/* Uploads: what came is counted; a file that says "bad" fails in the middle. */
struct upload {
    size_t n;
    uint64_t sum;
};
static atomic_int uploads_open, uploads_aborted, uploads_finished;

static int upload_begin(struct ctx *c, const void *in, void **state) {
    const struct rest *r = in;
    if (strcmp(r->path, "refused") == 0)
        return fail(c, ERR_FORBIDDEN, "not this one");
    *state = mem_alloc(sizeof(struct upload));
    atomic_fetch_add(&uploads_open, 1);
    return 0;
}
static int upload_chunk(struct ctx *c, void *state, const char *data, size_t n) {
    struct upload *u = state;
    if (n >= 3 && memcmp(data, "bad", 3) == 0)
        return fail(c, ERR_INVALID, "bad bytes");
    for (size_t i = 0; i < n; i++)
        u->sum += (unsigned char)data[i];
    u->n += n;
    return 0;
}
static int upload_finish(struct ctx *c, const void *in, void *state, void *out) {
    (void)in;
    (void)out;
    struct upload *u = state;
    reply_text(c, "text/plain",
               arena_printf(c->arena, "%zu %llu", u->n, (unsigned long long)u->sum));
    free(u);
    atomic_fetch_add(&uploads_finished, 1);
    atomic_fetch_sub(&uploads_open, 1);
    return 0;
}
static void upload_abort(void *state) {
    free(state);
    atomic_fetch_add(&uploads_aborted, 1);
    atomic_fetch_sub(&uploads_open, 1);
}
static const struct upload_ops upload_functions = {
    .begin = upload_begin, .chunk = upload_chunk, .finish = upload_finish, .abort = upload_abort};

/* A stream of numbers, produced by the test. */
static atomic_int feed_made; /* lines available */
static atomic_int feeds_open;
struct feed {
    int told;
};
static ssize_t feed_next(void *state, char *out, size_t max) {
    struct feed *f = state;
    int made = atomic_load(&feed_made);
    if (made < 0)
        return -1;
    if (f->told >= made)
        return 0;
    return snprintf(out, max, "data: %d\n\n", f->told++);
}
static void feed_close(void *state) {
    atomic_fetch_sub(&feeds_open, 1);
    free(state);
}
static const struct stream_ops feed_functions = {.next = feed_next, .close = feed_close};
static int feed(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    atomic_fetch_add(&feeds_open, 1);
    reply_stream(c, "text/event-stream", &feed_functions, mem_alloc(sizeof(struct feed)));
    return 0;
}

static int broken(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    return fail(c, ERR_INTERNAL, "secret detail");
}

static const struct route rows[] = {
    {.id = "t.ping",
     .method = "GET",
     .path = "/ping",
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .fn = ping,
     .summary = "Answers.",
     .flags = ROUTE_NO_LOG},
    {.id = "t.ping_post",
     .method = "POST",
     .path = "/ping",
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .fn = ping,
     .flags = ROUTE_RAW_BODY,
     .summary = "Answers."},
    {.id = "t.slow",
     .method = "GET",
     .path = "/slow",
     .perm = PERM_PUBLIC,
     .lane = LANE_WORK,
     .fn = ping,
     .summary = "Answers from another thread."},
    {.id = "t.slow_post",
     .method = "POST",
     .path = "/slow",
     .perm = PERM_PUBLIC,
     .lane = LANE_WORK,
     .fn = raw,
     .flags = ROUTE_RAW_BODY,
     .summary = "Answers."},
    {.id = "t.echo",
     .method = "GET",
     .path = "/api/v1/echo/{name}",
     .in = &echo_shape,
     .out = &echo_shape,
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .fn = echo,
     .summary = "Echo."},
    {.id = "t.echo_post",
     .method = "POST",
     .path = "/api/v1/echo/{name}",
     .in = &echo_shape,
     .out = &echo_shape,
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .fn = echo,
     .summary = "Echo."},
    {.id = "t.echo_patch",
     .method = "PATCH",
     .path = "/api/v1/echo/{name}",
     .in = &echo_shape,
     .out = &echo_shape,
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .fn = echo,
     .summary = "Echo."},
    {.id = "t.echo_delete",
     .method = "DELETE",
     .path = "/api/v1/echo/{name}",
     .in = &echo_shape,
     .out = &echo_shape,
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .fn = echo,
     .summary = "Echo."},
    {.id = "t.echo_cancel",
     .method = "POST",
     .path = "/api/v1/echo/{name}:cancel",
     .in = &echo_shape,
     .out = &echo_shape,
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .fn = echo,
     .summary = "Echo."},
    {.id = "t.special",
     .method = "GET",
     .path = "/api/v1/echo/special",
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .fn = ping,
     .summary = "Literal wins."},
    {.id = "t.word",
     .method = "POST",
     .path = "/api/2.0/mlflow/word",
     .in = &word_shape,
     .out = &word_shape,
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .dialect = DIALECT_MLFLOW,
     .flags = ROUTE_MLFLOW_AJAX,
     .fn = word,
     .summary = "MLflow."},
    {.id = "t.raw",
     .method = "POST",
     .path = "/raw",
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .flags = ROUTE_RAW_BODY,
     .body_cap = 200000,
     .fn = raw,
     .summary = "Raw."},
    {.id = "t.packed",
     .method = "POST",
     .path = "/packed",
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .flags = ROUTE_RAW_BODY | ROUTE_PACKED,
     .body_cap = 200000,
     .fn = raw,
     .summary = "Raw, unpacked."},
    {.id = "t.big",
     .method = "GET",
     .path = "/big",
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .fn = big,
     .summary = "Big."},
    {.id = "t.file",
     .method = "GET",
     .path = "/file",
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .fn = file,
     .summary = "File."},
    {.id = "t.upload",
     .method = "PUT",
     .path = "/up/{path...}",
     .in = &rest_shape,
     .perm = PERM_PUBLIC,
     .lane = LANE_WORK,
     .flags = ROUTE_UPLOAD,
     .upload = &upload_functions,
     .summary = "Upload."},
    {.id = "t.feed",
     .method = "GET",
     .path = "/feed",
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .fn = feed,
     .summary = "Stream."},
    {.id = "t.broken",
     .method = "GET",
     .path = "/broken",
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .fn = broken,
     .summary = "Fails."},
    {.id = "t.private",
     .method = "POST",
     .path = "/private",
     .perm = PERM_READ,
     .lane = LANE_CALL,
     .fn = raw,
     .flags = ROUTE_RAW_BODY,
     .summary = "Refused by admit."},
    {.id = "t.cookie",
     .method = "GET",
     .path = "/cookie",
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .fn = cookie,
     .summary = "Measures cookies."},
};
static const struct route_list row_lists[] = {{rows, ARRAY_LEN(rows)}, {NULL, 0}};

static int admit(struct ctx *c, const struct route *row, void *arg) {
    (void)arg;
    c->who.name = "tester";
    if (row->perm > PERM_PUBLIC)
        return fail(c, ERR_UNAUTHENTICATED, "who?");
    return 0;
}

/* WORK goes to a thread of its own, so that calls are finished from elsewhere. */
static atomic_int slow_ms = 20;
static void *finish_elsewhere(void *arg) {
    struct call *k = arg;
    clock_sleep_ms(atomic_load(&slow_ms));
    call_finish(k, call_run(k));
    return NULL;
}
static void dispatch(struct call *k, void *arg) {
    (void)arg;
    if (call_route(k)->lane != LANE_WORK) {
        call_finish(k, call_run(k));
        return;
    }
    call_hold(k);
    pthread_t t;
    pthread_create(&t, NULL, finish_elsewhere, k);
    pthread_detach(t);
}

static atomic_int threads_ended;
static void thread_end(void *arg) {
    (void)arg;
    atomic_fetch_add(&threads_ended, 1);
}

static struct server_options fixture_options(void) {
    return (struct server_options){.listen = "127.0.0.1:0",
                                   .listen_fd = -1,
                                   .threads = 2,
                                   .connections = 500,
                                   .head_ms = 5000,
                                   .body_ms = 5000,
                                   .idle_ms = 20000,
                                   .body_cap = 1 << 20,
                                   .upload_cap = 64 << 20,
                                   .routes = row_lists,
                                   .admit = admit,
                                   .dispatch = dispatch,
                                   .thread_end = thread_end};
}

static struct server *server;
static int port;

__attribute__((unused)) static void fixture_start(const struct server_options *o) {
    struct buf error = {0};
    if (server_start(o, &server, &error)) {
        printf("server_start: %s\n", error.data);
        exit(1);
    }
    port = server_port(server);
}

#endif
