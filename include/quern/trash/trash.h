/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRASH_TRASH_H
#define QUERN_TRASH_TRASH_H
/* Trash: what was deleted can be restored for some time, then it is erased; and how much a project
 * may hold.
 *
 * Experiments, runs and logged models are marked by their own rooms and listed here. Registered
 * models, versions and artifact names are gone at once for everybody; what they were is kept in the
 * transaction that deleted them, and their blobs by blob_ref of "trash:N". */
#include <stdint.h>

#include "quern/http/route.h"

struct ctx;
struct db;

/* Before the first request: from then on deletions are kept, for `keep_ms`. */
void trash_open(struct db *db, int64_t keep_ms);

/* Housekeeping, inside a write: erases things whose time is over, and what erased ones have left,
 * about `most` rows. A number above 0 while there is more to do, 0 when not, or negative. */
int trash_expire(struct ctx *c, int64_t most);

/* How many runs, artifact bytes, registered models and traces a project may hold is enforced by
 * triggers of 0014, in the transaction that would exceed it: ERR_QUOTA. */
extern const struct route_list trash_routes;
extern const struct route_list quota_routes;

#endif
