/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ARTIFACT_PRIVATE_ARTIFACT_STORE_H
#define QUERN_ARTIFACT_PRIVATE_ARTIFACT_STORE_H
/* Artifact store: the statements. Paths were checked before; c->project is the filter. */
#include <stdbool.h>
#include <stdint.h>

struct ctx;
struct artifact_entry;
struct artifact_entries;

int artifact_store_put(struct ctx *c, const char *path, const char *sha256, int64_t size);
int artifact_store_get(struct ctx *c, const char *path, struct artifact_entry *out, bool *found);
int artifact_store_has_below(struct ctx *c, const char *path, bool *found);
int artifact_store_delete(struct ctx *c, const char *path);
int artifact_store_erase(struct ctx *c, const char *path, int64_t most); /* 1: maybe more */
/* dir "" is the root. Entries in byte order of the full path. */
int artifact_store_level(struct ctx *c, const char *dir, struct artifact_entries *out);
int artifact_store_tree(struct ctx *c, const char *dir, struct artifact_entries *out);

int blob_store_referenced(struct ctx *c, const char *sha256, bool *found);
int blob_store_ref_add(struct ctx *c, const char *owner, const char *sha256);
int blob_store_ref_drop(struct ctx *c, const char *owner);
/* Calls for every digest that is named or referenced, once each. */
int blob_store_each_reference(struct ctx *c,
                              int (*each)(struct ctx *c, const char *sha256, void *arg), void *arg);

#endif
