/* SPDX-License-Identifier: Apache-2.0 */
/* Children that behave, and children that do not. The program is its own keeper; the commands are
 * tests/children/server.py (QUERN_CHILDREN names the folder). */
#include "child.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/path.h"
#include "quern/core/ctx.h"
#include "quern/net/net.h"
#include "quern/process/process.h"

static struct dir *root;
static char self[4096], folder[] = "/tmp/quern-child-XXXXXX";
static const char *script;

static bool start_children(void) {
    struct buf error = {0};
    struct child_options o = {.data = root,
                              .folder = "children",
                              .self_exe = self,
                              .pass = "PATH,HOME,QUERN_CHILD_MARK",
                              .pyfunc = ""};
    int rc = children_start(&o, &error);
    if (rc < 0)
        printf("%s\n", error.data);
    buf_free(&error);
    return rc == 0;
}

struct want {
    const char *mode, *protocol;
    bool by_socket;
    struct runtime_spec spec;
};

static struct child *child_of(struct ctx *c, const struct want *w) {
    static const char *words[5];
    struct runtime_spec s = w->spec;
    words[0] = "python3";
    words[1] = script;
    words[2] = w->mode;
    words[3] = w->protocol;
    words[4] = w->by_socket ? "{socket}" : "{port}";
    s.kind = "child";
    s.command = (struct strs){words, 5};
    s.protocol = w->protocol;
    struct child *ch = NULL;
    CHECK_INT(runtime_check(c, "runtime", &s), 0);
    CHECK_INT(child_new(c, &s, folder, "doubler", "3", &ch), 0);
    if (c->err.code)
        printf("%s\n", c->err.message);
    return ch;
}

/* 0, or the positive code. */
static int infer(struct ctx *c, struct child *ch, struct tensor **out, size_t *nout) {
    static double values[] = {1, 2, 3, 4.5};
    static struct tensor x = {
        .name = "x", .dtype = DT_FP64, .rank = 2, .shape = {2, 2}, .count = 4, .data = values};
    err_clear(c);
    return -child_infer(c, ch, &x, 1, NULL, out, nout);
}

static void good(const struct want *w, const double *want, size_t n, enum dtype type) {
    struct ctx c;
    struct tensor *out = NULL;
    size_t nout = 0;
    ctx_begin(&c);
    struct child *ch = child_of(&c, w);
    CHECK_INT(child_await(&c, ch), 0);
    for (int i = 0; i < 3; i++) {
        int rc = infer(&c, ch, &out, &nout);
        CHECK_INT(rc, 0);
        if (rc) {
            printf("%s %s: %s\n", w->mode, w->protocol, c.err.message);
            break;
        }
        CHECK_INT(nout, 1);
        CHECK_INT(out[0].dtype, type);
        CHECK_INT(out[0].count, n);
        for (size_t k = 0; type == DT_FP64 && k < n && k < out[0].count; k++)
            CHECK_NEAR(((double *)out[0].data)[k], want[k], 0);
    }
    child_release(ch);
    ctx_end(&c);
}

static void test_protocols(void) {
    static const double doubled[] = {2, 4, 6, 9}, sums[] = {3, 7.5};
    good(&(struct want){.mode = "good", .protocol = "oip"}, doubled, 4, DT_FP64);
    good(&(struct want){.mode = "good", .protocol = "oip", .by_socket = true}, doubled, 4, DT_FP64);
    good(&(struct want){.mode = "binary", .protocol = "oip"}, doubled, 4, DT_FP64);
    good(&(struct want){.mode = "good", .protocol = "mlflow"}, sums, 2, DT_FP64);
    good(&(struct want){.mode = "good", .protocol = "sagemaker"}, sums, 2, DT_FP64);
    good(&(struct want){.mode = "good", .protocol = "vertex"}, sums, 2, DT_FP64);
    good(&(struct want){.mode = "late", .protocol = "oip"}, doubled, 4, DT_FP64);
}

