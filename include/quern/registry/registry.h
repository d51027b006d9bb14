/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_REGISTRY_REGISTRY_H
#define QUERN_REGISTRY_REGISTRY_H
/* Registry: registered models, versions, aliases, stages, with MLflow's paths and JSON. */
#include <stdint.h>

#include "quern/http/route.h"

struct model_version_info {
    const char *name;
    int64_t version;
    const char *run_id;        /* "" when none */
    const char *source;        /* as given */
    const char *artifact_path; /* logical path of the model's folder; NULL when elsewhere */
};
/* Inside a write: makes the model when missing, then a version. source is a URI as in MLflow. */
int model_version_create(struct ctx *c, const char *name, const char *source, const char *run_id,
                         const char *model_id, const char *description,
                         struct model_version_info *out);
int model_alias_set(struct ctx *c, const char *name, const char *alias, int64_t version);
/* "models:/name@alias", "models:/name/3", "models:/name/latest"; ERR_NOT_FOUND names what lacks. */
int model_resolve(struct ctx *c, const char *uri, struct model_version_info *out);
int model_version_get(struct ctx *c, const char *name, int64_t version,
                      struct model_version_info *out);

/* Events: "model.version.created", "model.alias.moved" (subject model:NAME). */
extern const struct route_list registry_routes;

#endif
