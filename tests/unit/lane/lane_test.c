/* SPDX-License-Identifier: Apache-2.0 */
/* Lanes under a real server and a real database: what is read, written, undone, replayed, told. */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "../http/client.h"
#include "check.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/log.h"
#include "quern/base/path.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "quern/db/db.h"
#include "quern/http/server.h"
#include "quern/lane/lane.h"

struct item {
    const char *name;
    struct opt_i64 id;
};
SHAPE(item_shape, "Item", struct item,
      FIELD(struct item, name, T_STR, F_REQUIRED, "A name, unique."),
      FIELD(struct item, id, T_I64, 0, "A number."));
struct count {
    struct opt_i64 n;
};
SHAPE(count_shape, "Count", struct count, FIELD(struct count, n, T_I64, F_ALWAYS, "How many."));

static atomic_int item_runs, audits, told;
static _Atomic int64_t last_seq;
static atomic_bool told_wrong, call_had_db, job_not_daemon;

static int insert(struct ctx *c, const char *name, struct item *out) {
    int rc = db_exec(c, "INSERT INTO item (name) VALUES (?)", "s", name);
    if (rc)
        return rc;
    out->name = name;
    out->id = SET_I64(db_last_id(c));
    return event_emit(c, "model.version.created", arena_printf(c->arena, "model:%s", name), NULL);
}

static int item_add(struct ctx *c, const void *in, void *out) {
    atomic_fetch_add(&item_runs, 1);
    reply_status(c, 201);
    return insert(c, ((const struct item *)in)->name, out);
}

static int item_add_then_fail(struct ctx *c, const void *in, void *out) {
    int rc = insert(c, ((const struct item *)in)->name, out);
    return rc ? rc : fail(c, ERR_CONFLICT, "no, after all");
}

static atomic_int reads, bounded_reads;

static int item_count(struct ctx *c, const void *in, void *out) {
    atomic_fetch_add(&reads, 1);
    atomic_fetch_add(&bounded_reads, c->deadline_ns > 0); /* no search goes on for ever */
    (void)in;
    int64_t n;
    int rc = db_get_i64(c, "SELECT count(*) FROM item", &n, NULL, "");
    ((struct count *)out)->n = SET_I64(n);
    return rc;
}

/* Slow work that writes by itself. */
static struct lanes *lanes;
static atomic_int work_ms;
static int work_op(struct ctx *c, void *arg) {
    struct item *out = arg;
    return insert(c, arena_printf(c->arena, "work-%s", c->request_id), out);
}
static int item_work(struct ctx *c, const void *in, void *out) {
    (void)in;
    atomic_fetch_add(&item_runs, 1);
    clock_sleep_ms(atomic_load(&work_ms));
    return db_write(lanes_db(lanes), c, work_op, out);
}

static int call(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    atomic_store(&call_had_db, c->db != NULL);
    reply_text(c, "text/plain", "called\n");
    return 0;
}

/* Handlers of rows whose objects have permissions: they ask when their item's name says so. */
static int guarded_add(struct ctx *c, const void *in, void *out) {
    const struct item *i = in;
    c->asked = c->asked || strstr(i->name, "asks") != NULL;
    return insert(c, i->name, out);
}
static int guarded_work(struct ctx *c, const void *in, void *out) {
    (void)in;
    return db_write(lanes_db(lanes), c, work_op, out);
}
static int guarded_asks(struct ctx *c, const void *in, void *out) {
    (void)in;
    (void)out;
    c->asked = true;
    return 0;
}
static const struct route inner = {.id = "t.inner", .flags = ROUTE_OBJECT, .fn = guarded_asks};
/* Runs a row that asks, but asks for nothing itself. */
static int guarded_outer(struct ctx *c, const void *in, void *out) {
    int rc = route_run(c, &inner, NULL, NULL);
    return rc ? rc : item_count(c, in, out);
}

