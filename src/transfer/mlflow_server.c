/* SPDX-License-Identifier: Apache-2.0 */
#include "mlflow_server.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "order.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

#define ANSWER_MAX ((uint64_t)256 << 20)
#define ANSWER_MS INT64_C(600000) /* a file may take longer */
#define EMPTY_PAGES_MAX 1000

/* ------------------------------------------------------------------ calls */

static void release(void *tree) {
    json_decref(tree);
}

/* What the server said of its refusal, without trusting that it is JSON. */
static int refused(struct ctx *c, const char *path, const struct net_answer *a) {
    json_t *tree = a->body.data ? json_loadb(a->body.data, a->body.len, 0, NULL) : NULL;
    const char *said = json_string_value(json_object_get(tree, "message"));
    size_t n = strcspn(path, "?");
    int code = a->status == 404                       ? ERR_NOT_FOUND
               : a->status == 405 || a->status == 501 ? ERR_NOT_IMPLEMENTED
               : a->status == 500 && !tree            ? ERR_NOT_IMPLEMENTED
                                                      : ERR_NOT_READY;
    int rc = fail(c, code, "The source answers %.*s with %d%s%.300s", (int)(n < 200 ? n : 200),
                  path, a->status, said ? ": " : ".", said ? said : "");
    json_decref(tree);
    return rc;
}

static int call(struct server *s, struct ctx *c, struct net_request *r, const char *path,
                json_t **out) {
    struct net_answer a = {0};
    r->url = arena_printf(c->arena, "%s%s", s->base, path);
    if (!r->headers) {
        r->headers = s->headers;
        r->header_count = s->nheaders;
    }
    r->trusted = true;
    r->cap = r->take ? UINT64_C(1) << 46 : ANSWER_MAX;
    r->total_ms = r->take ? 0 : ANSWER_MS;
    enum net_fault fault = net_send(s->net, r, &a);
    int rc = 0;
    if (fault != NET_OK)
        rc = fail(c, ERR_NOT_READY, "The source cannot be asked: %s", a.problem.text);
    else if (a.status == 304 && r->headers != s->headers)
        rc = 1;
    else if (a.status != 200)
        rc = refused(c, path, &a);
    else if (out) {
        *out = json_loadb(a.body.data ? a.body.data : "", a.body.len, 0, NULL);
        if (*out)
            arena_defer(c->arena, release, *out);
        else
            rc = fail(c, ERR_NOT_IMPLEMENTED, "The source answers %.200s with no JSON.", path);
    }
    net_answer_free(&a);
    return rc;
}

int server_get(struct server *s, struct ctx *c, const char *path, json_t **out) {
    struct net_request r = {.method = "GET"};
    return call(s, c, &r, path, out);
}

int server_post(struct server *s, struct ctx *c, const char *path, json_t *body, json_t **out) {
    char *text = json_dumps(body, JSON_COMPACT);
    struct net_request r = {.method = "POST", .body = text, .body_len = text ? strlen(text) : 0};
    json_decref(body);
    int rc = call(s, c, &r, path, out);
    free(text);
    return rc;
}

int server_bytes(struct server *s, struct ctx *c, const char *path, const char *known,
                 source_take *take, void *arg) {
    struct net_header headers[ARRAY_LEN(s->headers) + 1];
    struct net_request r = {.method = "GET", .take = take, .arg = arg};
    if (known) {
        memcpy(headers, s->headers, sizeof s->headers);
        headers[s->nheaders] = (struct net_header){
            .name = "If-None-Match", .value = arena_printf(c->arena, "\"sha256:%s\"", known)};
        r.headers = headers;
        r.header_count = s->nheaders + 1;
    }
    return call(s, c, &r, path, NULL);
}

/* ------------------------------------------------------------------ pages */

const char *server_token(const struct server_pages *p) {
    return p->token.len ? p->token.data : "";
}

int server_get_page(struct server *s, struct ctx *c, const char *path, const struct server_pages *p,
                    json_t **out) {
    if (p->token.len)
        path = arena_printf(c->arena, "%s&page_token=%s", path, server_escape(c, p->token.data));
    return server_get(s, c, path, out);
}

int server_turn(const struct server *s, struct ctx *c, const json_t *answer, size_t total,
                struct server_pages *p) {
    const char *next = server_text(answer, "next_page_token");
    if (*next && str_eq(next, server_token(p)))
        return fail(c, ERR_NOT_READY, "The source answers the same page for ever.");
    if (total > (uint64_t)s->most)
        return fail(c, ERR_TOO_LARGE,
                    "The source lists more than %lld things in one list; if it has so many, raise "
                    "the setting import.most.",
                    (long long)s->most);
    p->empty = total == p->total ? p->empty + 1 : 0;
    p->total = total;
    if (*next && p->empty >= EMPTY_PAGES_MAX)
        return fail(c, ERR_NOT_READY, "The source answers %d pages with nothing on them.",
                    EMPTY_PAGES_MAX);
    buf_clear(&p->token);
    buf_puts(&p->token, next);
    return 0;
}

