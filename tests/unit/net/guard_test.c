/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "check.h"
#include "quern/base/arena.h"
#include "quern/base/buf.h"

static const char *refused(const struct guard *g, const char *host, const char *address) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        return guard_refuses(g, host, (const struct sockaddr *)&v4);
    if (inet_pton(AF_INET6, address, &v6.sin6_addr) == 1)
        return guard_refuses(g, host, (const struct sockaddr *)&v6);
    return "not an address at all";
}

static const struct {
    const char *address;
    const char *what; /* NULL: public */
} table[] = {
    {"8.8.8.8", NULL},
    {"1.1.1.1", NULL},
    {"93.184.216.34", NULL},
    {"9.255.255.255", NULL},
    {"11.0.0.0", NULL},
    {"100.63.255.255", NULL},
    {"100.128.0.0", NULL},
    {"126.255.255.255", NULL},
    {"128.0.0.0", NULL},
    {"169.253.255.255", NULL},
    {"169.255.0.0", NULL},
    {"172.15.255.255", NULL},
    {"172.32.0.0", NULL},
    {"192.167.255.255", NULL},
    {"192.169.0.0", NULL},
    {"198.17.255.255", NULL},
    {"198.20.0.0", NULL},
    {"223.255.255.255", NULL},
    {"2606:4700::1111", NULL},
    {"2a00:1450:4001::1", NULL},
    {"64:ff9b::808:808", NULL}, /* NAT64 of 8.8.8.8 */
    {"::ffff:8.8.8.8", NULL},   /* mapped */
    {"0.0.0.0", "unspecified"},
    {"0.1.2.3", "unspecified"},
    {"10.0.0.0", "private"},
    {"10.255.255.255", "private"},
    {"100.64.0.0", "carrier"},
    {"100.100.100.200", "carrier"}, /* a cloud's metadata */
    {"100.127.255.255", "carrier"},
    {"127.0.0.1", "loopback"},
    {"127.255.255.254", "loopback"},
    {"168.63.129.16", "metadata"},
    {"169.254.0.1", "link-local"},
    {"169.254.169.254", "link-local"},
    {"172.16.0.0", "private"},
    {"172.31.255.255", "private"},
    {"192.0.0.1", "protocol"},
    {"192.0.2.7", "documentation"},
    {"192.88.99.1", "6to4"},
    {"192.168.0.1", "private"},
    {"192.168.255.255", "private"},
    {"198.18.0.1", "benchmarking"},
    {"198.19.255.255", "benchmarking"},
    {"198.51.100.1", "documentation"},
    {"203.0.113.9", "documentation"},
    {"224.0.0.1", "multicast"},
    {"239.255.255.255", "multicast"},
    {"240.0.0.1", "reserved"},
    {"255.255.255.255", "reserved"},
    {"::", "unspecified"},
    {"::1", "loopback"},
    {"::2", "IPv4-compatible"},
    {"::127.0.0.1", "IPv4-compatible"},
    {"::ffff:127.0.0.1", "loopback"},
    {"::ffff:10.0.0.1", "private"},
    {"::ffff:169.254.169.254", "link-local"},
    {"::ffff:0:127.0.0.1", "reserved"}, /* translated form */
    {"64:ff9b::127.0.0.1", "loopback"},
    {"64:ff9b::a9fe:a9fe", "link-local"},
    {"64:ff9b:1::1", "local NAT64"},
    {"100::1", "discard"},
    {"2001::1", "protocol"}, /* Teredo */
    {"2001:db8::1", "documentation"},
    {"2002:7f00:1::", "6to4"},
    {"2002:808:808::1", "6to4"},
    {"3fff::1", "documentation"},
    {"fc00::1", "private"},
    {"fd00:ec2::254", "metadata"},
    {"fdff::1", "private"},
    {"fe80::1", "link-local"},
    {"febf::1", "link-local"},
    {"fec0::1", "site-local"},
    {"ff02::1", "multicast"},
    {"4000::1", "reserved"},
    {"5f00::1", "reserved"},
};

static void every_address(void) {
    struct buf error = {0};
    struct guard *g = guard_new("", &error);
    REQUIRE(g != NULL);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        const char *got = refused(g, "h.example", table[i].address);
        if (!table[i].what != !got || (got && !strstr(got, table[i].what))) {
            printf("%s: %s, want %s\n", table[i].address, got ? got : "public",
                   table[i].what ? table[i].what : "public");
            CHECK_STR(table[i].address, "judged as in the table");
        } else {
            CHECK(1);
        }
    }
    guard_free(g);
}

static void listed_addresses(void) {
    struct buf error = {0};
    struct guard *g = guard_new(" 127.0.0.1 , 10.1.0.0/16,fd00::/8,::1,169.254.169.254", &error);
    REQUIRE(g != NULL);
    CHECK(refused(g, "h", "127.0.0.1") == NULL);
    CHECK(refused(g, "h", "::ffff:127.0.0.1") == NULL);
    CHECK(refused(g, "h", "127.0.0.2") != NULL);
    CHECK(refused(g, "h", "10.1.255.255") == NULL);
    CHECK(refused(g, "h", "10.2.0.0") != NULL);
    CHECK(refused(g, "h", "fd12::1") == NULL);
    CHECK(refused(g, "h", "fc12::1") != NULL);
    CHECK(refused(g, "h", "::1") == NULL);
    CHECK(refused(g, "h", "169.254.169.254") == NULL); /* the operator's word */
    CHECK(refused(g, "h", "169.254.169.253") != NULL);
    guard_free(g);
}

static void listed_hosts(void) {
    struct buf error = {0};
    struct guard *g = guard_new("Hooks.Internal,localhost", &error);
    REQUIRE(g != NULL);
    CHECK(refused(g, "hooks.internal", "10.0.0.1") == NULL);
    CHECK(refused(g, "HOOKS.internal.", "127.0.0.1") == NULL);
    CHECK(refused(g, "localhost", "::1") == NULL);
    CHECK(refused(g, "other.internal", "10.0.0.1") != NULL);
    CHECK(refused(g, "x.hooks.internal", "10.0.0.1") != NULL);
    /* whatever a listed name says, clouds' credentials stay out of reach */
    CHECK(refused(g, "hooks.internal", "169.254.169.254") != NULL);
    CHECK(refused(g, "hooks.internal", "fe80::1") != NULL);
    CHECK(refused(g, "hooks.internal", "0.0.0.0") != NULL);
    CHECK(refused(g, "hooks.internal", "224.0.0.1") != NULL);
    guard_free(g);
}

static void bad_lists(void) {
    static const char *const bad[] = {"10.0.0.1/8",  "10.0.0.0/33", "1.2.3",      "fe80::/129",
                                      "http://a.b",  "a b",         "10.0.0.0/",  "*.example",
                                      "-a.example",  "127.1",       "0x7f000001", "a/8",
                                      "10.0.0.0/-1", "[::1]"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buf error = {0};
        struct guard *g = guard_new(bad[i], &error);
        if (g)
            printf("taken: %s\n", bad[i]);
        CHECK(g == NULL);
        CHECK_HAS(error.data ? error.data : "", "net.allow");
        guard_free(g);
        buf_free(&error);
    }
}

int main(void) {
    RUN(every_address);
    RUN(listed_addresses);
    RUN(listed_hosts);
    RUN(bad_lists);
    return CHECK_END();
}
