/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_GENAI_COPY_H
#define QUERN_GENAI_COPY_H
/* Copy: whole evaluation datasets, scorers and issues with their ids and times, for moving data in
 * (quern/tracking/copy.h says how copies work). Their experiments must be here before. What is here
 * already is replaced; ERR_CONFLICT or ERR_EXISTS when the id is another project's. `get` and
 * `out` (the one behind that id, "" at first): 1 with the thing, 0 when there is none. Parts that
 * are JSON are texts of it and kept as they are. */
#include <stddef.h>
#include <stdint.h>

#include "quern/core/shape.h"

struct ctx;

struct copy_record {
    const char *id;
    const char *inputs, *tags;                   /* JSON objects */
    const char *outputs, *expectations, *source; /* JSON; NULL: none */
    const char *created_by, *updated_by;         /* NULL: nobody said */
    int64_t created_ms, updated_ms;
};
struct copy_evaluation {
    const char *id, *name, *digest;
    const char *schema, *created_by, *updated_by; /* NULL: none */
    int64_t created_ms, updated_ms;
    struct pairs tags;    /* by key */
    int64_t *experiments; /* ascending */
    size_t nexperiments;
    struct copy_record *records; /* by creation, then id */
    size_t nrecords;
};
int evaluation_copy_in(struct ctx *c, const struct copy_evaluation *in);
int evaluation_copy_out(struct ctx *c, const char *after, struct copy_evaluation *out);
int evaluation_copy_get(struct ctx *c, const char *id, struct copy_evaluation *out);

struct copy_scorer_version {
    int64_t version, created_ms;
    const char *content;
};
struct copy_scorer {
    const char *id, *name;
    int64_t experiment;
    struct copy_scorer_version *versions; /* ascending */
    size_t nversions;
};
int scorer_copy_in(struct ctx *c, const struct copy_scorer *in);
int scorer_copy_out(struct ctx *c, const char *after, struct copy_scorer *out);
int scorer_copy_get(struct ctx *c, const char *id, struct copy_scorer *out);

struct copy_issue {
    const char *id, *name, *description, *status;
    const char *severity, *source_run, *created_by; /* NULL: none */
    const char *root_causes, *categories;           /* JSON lists of texts; NULL: none */
    int64_t experiment, created_ms, updated_ms;
};
int issue_copy_in(struct ctx *c, const struct copy_issue *in);
int issue_copy_count(struct ctx *c, int64_t *n);
int issue_copy_get(struct ctx *c, const char *id, struct copy_issue *out);

#endif
