/* SPDX-License-Identifier: Apache-2.0 */
/* Calls against a receiver in this process. */
#include "quern/net/net.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/str.h"
#include "quern/base/thread.h"
#include "resolve.h"

static int listener = -1, port;
static atomic_bool done;
static atomic_int calls, chatter;
static char last[8192]; /* head and body of the last request */

static void say(int fd, const char *text) {
    (void)!write(fd, text, strlen(text));
}

static void serve_one(int fd) {
    static char in[8192];
    size_t n = 0;
    ssize_t got;
    while (n < sizeof in - 1 && (got = read(fd, in + n, sizeof in - 1 - n)) > 0) {
        n += (size_t)got;
        in[n] = '\0';
        const char *body = strstr(in, "\r\n\r\n"), *length = strstr(in, "Content-Length: ");
        if (body && strlen(body + 4) >= (size_t)(length ? atoi(length + 16) : 0))
            break;
    }
    in[n] = '\0';
    memcpy(last, in, n + 1);
    atomic_fetch_add(&calls, 1);
    if (strstr(in, " /moved"))
        say(fd, "HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n");
    else if (strstr(in, " /hang"))
        while (!atomic_load(&done) && poll(&(struct pollfd){fd, POLLIN, 0}, 1, 50) == 0)
            ;
    else if (strstr(in, " /long")) {
        char part[1024];
        memset(part, 'x', sizeof part);
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        for (int i = 0; i < 900 && send(fd, part, sizeof part, MSG_NOSIGNAL) > 0; i++)
            ;
    } else if (strstr(in, " /chatter")) {
        char part[1024] = "HTTP/1.1 100 Continue\r\nX-Filler: ";
        memset(part + strlen(part), 'x', sizeof part - strlen(part));
        memcpy(part + sizeof part - 4, "\r\n\r\n", 4);
        for (int i = 0; i < 5000 && send(fd, part, sizeof part, MSG_NOSIGNAL) > 0; i++)
            atomic_fetch_add(&chatter, 1);
    } else if (strstr(in, " /later"))
        say(fd, "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n");
    else if (strstr(in, " /cut"))
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    else if (strstr(in, " /noise"))
        say(fd, "220 mail.example ESMTP\r\n");
    else
        say(fd, "HTTP/1.1 201 Made\r\nX-One: a\r\nX-Two:  b \r\nContent-Length: 5\r\n\r\nhello");
    close(fd);
}

static void serve(void *arg) {
    (void)arg;
    while (!atomic_load(&done)) {
        if (poll(&(struct pollfd){listener, POLLIN, 0}, 1, 50) != 1)
            continue;
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0)
            serve_one(fd);
    }
}

static struct thread *receiver_start(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&a, n) || listen(listener, 8) ||
        getsockname(listener, (struct sockaddr *)&a, &n))
        exit(99);
    port = ntohs(a.sin_port);
    return thread_start("receiver", serve, NULL);
}

static void open_net(const char *allow, bool http) {
    struct buf error = {0};
    struct net_options o = {.allow = allow, .allow_http = http};
    CHECK_INT(net_start(&o, &error), 0);
    buf_free(&error);
}

static const char *url_to(const char *path) {
    static char url[256];
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", port, path);
    return url;
}

static enum net_fault call(const char *url, struct net_answer *a, uint64_t cap, int64_t total_ms) {
    struct net_client *n = net_client_new();
    struct net_header h[] = {{"X-Test", "1"}, {"X-Evil", "a\r\nX-Second: b"}};
    struct net_request r = {.method = "POST",
                            .url = url,
                            .headers = h,
                            .header_count = 2,
                            .body = "{\"a\":1}",
                            .body_len = 7,
                            .cap = cap,
                            .total_ms = total_ms};
    enum net_fault f = net_send(n, &r, a);
    net_client_free(n);
    return f;
}

