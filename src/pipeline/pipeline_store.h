/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PIPELINE_PIPELINE_STORE_H
#define QUERN_PIPELINE_PIPELINE_STORE_H
/* Stored pipelines: named definitions with their files, in versions that never change. */
#include "pipeline_run.h"

struct pipeline_row {
    const char *name, *description, *definition, *digest, *created_by;
    int64_t version, created_ms;
};

/* Inside a write. A definition and files equal to the newest version's make no new one. */
int pipeline_put(struct ctx *c, const struct pipeline_row *p, const struct source_files *files,
                 int64_t *version, bool *made);
/* version 0: the newest. ERR_NOT_FOUND. */
int pipeline_load(struct ctx *c, const char *name, int64_t version, struct pipeline_row *out);
int pipeline_files(struct ctx *c, const char *name, int64_t version, struct source_files *out);
int pipeline_list(struct ctx *c, int64_t limit, int64_t offset, struct pipeline_row **out,
                  size_t *n);
int pipeline_versions(struct ctx *c, const char *name, struct pipeline_row **out, size_t *n);
int pipeline_delete(struct ctx *c, const char *name);

#endif
