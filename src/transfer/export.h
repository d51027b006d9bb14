/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRANSFER_EXPORT_H
#define QUERN_TRANSFER_EXPORT_H
/* Export: what writing out, proving and the files share. */
#include "quern/core/ctx.h"
#include "source.h"

struct dir;

struct export {
    const struct transfer_options *o;
    struct transfer_report *report;
    struct ctx out; /* its db is the new file */
    struct dir *files;
};

/* A fault of that kind: counted, and told to whoever listens. */
void export_say(struct export *x, enum transfer_kind kind, const char *what, const char *why);

/* One thing: read here in a snapshot, written there in a transaction. */
typedef int next_fn(struct ctx *c, const char *after, void *thing);
typedef int put_fn(struct export *x, struct ctx *c, const void *thing);

struct kind {
    enum transfer_kind kind;
    next_fn *next;
    put_fn *put;
    const char *(*id)(struct arena *a, const void *thing);
    size_t size;
};

#define EXPORT_KINDS 7
extern const struct kind export_kinds[EXPORT_KINDS]; /* in the order of writing */

/* Everything of the new file against what stands here; negative when it cannot be read. */
int export_prove(struct export *x, struct source *source, const struct kind *k);
/* The project's artifacts below x->files. */
int export_files(struct export *x);

#endif
