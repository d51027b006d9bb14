/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_REGISTRY_PRIVATE_SOURCE_H
#define QUERN_REGISTRY_PRIVATE_SOURCE_H
/* Source: the URI a version is made from. It is judged and kept, never fetched. */

struct ctx;

/* Refuses NUL, ".." segments in any encoding, and local paths and file: URIs unless they lie, by
 * their text, in the artifact folder of the run or logged model that is given beside. */
int source_check(struct ctx *c, const char *source, const char *run_id, const char *model_id);
/* models:/... to the place of its bytes; NULL for all other sources. *run_id is the logged model's
 * source run, *logged_model its id, where there is one. ERR_NOT_FOUND names what lacks. */
int source_resolve(struct ctx *c, const char *source, const char **storage, const char **run_id,
                   const char **logged_model);

#endif