static void urls(void) {
    static const struct {
        const char *url;
        enum net_fault fault;
    } rows[] = {
        {"https://127.0.0.1/", NET_BLOCKED},
        {"https://127.1/", NET_BLOCKED},
        {"https://2130706433/", NET_BLOCKED},
        {"https://0x7f000001/", NET_BLOCKED},
        {"https://0177.0.0.1/", NET_BLOCKED},
        {"https://[::1]/", NET_BLOCKED},
        {"https://[::ffff:127.0.0.1]/", NET_BLOCKED},
        {"https://[::ffff:7f00:1]:443/", NET_BLOCKED},
        {"https://[64:ff9b::a00:1]/", NET_BLOCKED},
        {"https://169.254.169.254/latest/meta-data/", NET_BLOCKED},
        {"https://localhost/", NET_BLOCKED},
        {"https://LOCALHOST:8443/", NET_BLOCKED},
        {"https://0/", NET_BLOCKED},
        {"http://example.com/", NET_SCHEME},
        {"ftp://example.com/", NET_SCHEME},
        {"file:///etc/passwd", NET_SCHEME},
        {"gopher://127.0.0.1:25/", NET_SCHEME},
        {"javascript:alert(1)", NET_SCHEME},
        {"//example.com/", NET_SCHEME},
        {"example.com", NET_SCHEME},
        {"", NET_SCHEME},
        {"https://", NET_HOST},
        {"https:///x", NET_HOST},
        {"https://?x", NET_HOST},
        {"https://user@8.8.8.8/", NET_URL},
        {"https://user:pw@8.8.8.8/", NET_URL},
        {"https://8.8.8.8@127.0.0.1/", NET_URL},
        {"https://8.8.8.8/#x", NET_URL},
        {"https://8.8.8.8/a b", NET_URL},
        {"https://8.8.8.8\\@127.0.0.1/", NET_URL},
        {"https://8.8.8.8/\r\nHost: x", NET_URL},
        {"https://8.8.8.8/\t", NET_URL},
        {" https://8.8.8.8/", NET_URL},
        {"https://b\xc3\xbc"
         "cher.example/",
         NET_URL},
        {"https://[fe80::1%25eth0]/", NET_URL},
        {"https://8.8.8.8:0/", NET_URL},
        {"https://8.8.8.8:65536/", NET_URL},
        {"https://8.8.8.8:x/", NET_URL},
        {"https://a%2eb/", NET_URL},
        {"https://[::1/", NET_URL},
        {"https://8.8.8.8/", NET_OK},
        {"HTTPS://8.8.8.8:8443/a?b=%20", NET_OK},
        {"https://[2606:4700::1111]/", NET_OK},
    };
    open_net("", false);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct net_problem p;
        enum net_fault got = net_check(rows[i].url, &p);
        if (got != rows[i].fault)
            printf("%s: fault %d (%s)\n", rows[i].url, (int)got, p.text);
        CHECK_INT(got, rows[i].fault);
    }
}

static void exchange(void) {
    struct net_answer a = {0};
    open_net("127.0.0.1", true);
    CHECK_INT(call(url_to("/x?y=1"), &a, 1000, 5000), NET_OK);
    CHECK_INT(a.status, 201);
    CHECK_STR(a.body.data, "hello");
    CHECK_STR(net_answer_header(&a, "x-one"), "a");
    CHECK_STR(net_answer_header(&a, "x-two"), "b");
    CHECK(net_answer_header(&a, "x-three") == NULL);
    CHECK_HAS(last, "POST /x?y=1 HTTP/1.1\r\n");
    CHECK_HAS(last, "X-Test: 1\r\n");
    CHECK_HAS(last, "{\"a\":1}");
    CHECK(!strstr(last, "X-Second"));
    CHECK(!strstr(last, "Expect"));
    net_answer_free(&a);
}

static void no_redirect(void) {
    struct net_answer a = {0};
    int before = atomic_load(&calls);
    CHECK_INT(call(url_to("/moved"), &a, 1000, 5000), NET_OK);
    CHECK_INT(a.status, 302);
    CHECK_INT(atomic_load(&calls) - before, 1);
    net_answer_free(&a);
}

static void no_proxy(void) {
    struct net_answer a = {0};
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    CHECK_INT(call(url_to("/x"), &a, 1000, 5000), NET_OK);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    net_answer_free(&a);
}

