/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_RUN_ARTIFACT_H
#define QUERN_TRACKING_RUN_ARTIFACT_H
/* Run artifact: what lies below the artifact root of a run or a logged model. */
#include "entity.h"

struct artifact_place;
struct ctx;

struct artifact_page {
    const char *root_uri;
    struct list files;
};
/* Where a URI is that a run or a logged model of that experiment has. */
struct artifact_root {
    int64_t experiment;
    const char *uri;
};
/* ERR_NOT_FOUND for an unknown run. */
int run_artifact_uri(struct ctx *c, const char *run_id, struct artifact_root *out);
/* "Invalid path", in MLflow's words, on anything but a plain relative path. */
int run_artifacts(struct ctx *c, const struct artifact_root *root, const char *path,
                  struct artifact_page *out);
/* Sends one file as an attachment. */
int run_artifact_send(struct ctx *c, const struct artifact_root *root, const char *path);

#endif
