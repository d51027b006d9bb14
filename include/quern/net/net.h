/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_NET_NET_H
#define QUERN_NET_NET_H
/* Net: calls that the daemon makes to others. The only folder that includes curl/ for them.
 *
 * Every call passes the egress guard: https only (http where the operator allows it), no user
 * information, fragment, zone or odd bytes in the URL; the host is resolved here and each of its
 * addresses is judged (src/net/guard.h) unless the operator lists it; the connection goes to a
 * judged address and to no other, and the address of the very socket is judged once more, so a
 * name that changes its mind in between changes nothing. Redirects are not followed; proxies,
 * .netrc and cookies do not exist; certificates are verified; answers are capped; there is an end
 * in time. Nothing here raises a signal. Blocking: for workers, never for network threads. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/base/buf.h"

enum net_fault {
    NET_OK,
    NET_URL,       /* not a URL that may be called */
    NET_SCHEME,    /* neither https nor an allowed http */
    NET_HOST,      /* no host in it */
    NET_RESOLVE,   /* the host has no address */
    NET_BLOCKED,   /* one of its addresses is not public */
    NET_CONNECT,   /* nobody answers there */
    NET_TLS,       /* no certificate that we trust */
    NET_TIMEOUT,   /* connect_ms or total_ms is over */
    NET_TOO_LARGE, /* more than cap bytes; status and the first cap bytes are there */
    NET_CANCELLED, /* net_stop */
    NET_ABORTED,   /* `take` did not want more */
    NET_BROKEN,    /* the connection ended in the middle, or spoke no HTTP */
};

struct net_problem {
    enum net_fault fault;
    char text[320];   /* a sentence without the URL's path or query */
    char scheme[16];  /* as in the URL, where it was read */
    char host[256];   /* same */
    char address[64]; /* of a blocked host */
};

struct net_options {
    const char *allow; /* hosts, addresses and CIDRs, comma-separated, that are let through */
    bool allow_http;
    const char *ca_file; /* PEM with the certificates to trust; NULL or "": the system's */
};
int net_start(const struct net_options *o, struct buf *error); /* -1 and a sentence */
void net_stop(void); /* what net_send has under way ends with NET_CANCELLED within 100 ms */
bool net_http_allowed(void);

/* What a call to `url` would be refused for, before any connection. Resolves; at most 10 s. */
enum net_fault net_check(const char *url, struct net_problem *out);

struct net_header {
    const char *name, *value;
};
struct net_request {
    const char *method; /* "GET", "POST", ... */
    const char *url;
    const struct net_header *headers;
    size_t header_count;
    const char *body; /* NULL: none */
    size_t body_len;
    /* The operator himself gave the URL on a command line: http and any address are fine, and
     * connections are kept for the next request of the client. */
    bool trusted;
    uint64_t cap;       /* bytes of an answer */
    int64_t connect_ms; /* 0: 10 s; per address of the host */
    int64_t total_ms;   /* 0: no end, but 60 s without a byte are one */
    /* Takes the body bit by bit instead of answer.body; false breaks off. */
    bool (*take)(void *arg, const char *data, size_t n);
    void *arg;
};
struct net_answer {
    int status;         /* 0: none came */
    struct buf body;    /* empty with `take` */
    struct buf headers; /* see net_answer_header */
    struct net_problem problem;
};

struct net_client; /* one per thread */
struct net_client *net_client_new(void);
void net_client_free(struct net_client *n); /* NULL is allowed */
/* NET_OK whatever the status. The answer is emptied first; free it in any case. */
enum net_fault net_send(struct net_client *n, const struct net_request *r, struct net_answer *out);
/* A call to a server that the daemon itself started on this machine: no URL, no guard, no TLS.
 * Nothing but 127.0.0.1 or that socket is ever connected; connections are kept for the client's
 * next call. */
struct net_local {
    const char *method;
    const char *path;   /* "/v2/models/m/infer" */
    unsigned port;      /* of 127.0.0.1; 0: `socket` */
    const char *socket; /* path of a unix socket, at most NET_SOCKET_MAX bytes */
    const struct net_header *headers;
    size_t header_count;
    const char *body; /* NULL: none */
    size_t body_len;
    uint64_t cap;              /* bytes of an answer */
    int64_t total_ms;          /* more than 0 */
    const atomic_bool *cancel; /* ends the call with NET_CANCELLED within 100 ms; NULL: none */
};
#define NET_SOCKET_MAX 100
enum net_fault net_local_send(struct net_client *n, const struct net_local *r,
                              struct net_answer *out);
const char *net_answer_header(const struct net_answer *a, const char *lower_name); /* NULL: none */
/* From Retry-After, seconds or a date; -1: none that makes sense. */
int64_t net_retry_after_ms(const struct net_answer *a, int64_t now_ms);
void net_answer_free(struct net_answer *a);

#endif