static const struct route rows[] = {
    {.id = "t.guarded",
     .method = "POST",
     .path = "/guarded",
     .in = &item_shape,
     .out = &item_shape,
     .perm = PERM_PUBLIC,
     .lane = LANE_WRITE,
     .flags = ROUTE_OBJECT,
     .fn = guarded_add,
     .summary = "Adds, and asks by name."},
    {.id = "t.guarded-work",
     .method = "POST",
     .path = "/guarded-work",
     .out = &item_shape,
     .perm = PERM_PUBLIC,
     .lane = LANE_WORK,
     .flags = ROUTE_OBJECT,
     .fn = guarded_work,
     .summary = "Works and never asks."},
    {.id = "t.guarded-read",
     .method = "GET",
     .path = "/guarded",
     .out = &count_shape,
     .perm = PERM_PUBLIC,
     .lane = LANE_READ,
     .flags = ROUTE_OBJECT,
     .fn = guarded_outer,
     .summary = "Counts and never asks itself."},
    {.id = "t.add",
     .method = "POST",
     .path = "/items",
     .in = &item_shape,
     .out = &item_shape,
     .perm = PERM_PUBLIC,
     .lane = LANE_WRITE,
     .flags = ROUTE_AUDIT,
     .fn = item_add,
     .summary = "Adds."},
    {.id = "t.fail",
     .method = "POST",
     .path = "/fail",
     .in = &item_shape,
     .out = &item_shape,
     .perm = PERM_PUBLIC,
     .lane = LANE_WRITE,
     .flags = ROUTE_AUDIT,
     .fn = item_add_then_fail,
     .summary = "Adds and fails."},
    {.id = "t.count",
     .method = "GET",
     .path = "/items",
     .out = &count_shape,
     .perm = PERM_PUBLIC,
     .lane = LANE_READ,
     .fn = item_count,
     .summary = "Counts."},
    {.id = "t.work",
     .method = "POST",
     .path = "/work",
     .out = &item_shape,
     .perm = PERM_PUBLIC,
     .lane = LANE_WORK,
     .flags = ROUTE_AUDIT,
     .fn = item_work,
     .summary = "Works."},
    {.id = "t.call",
     .method = "GET",
     .path = "/call",
     .perm = PERM_PUBLIC,
     .lane = LANE_CALL,
     .fn = call,
     .summary = "Calls."},
};
static const struct route_list lists[] = {{rows, ARRAY_LEN(rows)}, {NULL, 0}};

static int audit(struct ctx *c, const struct route *row, const char *outcome) {
    atomic_fetch_add(&audits, 1);
    return db_exec(c, "INSERT INTO seen (route, outcome) VALUES (?, ?)", "ss", row->id, outcome);
}

static int admit(struct ctx *c, const struct route *row, void *arg) {
    (void)row;
    (void)arg;
    const char *who = ctx_header(c, "x-who");
    c->who.name = who ? who : "tester";
    return 0;
}

static void listener(const char *type, const char *subject, int64_t seq, void *arg) {
    (void)subject;
    if (strcmp(type, "model.version.created") != 0)
        atomic_store(&told_wrong, true);
    atomic_store(&last_seq, seq);
    atomic_fetch_add((atomic_int *)arg, 1);
}

static struct db *db;
static struct server *server;
static int port;

static struct answer post(const char *path, const char *headers, const char *body) {
    char text[2048];
    snprintf(text, sizeof(text),
             "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%s"
             "Content-Length: %zu\r\n\r\n%s",
             path, headers, strlen(body), body);
    return client_text(port, text);
}

static int64_t number(const char *sql) {
    struct ctx c;
    int64_t n = -1;
    ctx_begin(&c);
    if (db_read_begin(db, &c) == 0) {
        db_get_i64(&c, sql, &n, NULL, "");
        db_read_end(&c);
    }
    ctx_end(&c);
    return n;
}

