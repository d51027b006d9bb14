/* SPDX-License-Identifier: Apache-2.0 */
/* Local: calls to servers that the daemon started itself. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "exchange.h"
#include "quern/base/buf.h"
#include "target.h"

#define CONNECT_MS 2000

/* Whatever became of the URL: the socket leads to this machine or is not made. */
static curl_socket_t open_local(void *arg, curlsocktype purpose, struct curl_sockaddr *a) {
    struct exchange *x = arg;
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&a->addr;
    bool here = a->family == AF_UNIX ||
                (a->family == AF_INET && in->sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    if (purpose != CURLSOCKTYPE_IPCXN || !here) {
        x->blocked = true;
        return CURL_SOCKET_BAD;
    }
    int fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
    x->client->eager = a->family == AF_INET ? fd : 0;
    return fd;
}

enum net_fault net_local_send(struct net_client *n, const struct net_local *l,
                              struct net_answer *out) {
    const struct net_request r = {.method = l->method,
                                  .headers = l->headers,
                                  .header_count = l->header_count,
                                  .body = l->body,
                                  .body_len = l->body_len,
                                  .cap = l->cap};
    struct exchange x = {.r = &r, .out = out, .host = "the child server", .client = n};
    struct buf url = {0};
    bool cancelled = false;
    long status = 0;
    net_answer_free(out);
    *out = (struct net_answer){0};
    if (l->port)
        buf_printf(&url, "http://127.0.0.1:%u%s", l->port, l->path);
    else
        buf_printf(&url, "http://localhost%s", l->path);
    struct curl_slist *headers = exchange_headers(&r);
    CURL *e = n->easy;
    curl_easy_reset(e);
    exchange_prepare(e, &x, headers);
    SET(e, CURLOPT_URL, url.data);
    SET(e, CURLOPT_PATH_AS_IS, 1L);
    SET(e, CURLOPT_PROTOCOLS_STR, "http");
    SET(e, CURLOPT_UNIX_SOCKET_PATH, l->port ? NULL : l->socket);
    SET(e, CURLOPT_OPENSOCKETFUNCTION, open_local);
    SET(e, CURLOPT_OPENSOCKETDATA, &x);
    SET(e, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    SET(e, CURLOPT_TIMEOUT_MS, (long)l->total_ms);
    CURLcode rc = exchange_perform(n, l->cancel, &cancelled);
    curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &status);
    out->status = (int)status;
    curl_off_t begun_us = 0;
    curl_easy_getinfo(e, CURLINFO_PRETRANSFER_TIME_T, &begun_us);
    x.begun = begun_us > 0;
    curl_easy_reset(e);
    curl_slist_free_all(headers);
    buf_free(&url);
    return exchange_judge(&x, rc, cancelled);
}
