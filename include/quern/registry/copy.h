/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_REGISTRY_COPY_H
#define QUERN_REGISTRY_COPY_H
/* Copy: whole registered models with versions, tags and aliases, for moving in and out; see
 * quern/tracking/copy.h for what in, out and get promise. Putting a model drops versions that it
 * has here and not in what is put. */
#include <stddef.h>
#include <stdint.h>

#include "quern/core/shape.h"

struct ctx;

struct copy_version {
    int64_t version;
    const char *source;
    const char *storage; /* NULL: the source itself */
    const char *run_id, *run_link, *logged_model, *description, *stage, *status;
    int64_t created_ms, updated_ms;
    struct pairs tags;
};
struct copy_alias {
    const char *alias;
    int64_t version;
};
struct copy_registered {
    const char *name, *description;
    int64_t created_ms, updated_ms;
    int64_t last_version; /* largest number ever given */
    struct pairs tags;
    struct copy_alias *aliases; /* by alias */
    size_t naliases;
    struct copy_version *versions; /* by number */
    size_t nversions;
};

int registered_copy_in(struct ctx *c, const struct copy_registered *in);
int registered_copy_out(struct ctx *c, const char *after, struct copy_registered *out);
int registered_copy_get(struct ctx *c, const char *name, struct copy_registered *out);

/* The model with one version and its aliases alone; no versions when it has not that one. */
int version_copy_get(struct ctx *c, const char *name, int64_t version, struct copy_registered *out);

/* Whom the rules tell, in the same transaction, that the caller is about to delete a registered
 * model (version 0) or one of its versions. */
typedef int registry_keep(struct ctx *c, const char *name, int64_t version);
void registry_keeper(registry_keep *fn);
/* Undoing that, within a write and by a caller who may: ERR_CONFLICT when the name is taken.
 * Numbers are never given out twice, so a version's is free; its aliases come back unless they were
 * set to another version meanwhile. ERR_NOT_FOUND when there is no such model any more. */
int registered_restore(struct ctx *c, const struct copy_registered *in);
int version_restore(struct ctx *c, const struct copy_registered *in);

#endif