static void writing(void) {
    struct answer a = post("/items", "", "{\"name\":\"one\"}");
    CHECK_INT(a.status, 201);
    CHECK_STR(a.body, "{\"name\":\"one\",\"id\":1}\n");
    a = post("/items", "", "{\"name\":\"one\"}");
    CHECK_INT(a.status, 400);
    CHECK_STR(answer_header(&a, "Content-Type"), "application/problem+json");
    a = post("/fail", "", "{\"name\":\"two\"}");
    CHECK_INT(a.status, 409);
    CHECK_HAS(a.body, "no, after all");
    a = client_text(port, "GET /items HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_STR(a.body, "{\"n\":1}\n");
    a = client_text(port, "GET /call HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_STR(a.body, "called\n");
    CHECK(!atomic_load(&call_had_db));
    /* One change, one audit row, one event, one listener call: those of the failures are undone. */
    CHECK_INT(number("SELECT count(*) FROM seen"), 1);
    CHECK_INT(number("SELECT count(*) FROM event"), 1);
    CHECK_INT(atomic_load(&told), 1);
    CHECK(!atomic_load(&told_wrong));
    CHECK_INT(atomic_load(&last_seq), number("SELECT seq FROM event"));
}

/* A row whose objects have permissions and that does not ask changes nothing and tells nothing. */
static void asking(void) {
    int64_t before = number("SELECT count(*) FROM item");
    struct answer a = post("/guarded", "", "{\"name\":\"forgets\"}");
    CHECK_INT(a.status, 500);
    a = post("/guarded-work", "X-Request-Id: never\r\n", "");
    CHECK_INT(a.status, 500);
    a = client_text(port, "GET /guarded HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_INT(a.status, 500);
    CHECK_INT(number("SELECT count(*) FROM item"), before);
    a = post("/guarded", "", "{\"name\":\"asks\"}");
    CHECK_INT(a.status, 200);
    CHECK_INT(number("SELECT count(*) FROM item WHERE name = 'asks'"), 1);
}

static void working(void) {
    struct answer a = post("/work", "X-Request-Id: w1\r\n", "");
    CHECK_INT(a.status, 200);
    CHECK_HAS(a.body, "\"name\":\"work-w1\"");
    CHECK_INT(number("SELECT count(*) FROM seen WHERE route = 't.work'"), 1);
}

static void replaying(void) {
    int runs = atomic_load(&item_runs);
    struct answer a = post("/items", "Idempotency-Key: k1\r\n", "{\"name\":\"three\"}");
    CHECK_INT(a.status, 201);
    CHECK_STR(answer_header(&a, "Idempotency-Replayed"), "");
    struct answer b = post("/items", "Idempotency-Key: k1\r\n", "{\"name\":\"three\"}");
    CHECK_INT(b.status, 201);
    CHECK_STR(b.body, a.body);
    CHECK_STR(answer_header(&b, "Content-Type"), "application/json");
    CHECK_STR(answer_header(&b, "Idempotency-Replayed"), "true");
    CHECK_INT(atomic_load(&item_runs), runs + 1);
    a = post("/items", "Idempotency-Key: k1\r\n", "{\"name\":\"four\"}");
    CHECK_INT(a.status, 422);
    /* Another caller's key is another key. */
    a = post("/items", "Idempotency-Key: k1\r\nX-Who: other\r\n", "{\"name\":\"five\"}");
    CHECK_INT(a.status, 201);
    /* A failure is not kept. */
    a = post("/items", "Idempotency-Key: k2\r\n", "{\"name\":\"three\"}");
    CHECK_INT(a.status, 400);
    a = post("/items", "Idempotency-Key: k2\r\n", "{\"name\":\"six\"}");
    CHECK_INT(a.status, 201);
    a = post("/items", "Idempotency-Key: \r\n", "{\"name\":\"seven\"}");
    CHECK_INT(a.status, 400);
    /* On a worker. */
    a = post("/work", "Idempotency-Key: w\r\n", "");
    b = post("/work", "Idempotency-Key: w\r\n", "");
    CHECK_INT(b.status, 200);
    CHECK_STR(b.body, a.body);
    /* Under way. */
    atomic_store(&work_ms, 400);
    int fd = client_connect(port);
    client_puts(fd, "POST /work HTTP/1.1\r\nHost: x\r\nIdempotency-Key: slow\r\n\r\n");
    clock_sleep_ms(100);
    b = post("/work", "Idempotency-Key: slow\r\n", "");
    CHECK_INT(b.status, 409);
    a = client_read(fd, 1, 2000);
    CHECK_INT(a.status, 200);
    close(fd);
    atomic_store(&work_ms, 0);
}

/* Two workers and a queue of two: the fifth is told to come again. */
static void back_pressure(void) {
    atomic_store(&work_ms, 300);
    int fds[8], busy = 0, done = 0;
    for (int i = 0; i < 8; i++) {
        fds[i] = client_connect(port);
        client_puts(fds[i], "POST /work HTTP/1.1\r\nHost: x\r\n\r\n");
        clock_sleep_ms(10);
    }
    for (int i = 0; i < 8; i++) {
        struct answer a = client_read(fds[i], 1, 3000);
        busy += a.status == 503;
        done += a.status == 200;
        if (a.status == 503)
            CHECK_STR(answer_header(&a, "Retry-After"), "1");
        close(fds[i]);
    }
    CHECK_INT(done, 4);
    CHECK_INT(busy, 4);
    atomic_store(&work_ms, 0);
}

/* A body too large for a network thread is parsed by a worker and goes on to its lane. */
static void large_bodies(void) {
    size_t n = 400000;
    struct buf text = {0};
    buf_printf(&text, "{\"name\":\"large\",\"more\":\"");
    while (text.len < n)
        buf_puts(&text, "0123456789");
    buf_puts(&text, "\"}");
    for (int good = 1; good >= 0; good--) {
        struct buf request = {0};
        buf_printf(&request,
                   "POST /items HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                   "Idempotency-Key: large-%d\r\nContent-Length: %zu\r\n\r\n",
                   good, text.len);
        buf_put(&request, text.data, text.len - (good ? 0 : 1));
        if (!good)
            buf_putc(&request, 'x');
        struct answer a = client_ask(port, request.data, request.len);
        CHECK_INT(a.status, good ? 201 : 400);
        if (good)
            CHECK_HAS(a.body, "\"name\":\"large\"");
        buf_free(&request);
    }
    buf_free(&text);
}

static atomic_int jobs_done;
static void job(struct ctx *c, void *arg) {
    (void)arg;
    atomic_store(&job_not_daemon, strcmp(c->who.kind, "daemon") != 0);
    atomic_fetch_add(&jobs_done, 1);
}
static void jobs(void) {
    CHECK_INT(lane_work(lanes, job, NULL), 0);
    for (int i = 0; i < 100 && !atomic_load(&jobs_done); i++)
        clock_sleep_ms(5);
    CHECK_INT(atomic_load(&jobs_done), 1);
    CHECK(!atomic_load(&job_not_daemon));
}

/* Many clients at once: every acknowledged item is there, and nothing else. */
enum { CLIENTS = 8, EACH = 50 };
static atomic_int acknowledged;
static void *one_client(void *arg) {
    int fd = client_connect(port);
    for (int i = 0; i < EACH; i++) {
        char body[64], text[256], got[4096];
        snprintf(body, sizeof(body), "{\"name\":\"c%d-%d\"}", *(int *)arg, i);
        snprintf(text, sizeof(text),
                 "POST /items HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                 "Content-Length: %zu\r\n\r\n%s",
                 strlen(body), body);
        client_puts(fd, text);
        ssize_t n = recv(fd, got, sizeof(got), 0);
        if (n > 12 && memcmp(got, "HTTP/1.1 201", 12) == 0)
            atomic_fetch_add(&acknowledged, 1);
    }
    close(fd);
    return NULL;
}
static void crowd(void) {
    int64_t before = number("SELECT count(*) FROM item");
    pthread_t t[CLIENTS];
    int names[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        names[i] = i;
        pthread_create(&t[i], NULL, one_client, &names[i]);
    }
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(t[i], NULL);
    CHECK_INT(atomic_load(&acknowledged), CLIENTS * EACH);
    CHECK_INT(number("SELECT count(*) FROM item"), before + CLIENTS * EACH);
    CHECK_INT(atomic_load(&told), number("SELECT count(*) FROM event"));
}

int main(void) {
    static const char sql[] =
        "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) "
        "STRICT; CREATE TABLE seen (route TEXT, outcome TEXT) STRICT;";
    char sha[65], path[] = "/tmp/quern-lane-XXXXXX";
    struct buf error = {0};
    struct dir *dir;
    log_init(LOG_ERROR, LOG_PLAIN);
    sha256_hex(sql, strlen(sql), sha);
    const struct migration migrations[] = {
        db_migrations[0], {2, "0002_item", sql, sha}, {0, NULL, NULL, NULL}};
    if (!mkdtemp(path) || dir_open(path, true, &dir))
        return 1;
    const struct db_options d = {.dir = dir,
                                 .queue = 64,
                                 .batch = 32,
                                 .wal_soft = 1 << 20,
                                 .wal_hard = 8 << 20,
                                 .migrations = migrations};
    if (db_open(&d, &db, &error)) {
        printf("db_open: %s\n", error.data);
        return 1;
    }
    event_listen(listener, &told);
    const struct lane_options l = {.db = db, .workers = 2, .work_queue = 2, .audit = audit};
    lanes = lanes_start(&l);
    const struct server_options o = {.listen = "127.0.0.1:0",
                                     .listen_fd = -1,
                                     .threads = 2,
                                     .connections = 100,
                                     .head_ms = 5000,
                                     .body_ms = 5000,
                                     .idle_ms = 20000,
                                     .body_cap = 1 << 20,
                                     .upload_cap = 1 << 20,
                                     .routes = lists,
                                     .admit = admit,
                                     .dispatch = lane_dispatch,
                                     .dispatch_arg = lanes,
                                     .thread_end = lane_thread_end};
    if (server_start(&o, &server, &error)) {
        printf("server_start: %s\n", error.data);
        return 1;
    }
    port = server_port(server);
    RUN(writing);
    RUN(working);
    RUN(replaying);
    RUN(back_pressure);
    RUN(large_bodies);
    RUN(jobs);
    RUN(crowd);
    RUN(asking);
    CHECK(atomic_load(&reads) > 0);
    CHECK_INT(atomic_load(&bounded_reads), atomic_load(&reads));
    server_stop(server);
    lanes_stop(lanes);
    db_thread_end(db);
    db_close(db);
    dir_close(dir);
    if (dir_open("/tmp", false, &dir) == 0) {
        dir_remove_tree(dir, path + 5);
        dir_close(dir);
    }
    return CHECK_END();
}
