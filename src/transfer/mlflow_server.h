/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRANSFER_MLFLOW_SERVER_H
#define QUERN_TRANSFER_MLFLOW_SERVER_H
/* MLflow server: a live server of either line as a source, over the API that its clients use. Ids
 * are listed once when it is opened; each thing is asked for when its turn comes. What the API does
 * not tell: when a run was deleted (its end is taken), deleted logged models, numbers of versions
 * that are no more, which further runs a trace is linked to, and scorers that have no version or
 * whose experiment was deleted.
 *
 * Credentials come from MLflow's own environment variables (MLFLOW_TRACKING_TOKEN, or
 * MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD) and go into a header alone. */
#include <jansson.h>
#include <stdbool.h>

#include "quern/net/net.h"
#include "source.h"

struct arena;

#define SERVER_KEPT_MAX ((size_t)4 << 30) /* bytes of what is kept of lists, or of one thing */

struct server_ids {
    const char **items; /* by bytes */
    size_t n, cap;
};
struct server_scorer { /* it is asked for by its name */
    const char *id, *name;
    int64_t experiment;
};
struct server {
    struct source source;
    struct net_client *net;
    const char *base; /* without a final '/' */
    struct net_header headers[4];
    size_t nheaders;
    int64_t most;        /* things of a kind, points of a metric, files that it may list */
    int64_t listed;      /* files so far */
    struct arena *arena; /* of what the source keeps */
    struct copy_experiment *experiments; /* by number */
    size_t nexperiments, experiments_cap;
    struct server_ids runs, models, registered, prompts, traces, evaluations, issues;
    struct server_scorer *scorers; /* by id */
    size_t nscorers, scorers_cap;
    json_t *run;    /* the last one asked for: its metrics' names are wanted next */
    bool traces_v2; /* the older line's routes */
};

/* The answer, alive as long as the context. ERR_NOT_FOUND for a 404 (also of a route),
 * ERR_NOT_IMPLEMENTED where the server has nothing for programs: 405, 501, or a page instead of
 * JSON, as MLflow's servers over a folder answer 500. Otherwise ERR_NOT_READY with what the server
 * said. `path` begins with "/". */
int server_get(struct server *s, struct ctx *c, const char *path, json_t **out);
int server_post(struct server *s, struct ctx *c, const char *path, json_t *body, json_t **out);
/* As server_get for a body of bytes, bit by bit. `known` and 1: as source_ops has it for files. */
int server_bytes(struct server *s, struct ctx *c, const char *path, const char *known,
                 source_take *take, void *arg);

/* Pages of one list. A server that tells the token that it was asked with, or ever new ones, would
 * be asked for ever. Free the token at the end. */
struct server_pages {
    struct buf token; /* empty at the first page, and behind the last */
    size_t total;     /* things so far */
    int empty;        /* pages without any, one after the other */
};
const char *server_token(const struct server_pages *p);
/* As server_get of a path with a query, at this page. */
int server_get_page(struct server *s, struct ctx *c, const char *path, const struct server_pages *p,
                    json_t **out);
/* To the next page; `total`: things so far, this page's included. */
int server_turn(const struct server *s, struct ctx *c, const json_t *answer, size_t total,
                struct server_pages *p);

const char *server_text(const json_t *o, const char *member);  /* "" when absent */
const char *server_maybe(const json_t *o, const char *member); /* NULL when absent or empty */
int64_t server_number(const json_t *o, const char *member);    /* also from a text */
double server_value(const json_t *o, const char *member, bool *is_nan);
/* From a list of {key, value} or from an object. */
struct pairs server_pairs(struct ctx *c, const json_t *list);
const char *server_escape(struct ctx *c, const char *s);

/* One list, page by page: `list` of the answer, the id in member `id` of `inner` (NULL: of the
 * item itself). Path as the first page has it. */
struct server_listing {
    const char *path, *list, *inner, *id;
    struct server_ids *ids; /* NULL: `keep` keeps each item, and *n counts them */
    int (*keep)(struct server *s, struct ctx *c, const json_t *item);
    const size_t *n;
};
/* Asks for all of it with this body, which is freed; NULL: with GET. */
int server_list_all(struct server *s, struct ctx *c, const struct server_listing *l, json_t *body);
/* Fills all lists of ids, and the experiments. */
int server_list_everything(struct server *s, struct ctx *c);
int server_list_genai(struct server *s, struct ctx *c); /* a part of it */
/* The first id behind `after`, or NULL. */
const char *server_after(const struct server_ids *l, const char *after);

int server_list(struct source *s, struct ctx *c, const char *path, struct source_entry **out,
                size_t *n);
int server_file(struct source *s, struct ctx *c, const char *path, const char *known,
                source_take *take, void *arg);
int server_experiment(struct source *s, struct ctx *c, int64_t after, struct copy_experiment *out);
int server_run(struct source *s, struct ctx *c, const char *after, struct copy_run *out);
int server_points(struct source *s, struct ctx *c, const char *run_id, copy_points_fn *each,
                  void *arg);
int server_model(struct source *s, struct ctx *c, const char *after, struct copy_model *out);
int server_registered(struct source *s, struct ctx *c, const char *after,
                      struct copy_registered *out);
int server_trace(struct source *s, struct ctx *c, const char *after, struct copy_trace *out);
int server_evaluation(struct source *s, struct ctx *c, const char *after,
                      struct copy_evaluation *out);
int server_scorer(struct source *s, struct ctx *c, const char *after, struct copy_scorer *out);
int server_issue(struct source *s, struct ctx *c, const char *after, struct copy_issue *out);

#endif
