/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRANSFER_SOURCE_H
#define QUERN_TRANSFER_SOURCE_H
/* Source: where things come from, one after the other in the order of their ids. Each call has a
 * context of its own, so that memory is bounded by one thing. 1 with the thing behind `after`, 0
 * when there is none, negative on failure; ERR_INVALID, ERR_TOO_LARGE and ERR_NOT_FOUND with the
 * id set: this one cannot be had, but those behind it can. */
#include "quern/base/buf.h"
#include "quern/genai/copy.h"
#include "quern/registry/copy.h"
#include "quern/trace/copy.h"
#include "quern/tracking/copy.h"
#include "quern/transfer/transfer.h"

struct ctx;
struct source;

struct source_entry {
    const char *name; /* in its folder */
    bool is_dir;
    int64_t size;
};
/* Takes bytes of a file, bit by bit; false breaks off. */
typedef bool source_take(void *arg, const char *data, size_t n);

struct source_ops {
    int (*experiment)(struct source *s, struct ctx *c, int64_t after, struct copy_experiment *out);
    int (*run)(struct source *s, struct ctx *c, const char *after, struct copy_run *out);
    int (*points)(struct source *s, struct ctx *c, const char *run_id, copy_points_fn *each,
                  void *arg);
    int (*model)(struct source *s, struct ctx *c, const char *after, struct copy_model *out);
    int (*registered)(struct source *s, struct ctx *c, const char *after,
                      struct copy_registered *out);
    int (*trace)(struct source *s, struct ctx *c, const char *after, struct copy_trace *out);
    /* NULL where the source has none or does not tell. */
    int (*evaluation)(struct source *s, struct ctx *c, const char *after,
                      struct copy_evaluation *out);
    int (*scorer)(struct source *s, struct ctx *c, const char *after, struct copy_scorer *out);
    int (*issue)(struct source *s, struct ctx *c, const char *after, struct copy_issue *out);
    /* How many there are without looking at any; NULL where nothing counts them. */
    int (*rows)(struct source *s, struct ctx *c, enum transfer_kind kind, int64_t *n);
    void (*close)(struct source *s);
    /* Files by the path that their mlflow-artifacts: URI has; NULL where only a folder has them.
     * A folder that is not there lists nothing. */
    int (*list)(struct source *s, struct ctx *c, const char *path, struct source_entry **out,
                size_t *n);
    /* `known`: the SHA-256 of what stands here, or NULL; 1 and no bytes when the source says that
     * the file is just this. */
    int (*file)(struct source *s, struct ctx *c, const char *path, const char *known,
                source_take *take, void *arg);
};
struct source {
    const struct source_ops *ops;
};

/* By the form of o->from. ERR_INVALID with what would be right. */
int source_open(struct ctx *c, const struct transfer_options *o, struct source **out);
int mlflow_db_open(struct ctx *c, const char *path, const char *workspace, struct source **out);
int mlruns_open(struct ctx *c, const char *folder, struct source **out);
/* most: things of one kind, points of one metric, files; one that lists more is refused. */
int mlflow_server_open(struct ctx *c, const char *url, const char *workspace, int64_t most,
                       struct source **out);

#endif
