/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_FOLDER_H
#define QUERN_SERVING_FOLDER_H
/* Folder: a registered model's files, as the artifact store names them, and a private copy of those
 * that a load needs. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quern/artifact/artifact.h"

struct ctx;
struct dir;
struct model_version_info;

struct folder {
    const char *base; /* logical path all names are below, "" or with '/' at the end */
    struct artifact_entries files;
    const struct artifact_entry *onnx;
    const struct artifact_entry *mlmodel; /* NULL when there is none */
};

/* Inside a read: lists the files and picks the model: the one called model.onnx, else the only one
 * ending in .onnx. ERR_UNPROCESSABLE says what was found instead. */
int folder_find(struct ctx *c, const struct model_version_info *info, struct folder *out);

/* Copies the model and the files that it keeps tensors in to `name` below dir (made here), checking
 * digests and names; *path is the copy of the model, *alone whether it has no other file with
 * tensors. At most `cap` bytes in all. */
int folder_copy(struct ctx *c, const struct folder *f, struct dir *dir, const char *name,
                int64_t cap, const char **path, bool *alone);

/* Inside a read: the files alone, whatever they are. */
int folder_list(struct ctx *c, const struct model_version_info *info, struct folder *out);
/* Copies all of them, likewise; *bytes is what they take. */
int folder_copy_all(struct ctx *c, const struct folder *f, struct dir *dir, const char *name,
                    int64_t cap, int64_t *bytes);
/* Over the names and digests of all files. */
void folder_digest(const struct folder *f, char sha256[65]);

#endif