/* ------------------------------------------------------------------ members */

const char *server_text(const json_t *o, const char *member) {
    const char *s = json_string_value(json_object_get(o, member));
    return s ? s : "";
}

const char *server_maybe(const json_t *o, const char *member) {
    const char *s = server_text(o, member);
    return *s ? s : NULL;
}

int64_t server_number(const json_t *o, const char *member) {
    const json_t *v = json_object_get(o, member);
    int64_t n = json_integer_value(v);
    if (json_is_string(v))
        (void)str_to_i64(json_string_value(v), &n);
    return n;
}

double server_value(const json_t *o, const char *member, bool *is_nan) {
    const json_t *v = json_object_get(o, member);
    const char *s = json_string_value(v);
    double d = json_number_value(v);
    *is_nan = s && str_eq(s, "NaN");
    if (s && (str_eq(s, "Infinity") || str_eq(s, "-Infinity")))
        return *s == '-' ? -DBL_MAX : DBL_MAX;
    return *is_nan ? 0 : d;
}

struct pairs server_pairs(struct ctx *c, const json_t *list) {
    size_t n = json_is_array(list) ? json_array_size(list) : json_object_size(list), i;
    struct pairs out = {.items = ARENA_ARRAY(c->arena, struct pair, n + 1)};
    const char *key;
    json_t *v;
    json_array_foreach((json_t *)list, i, v) {
        out.items[out.n++] =
            (struct pair){.key = server_text(v, "key"), .value = server_text(v, "value")};
    }
    json_object_foreach((json_t *)list, key, v) {
        const char *text = json_string_value(v);
        out.items[out.n++] = (struct pair){.key = key, .value = text ? text : ""};
    }
    order_pairs(&out);
    return out;
}

const char *server_escape(struct ctx *c, const char *s) {
    return url_encode(c->arena, s, false);
}

/* ------------------------------------------------------------------ open and close */

static void add_header(struct server *s, const char *name, const char *value) {
    s->headers[s->nheaders++] = (struct net_header){.name = name, .value = value};
}

static void credentials(struct server *s) {
    const char *token = getenv("MLFLOW_TRACKING_TOKEN");
    const char *user = getenv("MLFLOW_TRACKING_USERNAME");
    const char *password = getenv("MLFLOW_TRACKING_PASSWORD");
    if (user && *user) {
        const char *both = arena_printf(s->arena, "%s:%s", user, password ? password : "");
        add_header(s, "Authorization",
                   arena_printf(s->arena, "Basic %s", base64_encode(s->arena, both, strlen(both))));
    } else if (token && *token) {
        add_header(s, "Authorization", arena_printf(s->arena, "Bearer %s", token));
    }
}

static void close_server(struct source *src) {
    struct server *s = (struct server *)src;
    net_client_free(s->net);
    json_decref(s->run);
    arena_free(s->arena);
    free(s);
}

static const struct source_ops ops = {.experiment = server_experiment,
                                      .run = server_run,
                                      .points = server_points,
                                      .model = server_model,
                                      .registered = server_registered,
                                      .trace = server_trace,
                                      .evaluation = server_evaluation,
                                      .scorer = server_scorer,
                                      .issue = server_issue,
                                      .close = close_server,
                                      .list = server_list,
                                      .file = server_file};

int mlflow_server_open(struct ctx *c, const char *url, const char *workspace, int64_t most,
                       struct source **out) {
    struct server *s = mem_alloc(sizeof *s);
    size_t n = strlen(url);
    *s = (struct server){.source.ops = &ops, .most = most};
    s->arena = arena_new();
    s->net = net_client_new();
    while (n > 0 && url[n - 1] == '/')
        n--;
    s->base = arena_strndup(s->arena, url, n);
    credentials(s);
    add_header(s, "Content-Type", "application/json");
    if (workspace)
        add_header(s, "X-MLFLOW-WORKSPACE", arena_strdup(s->arena, workspace));
    int rc = server_list_everything(s, c);
    if (rc == -ERR_NOT_FOUND) {
        const char *why = c->err.message;
        err_clear(c);
        rc = s->nexperiments ? fail(c, ERR_NOT_READY, "%s", why)
                             : fail(c, ERR_INVALID, "There is no MLflow server at this URL.");
    }
    if (rc < 0)
        close_server(&s->source);
    else
        *out = &s->source;
    return rc;
}
