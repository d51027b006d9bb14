/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRASH_PRIVATE_TRASH_H
#define QUERN_TRASH_PRIVATE_TRASH_H
/* Trash: rows and rules. */
#include <stdbool.h>
#include <stdint.h>

#include "quern/core/shape.h"

struct copy_registered;
struct ctx;
struct db;

enum trash_kind {
    TRASH_EXPERIMENT,
    TRASH_RUN,
    TRASH_LOGGED_MODEL,
    TRASH_REGISTERED_MODEL,
    TRASH_MODEL_VERSION,
    TRASH_ARTIFACT,
};
#define TRASH_KINDS 6
extern const char *const trash_kinds[TRASH_KINDS + 1]; /* NULL at the end */

struct trash_row {
    int64_t row;
    enum trash_kind kind;
    int64_t object, experiment; /* experiment -1: none */
    const char *id;             /* as its routes call it */
    const char *name;
    int64_t deleted_ms, since_ms;
    const char *by, *content; /* NULL: unknown, none */
    int64_t files, bytes;     /* artifacts */
};
struct trash_rows {
    struct trash_row *items;
    size_t n;
    int64_t next; /* before which row the next page begins; 0: this is the last */
};

/* Rows in one write: some milliseconds, for rows with two indexes each. */
#define TRASH_STEP 150

extern int64_t trash_keep_ms;
extern struct db *trash_db;

/* Newest first; kind NULL for all. Runs and logged models of a deleted experiment come with it and
 * are listed only when asked for by kind. What the caller may not read is left out. */
int trash_list(struct ctx *c, const char *kind, int64_t before, int64_t most,
               struct trash_rows *out);
/* By kind and id; of things that are gone the id is a number of ours, or the name, which finds the
 * newest of it. ERR_NOT_FOUND. */
int trash_find(struct ctx *c, const char *kind, const char *id, struct trash_row *out);

/* The caller deleted it himself. */
int trash_is_own(struct ctx *c, const struct trash_row *t, bool *own);

/* Puts it back where it was. ERR_CONFLICT says what stands in the way. */
int trash_restore(struct ctx *c, const struct trash_row *t);

/* One step of erasing it, about `most` rows: 1 when more is left, 0 when it is gone. ERR_CONFLICT
 * when something still needs it. */
int trash_purge(struct ctx *c, const struct trash_row *t, int64_t most);
int trash_next_due(struct ctx *c, int64_t before_ms, struct trash_row *out); /* 1 or 0 */
int trash_put_off(struct ctx *c, const struct trash_row *t, int64_t since_ms);

/* Hooks of the rooms to the left, see quern/tracking/purge.h and its like. */
int trash_keep_mark(struct ctx *c, const char *kind, int64_t row);
int trash_keep_registered(struct ctx *c, const char *name, int64_t version);
int trash_keep_artifact(struct ctx *c, const char *path);

/* A registered model as JSON and back. */
const char *snapshot_text(struct ctx *c, const struct copy_registered *in);
int snapshot_read(struct ctx *c, const char *text, struct copy_registered *out);

#endif
