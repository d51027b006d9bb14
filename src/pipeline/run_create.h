/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PIPELINE_RUN_CREATE_H
#define QUERN_PIPELINE_RUN_CREATE_H
/* Run create: a checked definition with its files and parameters becomes a run. */
#include "pipeline_run.h"

struct run_request {
    const char *definition;
    struct definition *d;
    struct json_t *params; /* resolved */
    struct source_files files;
    struct git_source git;
    bool use_cache;
    int64_t version; /* of the stored pipeline; 0 */
    char id[33];     /* out */
};

/* Parses, resolves parameters, checks that the files asked for came along. No database. */
int run_request_check(struct ctx *c, struct run_request *r, struct json_t *params);
/* db_op; arg is a struct run_request. */
int run_create_op(struct ctx *c, void *arg);

/* Files as the caller sends them, {path: base64} or [{path, content_base64} | {path, sha256}],
 * stored as pinned blobs. Worker threads; no snapshot held. */
int files_receive(struct ctx *c, struct json_t *sent, struct source_files *out);
void files_unpin(const struct source_files *files);

#endif
