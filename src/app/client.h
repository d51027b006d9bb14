/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_APP_CLIENT_H
#define QUERN_APP_CLIENT_H
/* Client: the REST API from a shell. The server is --url, else QUERN_URL, else the default; the
 * token comes from QUERN_TOKEN, else MLFLOW_TRACKING_TOKEN, else the file QUERN_TOKEN_FILE, never
 * from the command line; the project from QUERN_PROJECT. Functions that fail have told why on
 * standard error and return an exit code. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct invocation;
struct json_t;

struct client_reply {
    int status;          /* 0: the server was not reached */
    struct json_t *json; /* NULL when the body is no JSON; borrowed from the invocation's arena */
    char *text;
    size_t len;
    int64_t next_offset; /* of an answer that tells X-Quern-Next-Offset, else -1 */
};

/* Sends and reads whole. Any answered status is EXIT_OK here; only a failure to get an answer is
 * not (EXIT_UNAVAILABLE, told on standard error). body NULL: none. */
int client_send(struct invocation *inv, const char *method, const char *path,
                const struct json_t *body, struct client_reply *out);
/* The same, and a status of 400 or more is told and mapped: 404 EXIT_NOT_FOUND, 409/412
 * EXIT_CONFLICT, 401/403 EXIT_DENIED, 503 EXIT_UNAVAILABLE, others EXIT_ERROR. */
int client_call(struct invocation *inv, const char *method, const char *path,
                const struct json_t *body, struct client_reply *out);
/* PUTs a file as it is; answers as client_call's. */
int client_upload(struct invocation *inv, const char *path, const char *file,
                  struct client_reply *out);
/* Hands the body to `sink` as it comes (return false to stop). */
int client_stream(struct invocation *inv, const char *path,
                  bool (*sink)(const char *data, size_t n, void *arg), void *arg);
const char *client_url(const struct invocation *inv); /* without a trailing slash */
bool client_reachable(struct invocation *inv);        /* says nothing */

#endif
