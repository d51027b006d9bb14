/* SPDX-License-Identifier: Apache-2.0 */
#include "guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "quern/base/arena.h"
#include "quern/base/buf.h"
#include "quern/base/map.h"
#include "quern/base/str.h"

/* Addresses are 16 bytes, IPv4 in its mapped form, so that one comparison serves both. */
struct range {
    unsigned char bytes[16];
    unsigned bits;
};
struct guard {
    struct range *ranges;
    size_t n;
    struct map *hosts;
};

struct rule {
    const char *cidr;
    const char *what;
    bool never; /* not even for a host that the operator lists */
};

static const struct rule v4_rules[] = {
    {"0.0.0.0/8", "an unspecified address", true},
    {"10.0.0.0/8", "a private address", false},
    {"100.64.0.0/10", "a carrier's shared address", false},
    {"127.0.0.0/8", "a loopback address", false},
    {"169.254.0.0/16", "a link-local address", true},
    {"168.63.129.16/32", "a cloud's metadata address", true},
    {"172.16.0.0/12", "a private address", false},
    {"192.0.0.0/24", "a protocol assignment", false},
    {"192.0.2.0/24", "a documentation address", false},
    {"192.88.99.0/24", "a 6to4 relay address", false},
    {"192.168.0.0/16", "a private address", false},
    {"198.18.0.0/15", "a benchmarking address", false},
    {"198.51.100.0/24", "a documentation address", false},
    {"203.0.113.0/24", "a documentation address", false},
    {"224.0.0.0/4", "a multicast address", true},
    {"240.0.0.0/4", "a reserved address", true},
};
/* What is not global unicast (2000::/3) is refused whether it stands here or not. */
static const struct rule v6_rules[] = {
    {"::/128", "an unspecified address", true},
    {"::1/128", "a loopback address", false},
    {"::/96", "an IPv4-compatible address", true},
    {"64:ff9b:1::/48", "a local NAT64 address", true},
    {"100::/64", "a discard address", true},
    {"2001:db8::/32", "a documentation address", false},
    {"2001::/23", "a protocol assignment", true},
    {"2002::/16", "a 6to4 address", true},
    {"3fff::/20", "a documentation address", false},
    {"fd00:ec2::254/128", "a cloud's metadata address", true},
    {"fc00::/7", "a private address", false},
    {"fe80::/10", "a link-local address", true},
    {"fec0::/10", "a site-local address", true},
    {"ff00::/8", "a multicast address", true},
};

static const unsigned char mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
static const unsigned char nat64_prefix[12] = {0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0};

static bool is_v4(const unsigned char a[16]) {
    return memcmp(a, mapped_prefix, 12) == 0;
}

static bool parse_address(const char *s, unsigned char out[16]) {
    if (inet_pton(AF_INET, s, out + 12) == 1) {
        memcpy(out, mapped_prefix, 12);
        return true;
    }
    return inet_pton(AF_INET6, s, out) == 1;
}

/* An address, with or without a length of prefix; bits past the prefix must be 0. */
static bool parse_range(const char *s, struct range *out) {
    char text[64];
    const char *slash = strchr(s, '/');
    size_t n = slash ? (size_t)(slash - s) : strlen(s);
    int64_t bits = -1;
    if (n >= sizeof text)
        return false;
    memcpy(text, s, n);
    text[n] = '\0';
    if (!parse_address(text, out->bytes))
        return false;
    bool v4 = is_v4(out->bytes) && !strchr(text, ':');
    int64_t most = v4 ? 32 : 128;
    if (!slash)
        bits = most;
    else if (!str_to_i64(slash + 1, &bits) || bits < 0 || bits > most)
        return false;
    out->bits = (unsigned)bits + (v4 ? 96 : 0);
    for (unsigned i = out->bits; i < 128; i++)
        if (out->bytes[i / 8] & (0x80u >> (i % 8)))
            return false;
    return true;
}

