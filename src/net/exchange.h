/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_NET_PRIVATE_EXCHANGE_H
#define QUERN_NET_PRIVATE_EXCHANGE_H
/* Exchange: one request under way and what its answer fills, whoever is called. */
#include <curl/curl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "quern/net/net.h"

struct net_client {
    CURL *easy;
    CURLM *multi;
    int eager; /* a local call's TCP socket, whose packets are acknowledged at once; 0: none */
};

struct exchange {
    const struct net_request *r;
    struct net_answer *out;
    const char *host; /* as messages call it */
    struct net_client *client;
    uint64_t received;
    size_t head_bytes;
    bool begun; /* the request itself, after TCP and TLS */
    bool blocked, too_large, aborted;
};

void exchange_must(CURLcode rc); /* an option that this libcurl does not know would be a hole */
#define SET(e, option, value) exchange_must(curl_easy_setopt((e), (option), (value)))

/* What every call has: method, body, headers, sinks of the answer; no redirects, proxies, .netrc
 * or signals, HTTP/1.1 only. After curl_easy_reset. */
void exchange_prepare(CURL *e, struct exchange *x, struct curl_slist *headers);
struct curl_slist *exchange_headers(const struct net_request *r);
void exchange_append(struct curl_slist **list, const char *text);
/* Until it ended, or *stopping (NULL: never). */
CURLcode exchange_perform(struct net_client *n, const atomic_bool *stopping, bool *cancelled);
enum net_fault exchange_judge(struct exchange *x, CURLcode rc, bool cancelled);

extern atomic_bool net_stopping;

#endif
