/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ROLLOUT_ROLLOUT_H
#define QUERN_ROLLOUT_ROLLOUT_H
/* Rollout: what of it is kept in the database. Revisions are written with the change of the
 * endpoint; counts, bandits and canaries about once a second, and are there again after a crash as
 * of the last such write. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/rollout/bandit.h"
#include "quern/rollout/live.h"

struct ctx;
struct policy;

/* ---- revisions, of the context's project ---- */

#define REVISIONS_KEPT 200

struct revision {
    int64_t number;
    const char *spec; /* JSON */
    const char *who, *reason;
    int64_t restored; /* number of the revision that it took up again, or 0 */
    int64_t created_ms;
};
/* Inside a write; by c->who at c->now_ms. Older ones than the newest REVISIONS_KEPT go. */
int revision_record(struct ctx *c, const char *endpoint, int64_t number, const char *spec);
/* Why it was made, and of which it is a copy (0: none), for one that is recorded. */
int revision_explain(struct ctx *c, const char *endpoint, int64_t number, const char *reason,
                     int64_t restored);
/* The newest first, at most `most`. */
int revision_list(struct ctx *c, const char *endpoint, int64_t most, struct revision **out,
                  size_t *n);
/* ERR_NOT_FOUND. */
int revision_get(struct ctx *c, const char *endpoint, int64_t number, struct revision *out);
/* The one that a rollback goes to: the newest before the current one (or before the one that the
 * current one is a copy of) with another spec. ERR_CONFLICT when there is none. */
int revision_before(struct ctx *c, const char *endpoint, struct revision *out);

/* ---- state ---- */

/* What goes to the database in one write; texts and arrays belong to the maker. */
struct rollout_arm_row {
    const char *arm;
    struct arm_sample sample;
};
struct rollout_bandit_row {
    unsigned context;
    const char *arm, *name;
    struct bandit_cell cell;
};
struct rollout_rows {
    int64_t project, born_ms; /* of the endpoint: nothing is written when it is another by now */
    const char *endpoint;
    struct rollout_arm_row *arms;
    size_t narms;
    bool bandit_anew; /* what is stored of a bandit goes first */
    struct rollout_bandit_row *bandit;
    size_t nbandit;
    const struct canary_run *run; /* NULL: unchanged */
};
/* Inside a write. */
int rollout_save(struct ctx *c, const struct rollout_rows *rows);
/* Inside a read: adds what is stored of an endpoint to the live state of its policy, which nobody
 * uses yet. Only once for each live state. */
int rollout_load(struct ctx *c, int64_t project, const char *endpoint, struct policy *p);
/* Inside a write: the endpoint is deleted; its revisions stay. */
int rollout_forget(struct ctx *c, const char *endpoint);

#endif
