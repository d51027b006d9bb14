/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRANSFER_PLACE_H
#define QUERN_TRANSFER_PLACE_H
/* Place: where a source's artifact URIs lead. A path, file: or mlflow-artifacts: URI below the
 * folder that the operator named leads into it; everything else leads elsewhere. */
#include <stdint.h>

struct ctx;
struct dir;

struct place {
    struct dir *root; /* NULL: no folder was named */
    char *path;       /* its absolute path, without a final '/' */
    int64_t outside;
};

int place_open(struct ctx *c, const char *folder, struct place *out); /* NULL: none */
void place_close(struct place *p);

/* Gives the URI that the thing has here, and in *rel its folder below the root, NULL when its files
 * are not to be had. `own` is the logical path that the thing's files get here. */
const char *place_map(struct ctx *c, struct place *p, const char *uri, const char *own,
                      const char **rel);
/* Below the root, without judging what it belongs to; NULL: elsewhere. */
const char *place_rel(struct ctx *c, const struct place *p, const char *uri);

#endif
