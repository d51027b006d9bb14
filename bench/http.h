/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H
/* Http: just enough of a client to load a server on this machine: many keep-alive connections in
 * one epoll loop, one request under way on each. Loopback only. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct load;

/* Writes the request for the n-th call of a client; returns its length, 0 to stop that client. */
typedef size_t load_request(void *arg, unsigned client, uint64_t n, char *out, size_t cap);
/* Sees each answer's body; may be NULL. */
typedef void load_answer(void *arg, unsigned client, const char *body, size_t len);

struct load_options {
    uint16_t port;
    unsigned clients;
    double seconds; /* stop sending after this; 0: until every client stopped or count is reached */
    uint64_t count; /* most requests; 0: no bound */
    /* Requests a second that are due whether or not the answers come (an open loop), each timed
     * from when it was due; 0: each connection sends the next when it has its answer. */
    double rate;
    size_t request_cap;
    load_request *request;
    load_answer *answer;
    void *arg;
};

struct load_result {
    uint64_t requests, errors;
    uint64_t slow; /* answers that took more than 50 ms */
    double seconds;
    double p50_us, p99_us, max_us;
};

int load_run(const struct load_options *o, struct load_result *out);
int loopback_connect(uint16_t port); /* blocking socket or -1 */
/* Formats a whole request with a JSON body; returns its length or 0 when cap is too small. */
size_t load_post(char *out, size_t cap, const char *path, const char *body, size_t len);

#endif