/* One prediction that must fail so, in time, and with these words. */
static void bad(const char *mode, int code, const char *words) {
    struct ctx c;
    struct tensor *out = NULL;
    size_t nout = 0;
    ctx_begin(&c);
    struct child *ch = child_of(&c, &(struct want){.mode = mode,
                                                   .protocol = "oip",
                                                   .spec = {.timeout_ms = SET_I64(5000),
                                                            .answer_bytes = SET_I64(1 << 20)}});
    CHECK_INT(child_await(&c, ch), 0);
    int64_t began = clock_mono_ms();
    int rc = infer(&c, ch, &out, &nout);
    CHECK_INT(rc, code);
    CHECK_HAS(c.err.message, words);
    if (rc != code)
        printf("%s\n", mode);
    CHECK(clock_mono_ms() - began < 4000);
    child_release(ch);
    ctx_end(&c);
}

static void test_liars(void) {
    bad("lie-shape", ERR_UPSTREAM, "output 'y'");
    bad("lie-type", ERR_UPSTREAM, "output 'y'");
    bad("huge", ERR_UPSTREAM, "output 'y'");
    bad("twice", ERR_UPSTREAM, "twice");
    bad("rubbish", ERR_UPSTREAM, "is wrong");
    bad("nul", ERR_UPSTREAM, "is wrong");
    bad("flood", ERR_UPSTREAM, "more than 1048576 bytes");
    bad("heads", ERR_UPSTREAM, "not usable");
    bad("status", ERR_UPSTREAM, "not usable");
    bad("cut", ERR_UPSTREAM, "not usable");
    bad("refuse", ERR_UNPROCESSABLE, "answered 400: x must be positive");
    bad("busy", ERR_BUSY, "queue is full");
}

/* Answers with bytes changed, left out and put in: each is a prediction or a failure of its own. */
static void mutations(const char *mode, const char *protocol) {
    struct ctx first;
    int good_ones = 0, wrong = 0;
    ctx_begin(&first);
    struct child *ch = child_of(&first, &(struct want){.mode = mode, .protocol = protocol});
    CHECK_INT(child_await(&first, ch), 0);
    for (int i = 0; i < 400; i++) {
        struct ctx c;
        struct tensor *out = NULL;
        size_t nout = 0;
        ctx_begin(&c);
        int rc = infer(&c, ch, &out, &nout);
        CHECK(rc == 0 || rc == ERR_UPSTREAM);
        good_ones += rc == 0;
        wrong += rc == ERR_UPSTREAM;
        for (size_t t = 0; rc == 0 && t < nout; t++) { /* every byte that it claims is there */
            const unsigned char *bytes = out[t].data;
            volatile unsigned sum = 0;
            for (size_t k = 0; k < out[t].count * dtype_size(out[t].dtype); k++)
                sum += bytes[k];
        }
        if (rc && rc != ERR_UPSTREAM)
            printf("%s %s: %d %s\n", mode, protocol, rc, c.err.message);
        ctx_end(&c);
    }
    CHECK(good_ones > 20);
    CHECK(wrong > 100);
    child_release(ch);
    ctx_end(&first);
}

static void test_mutations(void) {
    mutations("mutate", "oip");
    mutations("mutate-binary", "oip");
    mutations("mutate", "mlflow");
    mutations("mutate", "sagemaker");
}

static bool becomes(struct child *ch, const char *state, int64_t starts, int64_t ms) {
    struct child_view v;
    int64_t until = clock_mono_ms() + ms;
    do {
        child_view(ch, &v);
        if (strcmp(v.state, state) == 0 && v.starts >= starts)
            return true;
        clock_sleep_ms(10);
    } while (clock_mono_ms() < until);
    printf("state %s (%s) after %lld starts, wanted %s\n", v.state, v.reason, (long long)v.starts,
           state);
    return false;
}

static void test_restart(void) {
    struct ctx c;
    struct tensor *out = NULL;
    size_t nout = 0;
    ctx_begin(&c);
    struct child *ch = child_of(&c, &(struct want){.mode = "die", .protocol = "oip"});
    CHECK_INT(child_await(&c, ch), 0);
    for (int i = 0; i < 2; i++) {
        /* A kept connection that breaks is tried anew once: then nobody listens any more. */
        int rc = infer(&c, ch, &out, &nout);
        CHECK(rc == ERR_UPSTREAM || rc == ERR_NOT_READY);
        CHECK(becomes(ch, "ready", 2 + i, 10000));
    }
    child_release(ch);
    ctx_end(&c);
}

