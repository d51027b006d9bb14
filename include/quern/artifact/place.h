/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ARTIFACT_PLACE_H
#define QUERN_ARTIFACT_PLACE_H
/* Place: where the bytes behind an artifact URI lie, as far as this server reads them.
 *
 * The operator names a root (mlflow.artifact-root) that experiments get their location from:
 * "mlflow-artifacts:/" (names in this server's store), a folder ("file:///dir", "/dir") that
 * clients read and write themselves, or another store's URI that is only handed out. Below the
 * folder this server reads too, and nowhere else on the disk: openat2 beneath it, without symlinks,
 * and only for the experiment that the folder below the root is named after. So no URI that a
 * client gave, a file: one among them, makes the server open a file. */
#include <stdbool.h>
#include <stdint.h>

#include "quern/artifact/artifact.h"

/* -1 and a sentence. Nothing is opened yet: the folder may come later. `data` is the data
 * directory, which the root may not lie in. */
int artifact_root_open(const char *uri, const char *data, struct buf *error);
void artifact_root_close(void);
/* Location of an experiment: "mlflow-artifacts:/7", "file:///dir/7". */
char *artifact_root_location(struct ctx *c, int64_t experiment);

/* A location as MLflow keeps it: where clients share the operator's folder, a relative path counts
 * from the daemon's working directory. Everything else stays as it is. */
const char *artifact_location_resolve(struct ctx *c, const char *location);

struct artifact_place {
    const char *path; /* logical name, or a path relative to the root */
    bool in_folder;   /* below the root's folder instead of in the store */
};
/* The place of a URI that belongs to an experiment. ERR_INVALID when this server reads none there.
 */
int artifact_place(struct ctx *c, int64_t experiment, const char *uri, struct artifact_place *out);
/* What lies at a relative path below; "" or NULL is the place itself. "Invalid path" for anything
 * that climbs, however often it was percent-encoded. */
int artifact_place_below(struct ctx *c, const struct artifact_place *place, const char *path,
                         struct artifact_place *out);
/* Base names, sorted; what is missing, or is a file, lists nothing. */
int artifact_place_list(struct ctx *c, const struct artifact_place *place,
                        struct artifact_entries *out);
/* As artifact_send; the name is what errors call the file. */
int artifact_place_send(struct ctx *c, const struct artifact_place *place, const char *name);

/* A local URI ("file:///a/b", "/a/b") as a plain absolute path: decoded, doubled slashes and "."
 * gone. NULL for other schemes, other hosts, relative paths and those with "..". Text alone. */
char *artifact_local_path(struct ctx *c, const char *uri);

#endif
