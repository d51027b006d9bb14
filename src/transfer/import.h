/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRANSFER_IMPORT_H
#define QUERN_TRANSFER_IMPORT_H
/* Import: what taking a thing of any kind needs. */
#include "digest.h"
#include "place.h"
#include "quern/core/ctx.h"
#include "source.h"

struct import {
    const struct transfer_options *o;
    struct transfer_report *report;
    struct source *source;
    struct place place;
    struct arena *arena;
    int64_t *experiments; /* those that stand here as the source's; ascending */
    size_t nexperiments, cap;
};

/* Contexts of one thing: what it is read with, and what it is put with. */
struct pair_ctx {
    struct ctx from, to;
};
void import_begin(const struct import *m, struct pair_ctx *p);
void import_end(struct pair_ctx *p);

/* A fault of that kind: counted, told to whoever listens, and cleared. */
void import_say(const struct import *m, enum transfer_kind kind, const char *what, struct ctx *c,
                const char *why);
const char *import_why(const struct ctx *c);

/* Whether there is a thing to take: 1, or 0 at the end, 2 when there was one that cannot be had and
 * that has been told, negative when the source gives no more. `later`: its id lies behind the last
 * one, without which there would be no end. */
int import_look(struct import *m, enum transfer_kind kind, struct ctx *from, int rc, const char *id,
                bool later);
/* At the end of a kind: tells when the source has more of it than any order led to. */
void import_check_rows(struct import *m, enum transfer_kind kind);

/* Experiments come first, ascending. What belongs to one that was refused must not get into the one
 * that has its number here: true after telling so. */
void import_remember(struct import *m, int64_t experiment);
bool import_homeless(struct import *m, enum transfer_kind kind, struct ctx *c, const char *what,
                     int64_t experiment);

/* How each kind is looked at, put and compared; `thing` is the source's, mapped. */
struct handling {
    enum transfer_kind kind;
    int (*get)(struct ctx *c, const void *thing, void *here); /* 1 or 0 */
    int (*put)(struct ctx *c, const void *thing);
    struct digest (*digest)(const void *thing);
    size_t size;
};
enum settled {
    REFUSED, /* it is not here */
    LOOKED,  /* it was not put, since nothing is */
    DIFFERS, /* it is here, but not in the same form */
    EQUAL,
};
enum settled import_settle(struct import *m, struct ctx *c, const struct handling *h,
                           const void *thing, const char *what);

/* A kind whose things come in the order of their ids, which are texts and, like names of registered
 * models, the first member of each of these structs. */
struct walk {
    const struct handling *h;
    int (*next)(const struct source_ops *ops, struct source *s, struct ctx *c, const char *after,
                void *thing);
    void (*take)(struct import *m, struct pair_ctx *p, void *thing);
};
int import_walk(struct import *m, const struct walk *w);
const char *import_word(enum transfer_kind kind); /* "run" */

/* Of two lists in this order the first thing of `here` that `in` has not; NULL: there is none. What
 * replaces a list here asks first, so that nothing goes whose end nobody asked for. */
const void *import_lost(const void *here, size_t nhere, const void *in, size_t nin, size_t size,
                        int (*order)(const void *a, const void *b));
/* The order of things that begin with the number of their version, and the fault of having lost
 * one. */
int import_by_version(const void *a, const void *b);
int import_version_lost(struct ctx *c, const void *version);

/* The thing's files: `rel` below the operator's folder, or over the source's API; NULL: none. */
void import_files(const struct import *m, struct ctx *c, const char *rel, const char *logical);
/* Evaluation datasets, scorers and issues, in the end: they name experiments and runs. */
int import_genai(struct import *m);
/* All points of a run that was settled. */
void import_points(struct import *m, const char *run_id, enum settled run);

#endif