static void test_given_up(void) {
    struct ctx c;
    struct tensor *out = NULL;
    size_t nout = 0;
    ctx_begin(&c);
    struct child *ch = child_of(
        &c, &(struct want){.mode = "exit", .protocol = "oip", .spec = {.restarts = SET_I64(3)}});
    CHECK_INT(child_await(&c, ch), -ERR_UNPROCESSABLE);
    CHECK_HAS(c.err.message, "exited with code 4");
    CHECK_HAS(c.err.message, "this child does not want to");
    CHECK(becomes(ch, "failed", 3, 10000));
    CHECK_INT(infer(&c, ch, &out, &nout), ERR_NOT_READY);
    CHECK_HAS(c.err.message, "given up");
    child_release(ch);
    err_clear(&c);
    ch = child_of(
        &c, &(struct want){.mode = "deaf", .protocol = "oip", .spec = {.start_ms = SET_I64(700)}});
    CHECK_INT(child_await(&c, ch), -ERR_UNPROCESSABLE);
    CHECK_HAS(c.err.message, "start_ms");
    child_release(ch);
    ctx_end(&c);
}

static void test_hang(void) {
    struct ctx c;
    struct tensor *out = NULL;
    size_t nout = 0;
    ctx_begin(&c);
    struct child *ch = child_of(
        &c,
        &(struct want){.mode = "hang", .protocol = "oip", .spec = {.timeout_ms = SET_I64(800)}});
    CHECK_INT(child_await(&c, ch), 0);
    CHECK_INT(infer(&c, ch, &out, &nout), 0);
    CHECK_INT(infer(&c, ch, &out, &nout), 0);
    int64_t began = clock_mono_ms();
    CHECK_INT(infer(&c, ch, &out, &nout), ERR_DEADLINE);
    CHECK(clock_mono_ms() - began < 1500);
    CHECK(becomes(ch, "ready", 2, 20000)); /* seen, killed, started again */
    CHECK_INT(infer(&c, ch, &out, &nout), 0);
    child_release(ch);
    ctx_end(&c);
}

/* The caller's deadline counts when it is sooner, and says nothing of the child. */
static void test_deadline(void) {
    struct ctx c;
    struct tensor *out = NULL;
    size_t nout = 0;
    struct child_view v;
    ctx_begin(&c);
    struct child *ch = child_of(&c, &(struct want){.mode = "slow", .protocol = "oip"});
    CHECK_INT(child_await(&c, ch), 0);
    c.deadline_ns = clock_mono_ns() + 100000000;
    int64_t began = clock_mono_ms();
    CHECK_INT(infer(&c, ch, &out, &nout), ERR_DEADLINE);
    CHECK(clock_mono_ms() - began < 400);
    c.deadline_ns = 0;
    CHECK_INT(infer(&c, ch, &out, &nout), 0);
    child_view(ch, &v);
    CHECK_STR(v.state, "ready");
    CHECK_INT(v.starts, 1);
    child_release(ch);
    ctx_end(&c);
}

/* The script writes head and body apart, which costs 40 ms each where the first is not acknowledged
 * at once. */
static void test_no_delay(void) {
    struct ctx c;
    struct tensor *out = NULL;
    size_t nout = 0;
    ctx_begin(&c);
    struct child *ch = child_of(&c, &(struct want){.mode = "good", .protocol = "oip"});
    CHECK_INT(child_await(&c, ch), 0);
    int64_t began = clock_mono_ms();
    for (int i = 0; i < 100; i++)
        CHECK_INT(infer(&c, ch, &out, &nout), 0);
    int64_t took = clock_mono_ms() - began;
    CHECK(took < 2500);
    if (took >= 2500)
        printf("100 predictions took %lld ms\n", (long long)took);
    child_release(ch);
    ctx_end(&c);
}