static void bounds(void) {
    struct net_answer a = {0};
    CHECK_INT(call(url_to("/long"), &a, 5000, 5000), NET_TOO_LARGE);
    CHECK_INT(a.status, 200);
    CHECK_INT(a.body.len, 5000);
    int64_t began = clock_mono_ms();
    CHECK_INT(call(url_to("/hang"), &a, 1000, 400), NET_TIMEOUT);
    CHECK(clock_mono_ms() - began < 2000);
    CHECK_INT(call(url_to("/cut"), &a, 1000, 5000), NET_BROKEN);
    CHECK_INT(call(url_to("/noise"), &a, 1000, 5000), NET_BROKEN);
    CHECK_INT(call(url_to("/chatter"), &a, 1000, 5000), NET_BROKEN);
    CHECK(atomic_load(&chatter) < 5000); /* it was not listened to for long */
    CHECK_INT(call("http://127.0.0.1:1/", &a, 1000, 5000), NET_CONNECT);
    CHECK_HAS(a.problem.text, "127.0.0.1");
    net_answer_free(&a);
}

static void retry_after(void) {
    struct net_answer a = {0};
    CHECK_INT(call(url_to("/later"), &a, 1000, 5000), NET_OK);
    CHECK_INT(net_retry_after_ms(&a, 0), 7000);
    net_answer_free(&a);
    buf_put(&a.headers, "retry-after\0Thu, 01 Jan 1970 00:01:40 GMT\0", 42);
    CHECK_INT(net_retry_after_ms(&a, 40000), 60000);
    CHECK_INT(net_retry_after_ms(&a, 400000), 0);
    net_answer_free(&a);
    buf_put(&a.headers, "retry-after\0soon\0", 17);
    CHECK_INT(net_retry_after_ms(&a, 0), -1);
    net_answer_free(&a);
    CHECK_INT(net_retry_after_ms(&a, 0), -1);
}

static atomic_int asked;

static void put_v4(struct addresses *out, const char *text) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    inet_pton(AF_INET, text, &v4.sin_addr);
    memcpy(&out->items[out->n++], &v4, sizeof v4);
}

/* Public when it is checked, ours when it is called. */
static int rebinding(const char *host, struct addresses *out, const char **why) {
    (void)host;
    (void)why;
    put_v4(out, atomic_fetch_add(&asked, 1) == 0 ? "93.184.216.34" : "127.0.0.1");
    return 0;
}
static int mixed(const char *host, struct addresses *out, const char **why) {
    (void)host;
    (void)why;
    put_v4(out, "93.184.216.34");
    put_v4(out, "10.0.0.5");
    return 0;
}
static int never(const char *host, struct addresses *out, const char **why) {
    (void)host;
    (void)out;
    *why = "no such host";
    return -1;
}

static void names_that_change_their_mind(void) {
    struct net_problem p;
    struct net_answer a = {0};
    char url[64];
    int before = atomic_load(&calls);
    open_net("", true);
    snprintf(url, sizeof url, "http://rebind.example:%d/x", port);
    resolve_by(rebinding);
    CHECK_INT(net_check(url, &p), NET_OK);
    CHECK_INT(call(url, &a, 1000, 3000), NET_BLOCKED);
    CHECK_STR(a.problem.address, "127.0.0.1");
    CHECK_INT(atomic_load(&calls), before); /* nobody was called */
    resolve_by(mixed);                      /* one bad address spoils the name */
    CHECK_INT(net_check(url, &p), NET_BLOCKED);
    CHECK_STR(p.address, "10.0.0.5");
    resolve_by(never);
    CHECK_INT(net_check(url, &p), NET_RESOLVE);
    CHECK_HAS(p.text, "no such host");
    resolve_by(NULL);
    net_answer_free(&a);
}

static int deaf_first(const char *host, struct addresses *out, const char **why) {
    (void)host;
    (void)why;
    put_v4(out, "127.0.0.2");
    put_v4(out, "127.0.0.1");
    return 0;
}
static int twice(const char *host, struct addresses *out, const char **why) {
    (void)host;
    (void)why;
    put_v4(out, "127.0.0.1");
    put_v4(out, "127.0.0.1");
    return 0;
}
static int slow(const char *host, struct addresses *out, const char **why) {
    (void)host;
    (void)why;
    clock_sleep_ms(1500);
    put_v4(out, "127.0.0.1");
    return 0;
}

/* Nobody accepts, and the queue is full: further packets vanish, as behind some firewalls. */
static void deafen(int fds[8]) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, "127.0.0.2", &a.sin_addr);
    memset(fds, 0xff, 8 * sizeof *fds);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(bind(fds[0], (struct sockaddr *)&a, sizeof a) == 0 && listen(fds[0], 0) == 0);
    for (int i = 1; i < 8; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)!connect(fds[i], (struct sockaddr *)&a, sizeof a);
    }
}

