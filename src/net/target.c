/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "guard.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/metric/metric.h"

#define URL_MAX 8192

enum net_fault problem_set(struct net_problem *p, enum net_fault fault, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(p->text, sizeof p->text, fmt, ap);
    va_end(ap);
    p->fault = fault;
    return fault;
}

/* One parser and no second opinion: what curl takes apart here is what curl calls. Whatever other
 * parsers could read otherwise is refused before. */
static enum net_fault bytes_check(const char *url, struct net_problem *p) {
    size_t n = strlen(url);
    if (n > URL_MAX)
        return problem_set(p, NET_URL, "the URL is longer than %d bytes", URL_MAX);
    for (size_t i = 0; i < n; i++) {
        unsigned char b = (unsigned char)url[i];
        if (b <= 0x20 || b >= 0x7f || b == '\\' || b == '"' || b == '<' || b == '>' || b == '^' ||
            b == '`' || b == '{' || b == '}' || b == '|')
            return problem_set(
                p, NET_URL, "the URL has a byte at position %zu that must be percent-encoded", i);
        if (b == '#')
            return problem_set(p, NET_URL, "the URL must not have a fragment (#)");
    }
    return NET_OK;
}

static bool part(CURLU *u, CURLUPart which, char *out, size_t size) {
    char *text = NULL;
    bool good = curl_url_get(u, which, &text, 0) == CURLUE_OK && str_copy(out, size, text);
    curl_free(text);
    return good;
}

static bool has(CURLU *u, CURLUPart which) {
    char *text = NULL;
    bool there = curl_url_get(u, which, &text, 0) == CURLUE_OK;
    curl_free(text);
    return there;
}

static enum net_fault take_apart(CURLU *u, const char *url, const struct target_rules *r,
                                 struct target *out, struct net_problem *p) {
    char port[8] = "";
    int64_t number = 0;
    const char *colon = strstr(url, "://");
    if (colon && (size_t)(colon - url) < sizeof p->scheme) {
        memcpy(p->scheme, url, (size_t)(colon - url));
        p->scheme[colon - url] = '\0';
    }
    if (!colon || !(str_ieq(p->scheme, "https") ||
                    (str_ieq(p->scheme, "http") && (r->trusted || r->allow_http))))
        return problem_set(p, NET_SCHEME, "the URL must begin with https://%s",
                           r->allow_http || r->trusted ? " or http://" : "");
    if (colon[3] == '\0' || strchr("/?:", colon[3]))
        return problem_set(p, NET_HOST, "the URL has no host");
    if (memchr(colon + 3, '%', strcspn(colon + 3, "/?")))
        return problem_set(p, NET_URL, "the URL's host must be written without %%");
    CURLUcode rc = curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME | CURLU_PATH_AS_IS);
    if (rc == CURLUE_NO_HOST)
        return problem_set(p, NET_HOST, "the URL has no host");
    if (rc != CURLUE_OK)
        return problem_set(p, NET_URL, "the URL is malformed: %s", curl_url_strerror(rc));
    if (has(u, CURLUPART_USER) || has(u, CURLUPART_PASSWORD))
        return problem_set(p, NET_URL, "the URL must not hold a user name or password");
    if (has(u, CURLUPART_ZONEID))
        return problem_set(p, NET_URL, "the URL must not name a zone");
    if (!part(u, CURLUPART_HOST, out->host, sizeof out->host) || !out->host[0])
        return problem_set(p, NET_HOST, "the URL has no host, or one that is too long");
    size_t n = strlen(out->host);
    if (out->host[0] == '[') {
        memmove(out->host, out->host + 1, n);
        out->host[n - 2] = '\0';
    } else if (strchr(out->host, '%') || strspn(out->host, "abcdefghijklmnopqrstuvwxyz"
                                                           "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                           "0123456789-._") != n) {
        return problem_set(p, NET_URL, "the URL's host has characters that no host name has");
    }
    str_copy(p->host, sizeof p->host, out->host);
    out->https = str_ieq(p->scheme, "https");
    out->port = out->https ? 443 : 80;
    if (part(u, CURLUPART_PORT, port, sizeof port)) {
        if (!str_to_i64(port, &number) || number < 1 || number > 65535)
            return problem_set(p, NET_URL, "the URL's port must lie in 1..65535");
        out->port = (unsigned)number;
    }
    return NET_OK;
}

static enum net_fault judge(const struct target *t, const struct target_rules *r,
                            struct net_problem *p) {
    if (t->addresses.more)
        return problem_set(p, NET_RESOLVE, "%s has more than %d addresses", t->host, ADDRESSES_MAX);
    for (size_t i = 0; i < t->addresses.n && !r->trusted; i++) {
        const struct sockaddr_storage *a = &t->addresses.items[i];
        const char *why = guard_refuses(r->guard, t->host, (const struct sockaddr *)a);
        if (!why)
            continue;
        const void *raw = a->ss_family == AF_INET
                              ? (const void *)&((const struct sockaddr_in *)a)->sin_addr
                              : (const void *)&((const struct sockaddr_in6 *)a)->sin6_addr;
        if (!inet_ntop(a->ss_family, raw, p->address, sizeof p->address))
            p->address[0] = '\0';
        metric_add(METRIC_EGRESS_BLOCKED, 1, why, NULL, NULL);
        return problem_set(p, NET_BLOCKED,
                           "%s leads to %s, %s, which the operator has not listed in net.allow",
                           t->host, p->address, why);
    }
    return NET_OK;
}

enum net_fault target_find(const char *url, const struct target_rules *r, struct target *out,
                           struct net_problem *p) {
    memset(out, 0, sizeof *out);
    memset(p, 0, sizeof *p);
    CURLU *u = curl_url();
    if (!u)
        mem_die();
    enum net_fault fault = bytes_check(url, p);
    if (fault == NET_OK)
        fault = take_apart(u, url, r, out, p);
    curl_url_cleanup(u);
    if (fault != NET_OK)
        return fault;
    const char *why = NULL;
    if (resolve(out->host, r->within_ms, r->cancel, &out->addresses, &why) != 0)
        return r->cancel && atomic_load(r->cancel)
                   ? problem_set(p, NET_CANCELLED, "the daemon is stopping")
                   : problem_set(p, NET_RESOLVE, "%s cannot be resolved: %s", out->host, why);
    return judge(out, r, p);
}