static void test_idle(void) {
    struct ctx c;
    struct tensor *out = NULL;
    size_t nout = 0;
    ctx_begin(&c);
    struct child *ch = child_of(
        &c, &(struct want){.mode = "good", .protocol = "oip", .spec = {.idle_ms = SET_I64(300)}});
    CHECK_INT(child_await(&c, ch), 0);
    CHECK(becomes(ch, "idle", 1, 5000));
    CHECK_INT(infer(&c, ch, &out, &nout), 0); /* waits for the start */
    struct child_view v;
    child_view(ch, &v);
    CHECK_INT(v.starts, 2);
    CHECK_INT(v.restarts_in_row, 0);
    child_release(ch);
    ctx_end(&c);
}

struct crowd {
    struct child *ch;
    _Atomic int good, most;
};

static void *one_of_crowd(void *arg) {
    struct crowd *crowd = arg;
    struct ctx c;
    struct tensor *out = NULL;
    size_t nout = 0;
    struct child_view v;
    ctx_begin(&c);
    for (int i = 0; i < 3; i++) {
        crowd->good += infer(&c, crowd->ch, &out, &nout) == 0;
        child_view(crowd->ch, &v);
        if (v.in_flight > crowd->most)
            crowd->most = (int)v.in_flight;
    }
    ctx_end(&c);
    return NULL;
}

