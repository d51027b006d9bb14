/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_GENAI_SCORER_H
#define QUERN_GENAI_SCORER_H
/* Scorer: a text from which clients make a judge, in versions 1, 2, ... per experiment and name. A
 * new version has the number behind the greatest that is there. */
#include <stdint.h>

#include "quern/core/shape.h"

struct ctx;

#define SCORER_NAME_MAX 256 /* code points */

struct scorer {
    const char *scorer_id, *scorer_name, *serialized_scorer;
    struct opt_i64 experiment_id, scorer_version, creation_time;
};

/* ------------------------------------------------------------------ rules
 * `experiment` is the request's decimal text. ERR_NOT_FOUND in MLflow's words; an experiment that
 * is deleted is refused. */
int scorer_register(struct ctx *c, const char *experiment, const char *name, const char *content,
                    struct scorer *out);
/* Latest versions, by experiment and name: of one experiment, of several, or of all that the caller
 * may read. Lists hold struct scorer. */
int scorer_list(struct ctx *c, const char *experiment, const struct strs *experiments,
                struct list *out);
int scorer_list_versions(struct ctx *c, const char *experiment, const char *name, struct list *out);
int scorer_get(struct ctx *c, const char *experiment, const char *name, struct opt_i64 version,
               struct scorer *out);
/* One version, or all and the scorer's id with them. */
int scorer_delete(struct ctx *c, const char *experiment, const char *name, struct opt_i64 version);

/* Refuses what no client should make a judge from: no JSON object, code, options that lead the
 * judge's calls to a host of the sender's choice, a model of a gateway that is not there. */
int scorer_content_check(struct ctx *c, const char *content);

/* ------------------------------------------------------------------ rows
 * find: 1 or 0. */
int scorer_find(struct ctx *c, int64_t experiment, const char *name, int64_t *row);
int scorer_insert(struct ctx *c, int64_t experiment, const char *name, int64_t *row);
int scorer_insert_version(struct ctx *c, int64_t row, const char *content);
int scorer_find_version(struct ctx *c, int64_t row, struct opt_i64 version, struct scorer *out);
int scorer_load_versions(struct ctx *c, int64_t row, struct list *out);
/* json: experiments as a list of numbers; NULL: all of the project. Active ones the caller may
 * read.
 */
int scorer_load_latest(struct ctx *c, const char *json, struct list *out);
int scorer_erase_version(struct ctx *c, int64_t row, struct opt_i64 version, int64_t *gone);
int scorer_erase(struct ctx *c, int64_t row);

#endif
