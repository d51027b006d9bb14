/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_SNAPSHOT_H
#define QUERN_SERVING_SNAPSHOT_H
/* Snapshot: the set of endpoints as predictions see it. Immutable; replaced as a whole. Readers
 * take no lock: a thread marks itself as inside with the current epoch, and a snapshot that was
 * replaced is freed once every thread that might hold it has left. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arm_cells.h"

struct arena;
struct arm_live;
struct fit;
struct gate;
struct model;
struct plan;

/* One arm of an endpoint. */
struct entry_arm {
    int64_t number;
    const char *name;
    struct model *model; /* NULL: nothing to predict with; state and reason say why */
    bool idle;           /* a model that is not in memory; asking for it loads it */
    bool parked;         /* taken out of memory on request */
    const char *state;
    const char *reason; /* "" when all is well */
    struct arm_live *live;
    struct fit *fit;         /* NULL without a model or plan */
    const char *served_by;   /* "main; model=iris; version=3; reason=": the header's beginning */
    const char *served_only; /* the same with "only" */
    struct arm_cells *cells; /* its metrics in this snapshot */
};

struct entry {
    int64_t project;
    const char *name;
    struct plan *plan;
    struct gate *gate; /* where calls wait that may block */
    struct gate *shadow_gate;
    bool blocks;            /* a run of some arm may, or the spec has limits */
    struct entry_arm *arms; /* in the spec's order; at least one */
    size_t narms;
    struct model *model; /* of the first arm that has one; NULL: none has */
    bool idle;           /* an arm is idle */
    const char *state;   /* of all arms together */
    const char *reason;
};

struct snapshot {
    struct arena *arena;
    struct entry *entries; /* by project, then name */
    size_t n;
    uint32_t *slots;        /* index + 1, by hash */
    size_t nslots;          /* power of two */
    bool settled;           /* nothing waits for its first load */
    struct snapshot *older; /* replaced before it and not freed yet */
    uint64_t gone;          /* epoch of readers that cannot hold it any more */
};

/* Not nested. NULL before the first publish: still to be left. */
const struct snapshot *snapshot_enter(void);
void snapshot_leave(void);
/* Between the two: the current one, which may be newer than what snapshot_enter gave. */
const struct snapshot *snapshot_held(void);
const struct entry *snapshot_find(const struct snapshot *s, int64_t project, const char *name);

/* Building, by one thread at a time. Copies the entries, their arms and texts, sets model and idle,
 * writes the arms' headers, and takes references on models, plans and what lives with an arm. */
struct snapshot *snapshot_new(const struct entry *entries, size_t n, bool settled);
/* Makes it current and frees those before it whose readers have left. NULL at the end: waits for
 * all readers. */
void snapshot_publish(struct snapshot *next);
/* Frees what its readers have left by now; true while something is still held. A slow prediction
 * so holds up the memory of what it uses, and nothing else. */
bool snapshot_reclaim(void);

#endif
