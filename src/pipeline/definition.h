/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PIPELINE_DEFINITION_H
#define QUERN_PIPELINE_DEFINITION_H
/* Definition: what a pipeline's file says, checked. The keys are rows (definition_keys.c), from
 * which also the published JSON Schema is written. Everything lives on the context's arena that
 * definition_parse was given. Own page: docs/pipelines.md. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/core/shape.h"

struct buf;
struct ctx;
struct expr;
struct json_t;
struct node;
struct step_action;

#define NO_STEP ((size_t)-1)

enum param_type { PARAM_STRING, PARAM_INT, PARAM_FLOAT, PARAM_BOOL, PARAM_LIST };

struct param {
    const char *name;
    enum param_type type;
    struct json_t *def; /* NULL: must be given */
    const char *doc;
};

/* Which instance of a fan-out: the one with the best metric. */
struct pick {
    const char *metric; /* NULL: no choice */
    bool min;
};

struct step_input {
    const char *name;
    size_t step;        /* NO_STEP: a stored artifact */
    const char *output; /* of that step */
    const char *artifact;
    struct pick pick;
};

enum output_kind { OUTPUT_ARTIFACT, OUTPUT_METRICS, OUTPUT_VALUES, OUTPUT_MODEL };

struct step_output {
    const char *name;
    const char *path; /* below the outputs folder */
    enum output_kind kind;
    bool optional;
};

struct gate_rule {
    const char *text;   /* as shown */
    const char *metric; /* pattern, '*' stands for any run of characters */
    const char *op;     /* ">=" ...; NULL for better_than */
    double number;
    const char *path;  /* the number's place ("params.min"), or NULL */
    const char *model; /* better_than: models:/name@alias */
    bool min;          /* better_than: smaller is better */
    bool or_equal;
    double margin;
};

struct retry {
    int64_t count;
    int64_t backoff_ms, max_ms;
    double jitter; /* 0..1: share of the delay that is random */
};

enum step_kind { STEP_RUN, STEP_SELECT, STEP_GATE, STEP_ACTION };

struct step {
    const char *name;
    const char *doc;
    enum step_kind kind;
    unsigned line, column;
    struct strs argv;
    size_t *needs; /* indexes of earlier steps, explicit and implied, ascending */
    size_t nneeds;
    struct step_input *inputs;
    size_t ninputs;
    struct step_output *outputs;
    size_t noutputs;
    struct pairs env;
    struct strs params; /* names the step sees */
    int64_t timeout_ms, grace_ms;
    struct retry retry;
    struct expr *when;
    const char *when_text;
    bool after_skipped; /* runs although a step before it was skipped */
    bool fan_out;
    struct json_t *each; /* the list, or NULL with each_param */
    const char *each_param;
    int64_t cpu, memory_bytes, slots, cpu_seconds;
    bool cache;
    struct strs cache_key;
    bool track;
    struct strs files; /* globs; n 0: all of the pipeline's */
    size_t from;       /* select, gate, register: where metrics come from; NO_STEP */
    struct pick pick;  /* select */
    struct gate_rule *rules;
    size_t nrules;
    const struct step_action *action;
    struct json_t *with;
};

struct definition {
    const char *name, *description, *experiment;
    struct param *params;
    size_t nparams;
    struct pairs env;
    struct strs files;
    int64_t max_parallel; /* 0: only the daemon's limit */
    bool track;
    struct step *steps; /* in an order in which every step comes after those it needs */
    size_t nsteps;
};

#define STEP_CAP 500
#define INSTANCE_CAP 5000 /* over all steps of one run */

int definition_parse(struct ctx *c, const char *text, size_t n, struct definition **out);
const struct step *definition_step(const struct definition *d, const char *name);
/* The step named at the start of "steps.NAME..."; NO_STEP for other paths. */
size_t path_step(const struct definition *d, const char *path);

/* The caller's values checked against the declarations, defaults filled in: an object with every
 * parameter. Text is accepted for numbers and booleans, as a command line sends it. */
int definition_params(struct ctx *c, const struct definition *d, struct json_t *given,
                      struct json_t **out);
/* The list a fan-out goes over. */
int step_items(struct ctx *c, const struct step *s, struct json_t *params, struct json_t **out);

extern const struct step_action register_action;
/* An action known to definitions ("register", "deploy"); NULL when there is none. */
const struct step_action *action_find(const char *name);

/* ---- the rows of the format */
struct key {
    const char *name;
    const char *schema; /* JSON Schema of the value */
    const char *doc;
    bool required;
};
struct keys {
    const char *what; /* "step" */
    const struct key *rows;
    size_t n;
};
extern const struct keys keys_pipeline, keys_param, keys_step, keys_input, keys_output, keys_retry,
    keys_resources, keys_cache, keys_select, keys_rule, keys_better;

/* map must be a mapping whose keys are rows; the error suggests the nearest name. */
int keys_check(struct ctx *c, const struct node *map, const struct keys *keys);
const char *nearest(const char *name, const char *(*at)(const void *list, size_t i),
                    const void *list, size_t n); /* NULL when none is near */
void definition_schema(struct buf *out);         /* JSON Schema, draft 2020-12 */

/* ---- reading parts; step_read.c, gate_read.c */
struct definition_reader {
    struct ctx *c;
    struct definition *d;
    const struct node **nodes; /* of the steps, in the file's order */
};
int step_read(struct definition_reader *r, const char *name, const struct node *n, struct step *s);
int gate_read(struct definition_reader *r, const struct node *n, struct step *s);
int gate_rule_parse(struct ctx *c, const char *text, struct gate_rule *out);
int read_text(struct ctx *c, const struct node *n, const char *what, const char **out);
int read_strings(struct ctx *c, const struct node *n, const char *what, struct strs *out);
int read_bool(struct ctx *c, const struct node *n, const char *what, bool *out);
int read_int(struct ctx *c, const struct node *n, const char *what, int64_t lo, int64_t hi,
             int64_t *out);
int read_ms(struct ctx *c, const struct node *n, const char *what, int64_t *out);
int read_bytes(struct ctx *c, const struct node *n, const char *what, int64_t *out);
int read_number(struct ctx *c, const struct node *n, const char *what, double *out);
int read_env(struct ctx *c, const struct node *n, struct pairs *out);
int read_name(struct ctx *c, const struct node *at, const char *name, const char *what);
int read_step_name(struct definition_reader *r, const struct node *n, const char *what,
                   size_t *out);
int need(struct ctx *c, struct step *s, size_t step);

#endif
