/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_DOORS_H
#define QUERN_SERVING_DOORS_H
/* Doors: this room's handlers by protocol (their rows are in routes.c), and what predictions
 * share. */
#include "predict.h"
#include "quern/http/route.h"
#include "snapshot.h"

struct call;

extern const struct shape shape_endpoint_name, shape_endpoint, shape_endpoints;
route_fn endpoint_api_put, endpoint_api_get, endpoint_api_list, endpoint_api_delete;

struct endpoint_name_in {
    const char *name;
};
/* Fills an answer of shape_endpoint. */
int endpoint_api_show(struct ctx *c, const char *name, void *out);

extern const struct shape shape_revisions_in, shape_revisions, shape_rollback, shape_promote,
    shape_dry_run, shape_dry_run_out, shape_rollout_out, shape_monitor_value;
route_fn endpoint_api_revisions, endpoint_api_rollback, endpoint_api_promote, endpoint_api_dry_run,
    endpoint_api_rollout, endpoint_api_monitor;

extern const struct shape shape_rehearse, shape_rehearsed;
route_fn endpoint_api_rehearse;

extern const struct shape shape_oip_model, shape_oip_version; /* struct oip_model_in */
struct oip_model_in {
    const char *model, *version; /* version NULL on paths without one */
};
route_fn oip_server, oip_live, oip_ready, oip_models, oip_model_ready, oip_metadata, oip_config,
    oip_stats, oip_index, oip_load, oip_unload, oip_infer;

extern const struct shape shape_tfs_model, shape_tfs_version, shape_tfs_label;
struct tfs_in {
    const char *model, *version, *label; /* NULL on paths without them */
};
route_fn tfs_predict, tfs_classify, tfs_regress, tfs_status, tfs_metadata;
int divert_tfs(struct call *k);

extern const struct shape shape_scoring_query, shape_scoring_path;
struct scoring_in {
    const char *endpoint; /* NULL on paths without one */
};
route_fn scoring_invocations, scoring_ping;
/* The endpoint that a scoring request is for: by path or query, by header, or the project's only
 * one; NULL when that is not clear. */
const char *scoring_endpoint(struct ctx *c, const struct scoring_in *in);

/* The endpoint of that name with a model in memory. ERR_NOT_FOUND; ERR_NOT_READY with the reason.
 */
int door_find(struct ctx *c, const struct snapshot *s, const char *name, const struct entry **out);
/* The same for predictions, which a chain may answer where there is no model. */
int door_find_answering(struct ctx *c, const struct snapshot *s, const char *name,
                        const struct entry **out);
/* Counts one answered prediction that began at `began_ns`. */
void door_count(const struct ctx *c, const struct entry *e, const struct answer *answer, int rc,
                size_t rows, int64_t began_ns);

#endif
