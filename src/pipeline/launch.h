/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PIPELINE_LAUNCH_H
#define QUERN_PIPELINE_LAUNCH_H
/* Launch: one step instance on its way from queued to a running process. Prepared on the
 * scheduler's thread in its snapshot, put on record by transaction A, carried out on a worker. */
#include <stdatomic.h>

#include "binding.h"
#include "quern/core/ctx.h"

/* The part of a run that never changes, read by passes and jobs together. */
struct run_base {
    struct ctx c;
    struct run_view v; /* without steps */
    atomic_int users;
};
struct run_base *run_base_keep(struct run_base *b);
void run_base_drop(struct run_base *b);

/* A run as one pass saw it, read by that pass and by the jobs it made. */
struct shared_view {
    struct ctx c;
    struct run_view v;
    struct run_base *base;
    atomic_int users;
};
struct shared_view *shared_view_keep(struct shared_view *s);
void shared_view_drop(struct shared_view *s);

struct cache_hit {
    int64_t attempt_id; /* 0: none */
    const char *from;   /* "<run>/<instance>" */
    const char *tracking_run_id;
};

struct launch {
    struct ctx c; /* its own arena */
    struct shared_view *view;
    const struct step *step;
    const struct step_row *row;
    struct json_t *root; /* scope: what placeholders see */
    struct bound_input *inputs;
    struct source_files files;
    char cache_key[65]; /* "" when not cacheable */
    struct cache_hit hit;
    const char *failure; /* why it cannot be launched; NULL */
    /* Set by transaction A. */
    bool applied, cached, waits; /* waits: an equal step is under way */
    int64_t attempt_id, number;
    char token[25];
    char tracking_run_id[33]; /* "" when not tracked */
    char access_token[128];
    char *folder; /* keeper's, below the data directory; heap */
};

/* Never fails: what goes wrong becomes launch->failure. c->db is a reader. */
struct launch *launch_prepare(struct ctx *c, struct shared_view *view, const struct step_row *row);
void launch_free(struct launch *l);
/* "work/<run>/<step>/<n>" below the data directory. */
char *attempt_place_path(struct ctx *c, const char *run_id, const char *instance, int64_t number);
/* Makes the folders, files and inputs, and spawns the keeper. */
int launch_start(struct launch *l);
/* The arguments and environment as the process will see them; for launch_start. */
int launch_command(struct launch *l, const char *base, struct strs *argv, struct strs *env);
int launch_materialise(struct launch *l, const char *base);

/* Outputs of an ended attempt, already stored as pinned blobs. */
struct collected {
    struct output_row row;
    struct bound_file *files; /* of a folder; of a file: itself */
    size_t n;
};
struct collection {
    struct collected *items;
    size_t n;
};
/* ERR_ with a sentence when a declared output is missing or unreadable. */
int outputs_collect(struct ctx *c, const struct run_view *v, const struct step *s, const char *base,
                    struct collection *out);
void collection_unpin(const struct collection *outputs);

#endif
