/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_RUN_ARTIFACT_H
#define QUERN_TRACKING_RUN_ARTIFACT_H
/* Run artifact: what lies below the artifact root of a run or a logged model. */
#include "entity.h"

struct ctx;

struct artifact_page {
    const char *root_uri;
    struct list files;
};
/* ERR_NOT_FOUND for an unknown run. */
int run_artifact_uri(struct ctx *c, const char *run_id, const char **root_uri);
/* Fails in MLflow's words ("Invalid path") on anything but a plain relative path. */
int run_artifact_path(struct ctx *c, const char *root_uri, const char *path, const char **out);
int run_artifacts(struct ctx *c, const char *root_uri, const char *path, struct artifact_page *out);
/* Sends one file as an attachment. */
int run_artifact_send(struct ctx *c, const char *root_uri, const char *path);

#endif