static void test_concurrency(void) {
    struct ctx c;
    pthread_t threads[8];
    ctx_begin(&c);
    struct crowd crowd = {0};
    crowd.ch = child_of(
        &c, &(struct want){.mode = "slow", .protocol = "oip", .spec = {.concurrency = SET_I64(4)}});
    CHECK_INT(child_await(&c, crowd.ch), 0);
    int64_t began = clock_mono_ms();
    for (size_t i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, one_of_crowd, &crowd);
    for (size_t i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    int64_t took = clock_mono_ms() - began;
    CHECK_INT(crowd.good, 24);
    CHECK(crowd.most <= 4);
    CHECK(took >= 2900); /* 24 of half a second, four at a time */
    CHECK(took < 9000);
    child_release(crowd.ch);
    ctx_end(&c);
}

/* How many processes carry this mark in their environment. */
static int marked(const char *mark) {
    char command[256];
    snprintf(command, sizeof command,
             "grep -slaE 'QUERN_CHILD_MARK=%s' /proc/[0-9]*/environ | wc -l", mark);
    FILE *f = popen(command, "r");
    int n = -1;
    if (!f || fscanf(f, "%d", &n) != 1)
        n = -1;
    if (f)
        pclose(f);
    return n;
}

static bool gone(const char *mark, int64_t ms) {
    for (int64_t until = clock_mono_ms() + ms; clock_mono_ms() < until; clock_sleep_ms(20))
        if (marked(mark) == 0)
            return true;
    printf("%d processes are left of %s\n", marked(mark), mark);
    return false;
}

static void test_family_ends(void) {
    struct ctx c;
    ctx_begin(&c);
    setenv("QUERN_CHILD_MARK", "family", 1);
    struct child *ch = child_of(&c, &(struct want){.mode = "family", .protocol = "oip"});
    CHECK_INT(child_await(&c, ch), 0);
    setenv("QUERN_CHILD_MARK", "none", 1);
    CHECK_INT(marked("family"), 3);
    child_release(ch);
    CHECK(gone("family", 10000));
    ctx_end(&c);
}

/* A daemon that is killed leaves nothing: a forked one, with children that ignore TERM. */
static void test_killed_daemon(void) {
    int ready[2];
    REQUIRE(pipe(ready) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        const char *argv[] = {self, "daemon", folder, NULL};
        dup2(ready[1], 1);
        execv(self, (char *const *)(uintptr_t)argv);
        _exit(1);
    }
    close(ready[1]);
    char byte = 0;
    CHECK_INT(read(ready[0], &byte, 1), 1);
    CHECK_INT(byte, 'r');
    CHECK_INT(marked("orphan"), 4);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    CHECK(gone("orphan", 10000));
    close(ready[0]);
}

static int daemon_main(void) {
    struct ctx c;
    setenv("QUERN_CHILD_MARK", "orphan", 1);
    dir_close(root);
    if (dir_open(folder, false, &root) != 0 || dir_mkdirs(root, "killed") != 0)
        return 1;
    struct dir *own = NULL;
    if (dir_open_sub(root, "killed", true, &own) != 0)
        return 1;
    root = own;
    if (!start_children())
        return 1;
    unsetenv("QUERN_CHILD_MARK_SELF");
    ctx_begin(&c);
    struct child *family = child_of(&c, &(struct want){.mode = "family", .protocol = "oip"});
    struct child *other = child_of(&c, &(struct want){.mode = "stubborn", .protocol = "oip"});
    if (child_await(&c, family) < 0 || child_await(&c, other) < 0)
        return 1;
    if (write(1, "r", 1) != 1)
        return 1;
    for (;;)
        pause();
}

static int check(struct runtime_spec s, const char *words) {
    struct ctx c;
    ctx_begin(&c);
    int rc = -runtime_check(&c, "arms/0/runtime", &s);
    CHECK_HAS(c.err.field ? c.err.field : "", "arms/0/runtime/");
    CHECK_HAS(c.err.message ? c.err.message : "", words);
    ctx_end(&c);
    return rc;
}

static void test_spec(void) {
    const char *both[] = {"x", "{port}", "{socket}"}, *one[] = {"x"};
    struct pair odd[] = {{"A=B", "c"}};
    CHECK_INT(check((struct runtime_spec){.kind = "child"}, "must name a program"), ERR_INVALID);
    CHECK_INT(check((struct runtime_spec){.kind = "child", .command = {both, 3}}, "on one"),
              ERR_INVALID);
    CHECK_INT(check((struct runtime_spec){.kind = "onnx", .command = {one, 1}}, "alone"),
              ERR_INVALID);
    CHECK_INT(
        check((struct runtime_spec){.kind = "child", .command = {one, 1}, .env = {odd, 1}}, "A=B"),
        ERR_INVALID);
    CHECK_INT(
        check((struct runtime_spec){.kind = "child", .command = {one, 1}, .health = "/x\r\nX: y"},
              "path"),
        ERR_INVALID);
}

static void test_no_pyfunc(void) {
    struct ctx c;
    ctx_begin(&c);
    struct runtime_spec s = {.kind = "mlflow"};
    struct child *ch = NULL;
    CHECK_INT(runtime_check(&c, "runtime", &s), 0);
    CHECK_INT(child_new(&c, &s, folder, "m", "1", &ch), -ERR_NOT_READY);
    CHECK_HAS(c.err.message, "serving.pyfunc-command");
    ctx_end(&c);
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "keeper") == 0)
        return keeper_main(argv[2]);
    struct buf error = {0};
    const char *place = getenv("QUERN_CHILDREN");
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (!place || n <= 0 || net_start(&(struct net_options){0}, &error) < 0)
        return 77;
    char text[4096];
    snprintf(text, sizeof text, "%s/server.py", place);
    script = text;
    if (argc == 3 && strcmp(argv[1], "daemon") == 0) {
        snprintf(folder, sizeof folder, "%s", argv[2]);
        return daemon_main();
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!mkdtemp(folder) || dir_open(folder, true, &root) != 0 || !start_children())
        return 1;
    RUN(test_spec);
    RUN(test_no_pyfunc);
    RUN(test_protocols);
    RUN(test_liars);
    RUN(test_mutations);
    RUN(test_restart);
    RUN(test_given_up);
    RUN(test_hang);
    RUN(test_deadline);
    RUN(test_no_delay);
    RUN(test_idle);
    RUN(test_concurrency);
    RUN(test_family_ends);
    RUN(test_killed_daemon);
    children_stop();
    unsetenv("QUERN_CHILD_MARK"); /* not for those who count */
    CHECK(gone("none", 1000));
    net_stop();
    struct dir *tmp = NULL;
    if (check_failures == 0 && dir_open("/tmp", false, &tmp) == 0) {
        dir_remove_tree(tmp, folder + 5);
        dir_close(tmp);
    }
    dir_close(root);
    return CHECK_END();
}
