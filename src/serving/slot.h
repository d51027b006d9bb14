/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_SLOT_H
#define QUERN_SERVING_SLOT_H
/* Slot: what the loader knows of endpoints and their arms beyond the rows, and the snapshot that
 * is made of it. The loader's thread alone. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arm;
struct arm_live;
struct bound;
struct fit;
struct gate;
struct live;
struct model;
struct plan;

/* An arm. */
struct slot {
    struct bound *of;
    char *name;
    int64_t number, place;
    bool pinned;
    bool idle;             /* its model is not in memory, but can be had */
    bool wanted;           /* idle, and asked for */
    bool parked;           /* taken out of memory on request, until it is asked back */
    bool busy;             /* a load is under way */
    bool waits;            /* a graph that was not made because an endpoint was not ready */
    bool listed;           /* mark while rows are read */
    bool known;            /* its row was read before */
    struct model *model;   /* owned through the snapshots' references, and one of ours */
    struct arm_live *live; /* likewise */
    struct fit *fit;       /* of the plan and the model; made when they are published */
    char *state, *reason;
    int64_t tried_revision, tried_version; /* what was refused; not tried again */
    int64_t again_revision;
    int64_t again_ms;       /* monotonic: not tried before, when the reason was a passing one */
    int64_t stored_used_ms; /* what its row says of live->used_ms */
};

/* An endpoint. */
struct bound {
    int64_t project;
    char *name;
    int64_t born_ms;   /* the row's: a name deleted and made anew is another */
    struct plan *plan; /* one reference is ours; NULL until its spec was read */
    struct live *live; /* what its rollout has counted and learnt; likewise */
    struct gate *gate; /* likewise; its limits follow the plan */
    struct gate *shadow_gate;
    struct slot **slots;
    size_t n, cap;
    bool listed;
};

struct bound *bound_find(int64_t project, const char *name); /* NULL when there is none */
struct bound *bound_of(int64_t project, const char *name);   /* made when there is none */
/* Counts a reference of its own; answers that were kept and the gate's limits follow. */
void bound_plan(struct bound *b, struct plan *p);
struct slot *slot_of(struct bound *b, const char *arm); /* made when there is none */
void slot_say(struct slot *s, const char *state, const char *reason);
void slot_model(struct slot *s, struct model *m); /* in place of what it has; NULL: none */
void slot_forget(struct slot *s);                 /* as it was when it was made */

/* Walks every endpoint; *at begins at 0. NULL at the end. Nothing may be dropped meanwhile. */
struct bound *bound_next(size_t *at);
/* Drops what is not listed; true when there was such. */
bool slots_drop_unlisted(void);
void slots_drop_all(void);

/* Threads of the pool that calls which may block run on, for the gates' limits. */
void slots_threads(unsigned n);
/* Makes a snapshot of it all the current one. */
void slots_publish(bool settled);
/* Takes models that were not used for longest out of memory until the rest fits; true when one
 * went. *over, when not NULL: what had to stay does not fit. Pinned ones, busy ones, those used
 * within the last second and `keep` (NULL: none) stay. */
bool slots_evict(int64_t budget, int64_t now_ms, const struct slot *keep, bool *over);

#endif
