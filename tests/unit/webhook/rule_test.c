/* SPDX-License-Identifier: Apache-2.0 */
/* Names and URLs of webhooks, and name servers that take their time. */
#include "webhook_rule.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "check.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/clock.h"
#include "quern/base/thread.h"
#include "quern/core/ctx.h"
#include "quern/net/net.h"

#define SLOW_MS 2500

static void names(void) {
    static const struct {
        const char *name;
        int rc;
    } rows[] = {{"a", 0},
                {"A1", 0},
                {"deploys.of_the-team", 0},
                {"123456789012345678901234567890123456789012345678901234567890123", 0},
                {"1234567890123456789012345678901234567890123456789012345678901234", -ERR_INVALID},
                {"", -ERR_INVALID},
                {"-a", -ERR_INVALID},
                {"a.", -ERR_INVALID},
                {"a b", -ERR_INVALID},
                {"a/b", -ERR_INVALID},
                {"\xc3\xa9", -ERR_INVALID},
                {"a\n", -ERR_INVALID}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ctx c;
        ctx_begin(&c);
        CHECK_INT(webhook_name_check(&c, rows[i].name), rows[i].rc);
        if (rows[i].rc)
            CHECK_HAS(c.err.message, "Webhook name '");
        ctx_end(&c);
    }
}

/* In place of the C library's: whatever is asked has a public address, some of it only in a while.
 */
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **list) {
    static struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = 0x08080808};
    static struct addrinfo found = {.ai_family = AF_INET,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_addrlen = sizeof v4,
                                    .ai_addr = (struct sockaddr *)&v4};
    (void)service;
    (void)hints;
    if (strncmp(host, "slow", 4) == 0)
        clock_sleep_ms(SLOW_MS);
    *list = &found;
    return 0;
}

void freeaddrinfo(struct addrinfo *list) {
    (void)list;
}

static int look(const char *url) {
    struct ctx c;
    ctx_begin(&c);
    int rc = webhook_url_check(&c, url);
    ctx_end(&c);
    return rc;
}

static atomic_int good, busy, other;
static void caller(void *url) {
    int rc = look(url);
    atomic_fetch_add(rc == 0 ? &good : rc == -ERR_RATE ? &busy : &other, 1);
}

static int64_t together(const char *const *urls, size_t n) {
    struct thread *threads[8];
    int64_t began = clock_mono_ms();
    atomic_store(&good, 0);
    atomic_store(&busy, 0);
    atomic_store(&other, 0);
    for (size_t i = 0; i < n; i++)
        threads[i] = thread_start("caller", caller, (void *)urls[i]);
    for (size_t i = 0; i < n; i++)
        thread_join(threads[i]);
    return clock_mono_ms() - began;
}

static void slow_names_hold_one_worker(void) {
    static const char *const slow[] = {"https://slow1.example/", "https://slow2.example/",
                                       "https://slow3.example/", "https://slow4.example/"};
    static const char *const fast[] = {"https://a.example/", "https://b.example/",
                                       "https://c.example/", "https://d.example/",
                                       "https://e.example/", "https://f.example/"};
    struct thread *one = thread_start("caller", caller, (void *)slow[0]);
    clock_sleep_ms(100);
    int64_t began = clock_mono_ms();
    CHECK_INT(look(slow[1]), -ERR_RATE);
    CHECK(clock_mono_ms() - began < SLOW_MS / 2); /* and its worker is free again */
    thread_join(one);
    CHECK_INT(look(fast[0]), 0);
    together(slow, ARRAY_LEN(slow));
    CHECK_INT(good, 1);
    CHECK_INT(busy, 3);
    /* Quick ones take their turn without anybody noticing. */
    CHECK(together(fast, ARRAY_LEN(fast)) < SLOW_MS);
    CHECK_INT(good, ARRAY_LEN(fast));
    CHECK_INT(other, 0);
}

int main(void) {
    struct buf error = {0};
    struct net_options o = {.allow = ""};
    CHECK_INT(net_start(&o, &error), 0);
    RUN(names);
    RUN(slow_names_hold_one_worker);
    return CHECK_END();
}
