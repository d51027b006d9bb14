/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "target.h"

#define LOOK_MS 100
#define HEADERS_MAX (64u << 10) /* of all heads of an answer */

atomic_bool net_stopping;

void exchange_must(CURLcode rc) {
    if (rc != CURLE_OK)
        mem_die();
}

static size_t on_body(char *data, size_t one, size_t n, void *arg) {
    struct exchange *x = arg;
    (void)one;
    uint64_t room = x->r->cap - x->received;
    size_t fits = n <= room ? n : (size_t)room;
    x->received += fits;
    if (x->r->take)
        x->aborted = fits && !x->r->take(x->r->arg, data, fits);
    else
        buf_put(&x->out->body, data, fits);
    x->too_large = fits < n;
    return x->aborted || x->too_large ? 0 : n;
}

/* "name\0value\0" each, names in lower case; a further head (after 100 Continue) starts anew. */
static size_t on_header(char *line, size_t one, size_t n, void *arg) {
    struct exchange *x = arg;
    struct buf *h = &x->out->headers;
    (void)one;
    const char *colon = memchr(line, ':', n);
    /* Whatever they are: interim answers can follow each other without an end, too. */
    x->head_bytes += n;
    if (x->head_bytes > HEADERS_MAX)
        return 0;
    if (n >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        buf_clear(h);
        return n;
    }
    if (!colon)
        return n;
    if (memchr(line, '\0', n))
        return 0;
    for (const char *s = line; s < colon; s++)
        buf_putc(h, (char)(*s >= 'A' && *s <= 'Z' ? *s - 'A' + 'a' : *s));
    buf_putc(h, '\0');
    const char *value = colon + 1, *end = line + n;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && strchr(" \t\r\n", end[-1]))
        end--;
    buf_put(h, value, (size_t)(end - value));
    buf_putc(h, '\0');
    return n;
}

void exchange_append(struct curl_slist **list, const char *text) {
    struct curl_slist *more = curl_slist_append(*list, text);
    if (!more)
        mem_die();
    *list = more;
}

struct curl_slist *exchange_headers(const struct net_request *r) {
    struct curl_slist *list = NULL;
    struct buf line = {0};
    exchange_append(&list, "Expect:");
    for (size_t i = 0; i < r->header_count; i++) {
        const struct net_header *h = &r->headers[i];
        if (strpbrk(h->name, "\r\n:") || strpbrk(h->value, "\r\n"))
            continue; /* one header must not become two */
        buf_clear(&line);
        if (*h->value)
            buf_printf(&line, "%s: %s", h->name, h->value);
        else
            buf_printf(&line, "%s;", h->name); /* curl's form of an empty header */
        exchange_append(&list, line.data);
    }
    buf_free(&line);
    return list;
}

void exchange_prepare(CURL *e, struct exchange *x, struct curl_slist *headers) {
    const struct net_request *r = x->r;
    SET(e, CURLOPT_FOLLOWLOCATION, 0L);
    SET(e, CURLOPT_PROXY, "");
    SET(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(e, CURLOPT_NOSIGNAL, 1L);
    SET(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(e, CURLOPT_HTTP09_ALLOWED, 0L);
    SET(e, CURLOPT_WRITEFUNCTION, on_body);
    SET(e, CURLOPT_WRITEDATA, x);
    SET(e, CURLOPT_HEADERFUNCTION, on_header);
    SET(e, CURLOPT_HEADERDATA, x);
    SET(e, CURLOPT_HTTPHEADER, headers);
    SET(e, CURLOPT_USERAGENT, "quern");
    if (r->body) {
        SET(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len);
        SET(e, CURLOPT_POSTFIELDS, r->body);
    }
    if (str_eq(r->method, "HEAD"))
        SET(e, CURLOPT_NOBODY, 1L);
    else
        SET(e, CURLOPT_CUSTOMREQUEST, r->method);
}

CURLcode exchange_perform(struct net_client *n, const atomic_bool *stopping, bool *cancelled) {
    CURLcode rc = CURLE_OK;
    int under_way = 1, left;
    curl_multi_add_handle(n->multi, n->easy);
    while (under_way && !(*cancelled = stopping && atomic_load(stopping))) {
        if (curl_multi_perform(n->multi, &under_way) != CURLM_OK)
            mem_die();
        /* Plain servers write head and body one after the other, and their kernel keeps the second
         * back till the first is acknowledged: 40 ms, unless that is done at once. The kernel
         * forgets the wish, so it is told before each wait. */
        const int yes = 1;
        if (under_way && n->eager > 0)
            setsockopt(n->eager, IPPROTO_TCP, TCP_QUICKACK, &yes, sizeof yes);
        if (under_way)
            curl_multi_poll(n->multi, NULL, 0, LOOK_MS, NULL);
    }
    for (CURLMsg *m; (m = curl_multi_info_read(n->multi, &left));)
        if (m->msg == CURLMSG_DONE)
            rc = m->data.result;
    curl_multi_remove_handle(n->multi, n->easy);
    return rc;
}

enum net_fault exchange_judge(struct exchange *x, CURLcode rc, bool cancelled) {
    struct net_problem *p = &x->out->problem;
    const char *host = x->host;
    if (cancelled)
        return problem_set(p, NET_CANCELLED, "the daemon is stopping");
    if (x->blocked)
        return problem_set(p, NET_BLOCKED, "%s led to an address that may not be called", host);
    if (x->too_large)
        return problem_set(p, NET_TOO_LARGE, "%s sent more than %llu bytes", host,
                           (unsigned long long)x->r->cap);
    if (x->aborted)
        return problem_set(p, NET_ABORTED, "the answer of %s was not wanted", host);
    switch (rc) {
    case CURLE_OK:
        return p->fault = NET_OK;
    case CURLE_COULDNT_CONNECT:
        return problem_set(p, NET_CONNECT, "no connection to %s: nobody listens there", host);
    case CURLE_OPERATION_TIMEDOUT:
        return problem_set(p, NET_TIMEOUT,
                           x->begun ? "%s did not answer in time"
                                    : "no connection to %s: it did not answer in time",
                           host);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return problem_set(p, NET_TLS, "no trusted TLS connection to %s: %s", host,
                           curl_easy_strerror(rc));
    default:
        return problem_set(p, NET_BROKEN, "the connection to %s broke: %s", host,
                           curl_easy_strerror(rc));
    }
}
