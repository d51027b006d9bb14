/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PIPELINE_PIPELINE_RUN_H
#define QUERN_PIPELINE_PIPELINE_RUN_H
/* Pipeline run: one execution of a definition, its step instances, attempts and outputs as rows.
 * Functions with SQL live in pipeline_run_store.c, step_store.c and output_store.c; they use c->db
 * and c->project. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "definition.h"
#include "quern/core/shape.h"
#include "state.h"

struct ctx;
struct json_t;

struct source_file {
    const char *path;
    const char *sha256;
    int64_t size;
};
struct source_files {
    struct source_file *items;
    size_t n;
};

struct git_source {
    const char *commit, *branch, *remote;
    struct opt_bool dirty;
};

struct run_row {
    const char *id;
    int64_t project;
    const char *pipeline;
    int64_t version; /* 0: none */
    const char *definition;
    const char *params; /* JSON */
    enum run_state state;
    const char *reason;
    bool use_cache, cancel;
    struct git_source git;
    int64_t experiment_id; /* 0: not tracked */
    const char *tracking_run_id;
    const char *created_by;
    int64_t created_ms, started_ms, ended_ms; /* 0: not yet */
};

struct step_row {
    int64_t id;
    const char *step, *name;
    size_t index_in_definition; /* filled by run_view_load */
    int64_t item_index;         /* -1: no fan-out */
    const char *item;           /* JSON or NULL */
    enum step_state state;
    const char *reason;
    int64_t attempt, failures, losses, not_before_ms;
    const char *cache_key;
    int64_t origin_attempt; /* 0: none */
    const char *cached_from;
    const char *tracking_run_id;
    const char *result; /* JSON or NULL */
    int64_t started_ms, ended_ms;
};

struct attempt_row {
    int64_t id, step_id, number;
    const char *token, *state, *folder, *tracking_run_id, *reason;
    struct opt_i64 exit_code, signal, cpu_ms, peak_rss_bytes, log_bytes;
    bool timed_out;
    int64_t started_ms, ended_ms;
};

struct output_row {
    const char *name, *kind, *path, *sha256;
    bool folder;
    int64_t size;
    const char *data;
};
struct output_rows {
    struct output_row *items;
    size_t n;
};

/* A run with all that deciding about it takes. */
struct run_view {
    struct run_row run;
    struct definition *d;
    struct json_t *params;
    struct step_row *steps; /* in order of their position */
    size_t n;
    struct source_files files;
};

/* ---- pipeline_run_store.c */
/* The list with room for item number n: a wider copy whenever n is 0 or a power of two from 8 on.
 */
void *rows_grown(struct ctx *c, void *items, size_t n, size_t size);
int run_insert(struct ctx *c, const struct run_row *run);
int run_load(struct ctx *c, const char *id, struct run_row *out); /* of c->project; ERR_NOT_FOUND */
struct run_list_filter {
    const char *pipeline, *state;
    int64_t limit, offset;
};
int run_list(struct ctx *c, const struct run_list_filter *f, struct run_row **out, size_t *n);
/* Over all projects: ids with their project. For the scheduler. */
struct active_run {
    const char *id;
    int64_t project;
};
int run_list_active(struct ctx *c, struct active_run **out, size_t *n);
int run_move(struct ctx *c, const char *id, enum run_state from, enum run_state to,
             const char *reason);
int run_want_cancel(struct ctx *c, const char *id);
/* failed, upstream_failed, cancelled and lost steps to pending, the run to queued. */
int run_reopen(struct ctx *c, const struct run_row *run, int64_t *steps);
int files_insert(struct ctx *c, const char *owner, const struct source_files *files);
int files_load(struct ctx *c, const char *owner, struct source_files *out);
int file_known(struct ctx *c, const char *sha256, int64_t *size, bool *known);
const char *run_owner(struct ctx *c, const char *run_id);
/* Loads run, definition, parameters and files, which never change, without the steps. */
int run_view_base(struct ctx *c, const char *id, struct run_view *out);
int run_load_state(struct ctx *c, const char *id, enum run_state *state, bool *cancel);
/* The steps of a base. */
int run_view_steps(struct ctx *c, struct run_view *v);
/* Both. */
int run_view_load(struct ctx *c, const char *id, struct run_view *out);
/* The base, one step, and the steps that it takes from. *row is the step. */
int run_view_load_one(struct ctx *c, const char *id, int64_t step_id, struct run_view *out,
                      struct step_row *row);

struct run_event {
    int64_t seq, time_ms;
    const char *step, *from, *to, *reason;
    int64_t attempt; /* 0: none */
};
int run_events(struct ctx *c, const char *run_id, int64_t after, int64_t limit,
               struct run_event **out, size_t *n);

/* ---- step_store.c */
int step_insert(struct ctx *c, const char *run_id, size_t position, const struct step_row *s);
int steps_load(struct ctx *c, const char *run_id, struct step_row **out, size_t *n);
/* Appends the instances of one step of the definition. */
int steps_load_named(struct ctx *c, const char *run_id, const char *step, struct step_row **out,
                     size_t *n);
int step_load_id(struct ctx *c, const char *run_id, int64_t id, struct step_row *out);
/* Accepts "train[0]" and "train.0". */
int step_load(struct ctx *c, const char *run_id, const char *name, struct step_row *out);
/* The move when the step is still in `from`; *moved tells. An event row is written with it.
 * Terminal states set ended_ms. */
int step_move(struct ctx *c, const char *run_id, const struct step_row *s, enum step_state from,
              enum step_state to, const char *reason, bool *moved);
int attempt_load(struct ctx *c, int64_t step_id, int64_t number, struct attempt_row *out);
int attempts_load(struct ctx *c, int64_t step_id, struct attempt_row **out, size_t *n);
/* Any project: run and step of the attempt with this folder. *run_id NULL when unknown. */
struct attempt_place {
    const char *run_id;
    int64_t project, step_id, number;
    const char *folder;
    const char *state;
};
int attempt_find(struct ctx *c, const char *folder, struct attempt_place *out);
/* Keepers' folders of ended attempts: of one run of any project; of succeeded ones in active runs.
 */
int folders_of_run(struct ctx *c, const char *run_id, struct strs *out);
int folders_succeeded(struct ctx *c, struct strs *out);
int attempts_active(struct ctx *c, struct attempt_place **out, size_t *n);

/* ---- output_store.c */
int output_insert(struct ctx *c, int64_t attempt_id, const struct output_row *o);
int outputs_load(struct ctx *c, int64_t attempt_id, struct output_rows *out);
const struct output_row *output_find(const struct output_rows *rows, const char *name);

/* ---- run_view.c */
const struct step_row *view_step(const struct run_view *v, const char *name);
/* The instance that stands for a step: its only one, or the one a select step chose. NULL for a
 * fan-out and for a select that has not chosen. */
const struct step_row *view_effective(struct ctx *c, const struct run_view *v, size_t step);
/* All numbers known of an instance: latest metrics of its tracking run, over them those of its
 * metrics outputs. */
int view_metrics(struct ctx *c, const struct step_row *s, struct fpairs *out);
const double *metric_find(const struct fpairs *metrics, const char *name);
/* What ${steps.NAME...} sees. */
int view_step_values(struct ctx *c, const struct run_view *v, size_t step, struct json_t **out);
/* What expressions and placeholders of a step see before it is placed: params, steps before, run,
 * pipeline, item, index. */
int view_scope(struct ctx *c, const struct run_view *v, const struct step *step,
               const struct step_row *instance, struct json_t **out);

#endif