static bool within(const unsigned char a[16], const struct range *r) {
    unsigned whole = r->bits / 8, rest = r->bits % 8;
    if (memcmp(a, r->bytes, whole) != 0)
        return false;
    return rest == 0 || (a[whole] ^ r->bytes[whole]) >> (8 - rest) == 0;
}

static const struct rule *find_rule(const struct rule *rules, size_t n, const unsigned char a[16]) {
    for (size_t i = 0; i < n; i++) {
        struct range r = {{0}, 0};
        if (parse_range(rules[i].cidr, &r) && within(a, &r))
            return &rules[i];
    }
    return NULL;
}

static char *trimmed(const char *s, size_t n) {
    while (n && (*s == ' ' || *s == '\t')) {
        s++;
        n--;
    }
    while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
        n--;
    char *out = mem_alloc(n + 1);
    memcpy(out, s, n);
    return out;
}

static bool host_name(const char *s) {
    size_t n = strlen(s);
    bool letter = false;
    for (size_t i = 0; i < n; i++) {
        bool alpha = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z');
        letter = letter || alpha;
        if (!alpha && !(s[i] >= '0' && s[i] <= '9') && !strchr("-._", s[i]))
            return false;
    }
    const char *dot = strrchr(s, '.'); /* a name does not end in a number: addresses do */
    if (dot ? dot[1] >= '0' && dot[1] <= '9' : s[0] >= '0' && s[0] <= '9')
        return false;
    return letter && n > 0 && n < 254 && !strchr("-.", s[0]);
}

static void lower(char *s) {
    for (; *s; s++)
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s - 'A' + 'a');
}

struct guard *guard_new(const char *allow, struct buf *error) {
    struct guard *g = mem_alloc(sizeof *g);
    g->hosts = map_new();
    for (const char *s = allow ? allow : ""; *s;) {
        size_t n = strcspn(s, ",");
        char *item = trimmed(s, n);
        struct range r = {{0}, 0};
        bool good = true;
        lower(item);
        if (parse_range(item, &r)) {
            g->ranges = mem_realloc(g->ranges, (g->n + 1) * sizeof *g->ranges);
            g->ranges[g->n++] = r;
        } else if (host_name(item)) {
            map_set(g->hosts, item, g);
        } else if (*item) {
            buf_printf(error,
                       "net.allow takes host names, addresses and CIDRs without host bits, as "
                       "hooks.example,10.1.0.0/16,fd00::/8, not '%s'",
                       item);
            good = false;
        }
        free(item);
        if (!good) {
            guard_free(g);
            return NULL;
        }
        s += n + (s[n] == ',');
    }
    return g;
}

void guard_free(struct guard *g) {
    if (!g)
        return;
    map_free(g->hosts, NULL);
    free(g->ranges);
    free(g);
}

static bool host_listed(const struct guard *g, const char *host) {
    char *name = mem_strdup(host);
    size_t n = strlen(name);
    lower(name);
    if (n && name[n - 1] == '.')
        name[n - 1] = '\0';
    bool listed = map_has(g->hosts, name);
    free(name);
    return listed;
}

const char *guard_refuses(const struct guard *g, const char *host, const struct sockaddr *sa) {
    unsigned char a[16];
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        memcpy(a, mapped_prefix, 12);
        memcpy(a + 12, &in.sin_addr, 4);
    } else if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, sa, sizeof in);
        memcpy(a, &in.sin6_addr, 16);
    } else {
        return "no internet address";
    }
    for (size_t i = 0; i < g->n; i++)
        if (within(a, &g->ranges[i]))
            return NULL;
    if (memcmp(a, nat64_prefix, 12) == 0)
        memcpy(a, mapped_prefix, 12);
    const struct rule *r = is_v4(a) ? find_rule(v4_rules, ARRAY_LEN(v4_rules), a)
                                    : find_rule(v6_rules, ARRAY_LEN(v6_rules), a);
    if (!r)
        return is_v4(a) || (a[0] & 0xe0) == 0x20 ? NULL : "a reserved address";
    return !r->never && host_listed(g, host) ? NULL : r->what;
}
