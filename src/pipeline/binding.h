/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PIPELINE_BINDING_H
#define QUERN_PIPELINE_BINDING_H
/* Binding: the inputs of one step instance, bound to content by digest. */
#include <stddef.h>
#include <stdint.h>

#include "pipeline_run.h"

struct bound_file {
    const char *path; /* below the inputs folder */
    const char *sha256;
    int64_t size;
};

struct bound_input {
    const char *name;
    const char *place;  /* below the inputs folder: "data.csv" or "model" */
    const char *digest; /* of what it holds */
    struct bound_file *files;
    size_t n;
    const char *index;   /* fan-outs: content of place/index.json */
    struct strs sources; /* refs for lineage: artifact:<sha256> */
};

/* Reader in c->db. root is the scope, for ${...} in artifact paths. */
int inputs_bind(struct ctx *c, const struct run_view *v, const struct step *s, struct json_t *root,
                struct bound_input **out);
/* The files of a folder's manifest, each below prefix. */
int manifest_read(struct ctx *c, const char *sha256, const char *prefix, struct bound_file **files,
                  size_t *n);
/* The source files of the run that the step sees. */
int step_files(struct ctx *c, const struct run_view *v, const struct step *s,
               struct source_files *out);
/* For select steps and inputs with select: the instance of a fan-out with the best metric. The
 * candidates are an array of {step, value} for people. */
int pick_best(struct ctx *c, const struct run_view *v, size_t step, const struct pick *pick,
              const struct step_row **best, double *value, struct json_t **candidates);

#endif
