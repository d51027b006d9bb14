/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/net/net.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exchange.h"
#include "guard.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/str.h"
#include "target.h"

#define CONNECT_MS 10000

static struct {
    struct guard *guard;
    bool allow_http;
    char *ca_file;
} net;

int net_start(const struct net_options *o, struct buf *error) {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        buf_puts(error, "libcurl cannot be used");
        return -1;
    }
    if (o->ca_file && *o->ca_file && access(o->ca_file, R_OK) != 0) {
        buf_printf(error, "cannot read net.ca-file %s", o->ca_file);
        return -1;
    }
    struct guard *g = guard_new(o->allow, error);
    if (!g)
        return -1;
    guard_free(net.guard);
    free(net.ca_file);
    net.guard = g;
    net.allow_http = o->allow_http;
    net.ca_file = o->ca_file && *o->ca_file ? mem_strdup(o->ca_file) : NULL;
    atomic_store(&net_stopping, false);
    return 0;
}

void net_stop(void) {
    atomic_store(&net_stopping, true);
}

bool net_http_allowed(void) {
    return net.allow_http;
}

static struct target_rules rules(bool trusted, int64_t total_ms) {
    return (struct target_rules){.guard = net.guard,
                                 .allow_http = net.allow_http,
                                 .trusted = trusted,
                                 .cancel = &net_stopping,
                                 .within_ms =
                                     total_ms > 0 && total_ms < RESOLVE_MS ? total_ms : RESOLVE_MS};
}

enum net_fault net_check(const char *url, struct net_problem *out) {
    struct target t;
    struct target_rules r = rules(false, 0);
    return target_find(url, &r, &t, out);
}

struct net_client *net_client_new(void) {
    struct net_client *n = mem_alloc(sizeof *n);
    n->easy = curl_easy_init();
    n->multi = curl_multi_init();
    if (!n->easy || !n->multi)
        mem_die();
    return n;
}

void net_client_free(struct net_client *n) {
    if (!n)
        return;
    curl_easy_cleanup(n->easy);
    curl_multi_cleanup(n->multi);
    free(n);
}

/* The last word: the address that is about to be connected, whoever found it. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a) {
    struct exchange *x = arg;
    if (purpose != CURLSOCKTYPE_IPCXN ||
        (!x->r->trusted && guard_refuses(net.guard, x->host, &a->addr))) {
        x->blocked = true;
        return CURL_SOCKET_BAD;
    }
    return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static struct curl_slist *pin(const struct sockaddr_storage *a, unsigned port) {
    struct curl_slist *list = NULL;
    struct buf line = {0};
    char text[INET6_ADDRSTRLEN] = "";
    if (a->ss_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, text, sizeof text);
        buf_printf(&line, "::%s:%u", text, port);
    } else {
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)a)->sin6_addr, text, sizeof text);
        buf_printf(&line, "::[%s]:%u", text, port);
    }
    exchange_append(&list, line.data);
    buf_free(&line);
    return list;
}

static void prepare(CURL *e, struct exchange *x, struct curl_slist *headers,
                    struct curl_slist *pinned, int64_t connect, int64_t left_ms) {
    const struct net_request *r = x->r;
    curl_easy_reset(e);
    exchange_prepare(e, x, headers);
    SET(e, CURLOPT_URL, r->url);
    SET(e, CURLOPT_PATH_AS_IS, 1L);
    SET(e, CURLOPT_PROTOCOLS_STR, r->trusted || net.allow_http ? "http,https" : "https");
    SET(e, CURLOPT_REDIR_PROTOCOLS_STR, "https");
    SET(e, CURLOPT_SSL_VERIFYPEER, 1L);
    SET(e, CURLOPT_SSL_VERIFYHOST, 2L);
    SET(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (net.ca_file) {
        SET(e, CURLOPT_CAINFO, net.ca_file);
        SET(e, CURLOPT_CAPATH, NULL);
    }
    if (!r->trusted) {
        SET(e, CURLOPT_FRESH_CONNECT, 1L);
        SET(e, CURLOPT_FORBID_REUSE, 1L);
    }
    SET(e, CURLOPT_CONNECT_TO, pinned);
    SET(e, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(e, CURLOPT_OPENSOCKETDATA, x);
    SET(e, CURLOPT_CONNECTTIMEOUT_MS, (long)connect);
    if (left_ms > 0) {
        SET(e, CURLOPT_TIMEOUT_MS, (long)left_ms);
    } else {
        SET(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
        SET(e, CURLOPT_LOW_SPEED_TIME, 60L);
    }
}

static enum net_fault send_to(struct net_client *n, struct exchange *x, const struct target *t,
                              size_t which, int64_t left_ms) {
    bool cancelled = false;
    long status = 0;
    curl_off_t begun_us = 0;
    int64_t connect = x->r->connect_ms > 0 ? x->r->connect_ms : CONNECT_MS;
    /* One that lets packets vanish must leave time for the next. */
    if (which + 1 < t->addresses.n && left_ms > 0 && connect > left_ms / 2)
        connect = left_ms / 2 + 1;
    struct curl_slist *headers = exchange_headers(x->r);
    struct curl_slist *pinned = pin(&t->addresses.items[which], t->port);
    prepare(n->easy, x, headers, pinned, connect, left_ms);
    CURLcode rc = exchange_perform(n, &net_stopping, &cancelled);
    curl_easy_getinfo(n->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(n->easy, CURLINFO_PRETRANSFER_TIME_T, &begun_us);
    x->out->status = (int)status;
    x->begun = begun_us > 0;
    curl_easy_reset(n->easy); /* before the lists go that it points to */
    curl_slist_free_all(headers);
    curl_slist_free_all(pinned);
    return exchange_judge(x, rc, cancelled);
}

enum net_fault net_send(struct net_client *n, const struct net_request *r, struct net_answer *out) {
    struct target t;
    struct target_rules how = rules(r->trusted, r->total_ms);
    int64_t end = clock_mono_ms() + r->total_ms;
    net_answer_free(out);
    *out = (struct net_answer){0};
    enum net_fault fault = target_find(r->url, &how, &t, &out->problem);
    if (fault != NET_OK)
        return fault;
    struct exchange x = {.r = r, .out = out, .host = t.host};
    for (size_t i = 0; i < t.addresses.n; i++) {
        int64_t left = r->total_ms > 0 ? end - clock_mono_ms() : 0;
        if (r->total_ms > 0 && left <= 0)
            return problem_set(&out->problem, NET_TIMEOUT, "%s did not answer in time", t.host);
        fault = send_to(n, &x, &t, i, left);
        if (fault != NET_CONNECT && (fault != NET_TIMEOUT || x.begun))
            break;
    }
    return fault;
}