static void hosts_of_several_addresses(void) {
    struct net_answer a = {0};
    char url[64];
    int fds[8];
    open_net("two.example", true);
    snprintf(url, sizeof url, "http://two.example:%d/x", port);
    deafen(fds);
    resolve_by(deaf_first);
    CHECK_INT(call(url, &a, 1000, 2000), NET_OK);
    CHECK_INT(a.status, 201);
    for (int i = 0; i < 8; i++)
        close(fds[i]);
    /* What was sent once is not sent again elsewhere. */
    resolve_by(twice);
    snprintf(url, sizeof url, "http://two.example:%d/hang", port);
    int before = atomic_load(&calls);
    CHECK_INT(call(url, &a, 1000, 1000), NET_TIMEOUT);
    CHECK_INT(atomic_load(&calls) - before, 1);
    resolve_by(NULL);
    net_answer_free(&a);
}

static void looking_up_counts_as_time(void) {
    struct net_answer a = {0};
    char url[64];
    open_net("two.example", true);
    snprintf(url, sizeof url, "http://two.example:%d/x", port);
    resolve_by(slow);
    int64_t began = clock_mono_ms();
    CHECK_INT(call(url, &a, 1000, 200), NET_RESOLVE);
    CHECK_HAS(a.problem.text, "no answer in time");
    CHECK(clock_mono_ms() - began < 1000);
    resolve_by(NULL);
    net_answer_free(&a);
}

static void names_without_an_answer_hold_up_others_for_a_while_only(void) {
    struct addresses found;
    const char *why = "";
    resolve_by(slow);
    for (int i = 0; i < LEFT_BEHIND_MAX; i++)
        CHECK_INT(resolve("nobody.example", 1, NULL, &found, &why), -1);
    CHECK_INT(resolve("somebody.example", 5000, NULL, &found, &why), 0);
    CHECK_INT(found.n, 1);
    resolve_by(NULL);
}

static bool take(void *arg, const char *data, size_t n) {
    size_t *all = arg;
    (void)data;
    *all += n;
    return *all < 100000;
}

static void trusted(void) {
    struct net_answer a = {0};
    size_t all = 0;
    open_net("", false); /* neither listed nor http: the operator's own word counts */
    struct net_client *n = net_client_new();
    struct net_request r = {.method = "GET", .url = url_to("/x"), .trusted = true, .cap = 1000};
    CHECK_INT(net_send(n, &r, &a), NET_OK);
    CHECK_STR(a.body.data, "hello");
    CHECK_HAS(last, "GET /x HTTP/1.1");
    r.url = url_to("/long");
    r.cap = UINT64_MAX;
    r.take = take;
    r.arg = &all;
    CHECK_INT(net_send(n, &r, &a), NET_ABORTED);
    CHECK(all >= 100000 && all < 200000);
    r.trusted = false;
    CHECK_INT(net_send(n, &r, &a), NET_SCHEME);
    net_client_free(n);
    net_answer_free(&a);
}

static void stop_soon(void *arg) {
    (void)arg;
    clock_sleep_ms(200);
    net_stop();
}

static void cancelled(void) {
    struct net_answer a = {0};
    open_net("127.0.0.1", true);
    struct thread *t = thread_start("stop", stop_soon, NULL);
    int64_t began = clock_mono_ms();
    CHECK_INT(call(url_to("/hang"), &a, 1000, 20000), NET_CANCELLED);
    CHECK(clock_mono_ms() - began < 2000);
    thread_join(t);
    CHECK(call(url_to("/x"), &a, 1000, 5000) == NET_CANCELLED);
    net_answer_free(&a);
}

int main(void) {
    struct thread *t = receiver_start();
    RUN(urls);
    RUN(exchange);
    RUN(no_redirect);
    RUN(no_proxy);
    RUN(bounds);
    RUN(retry_after);
    RUN(names_that_change_their_mind);
    RUN(looking_up_counts_as_time);
    RUN(hosts_of_several_addresses);
    RUN(names_without_an_answer_hold_up_others_for_a_while_only);
    RUN(trusted);
    RUN(cancelled);
    atomic_store(&done, true);
    thread_join(t);
    return CHECK_END();
}
