/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ARTIFACT_PRIVATE_CALLER_H
#define QUERN_ARTIFACT_PRIVATE_CALLER_H
/* Caller: what a run's token may change among the artifacts. */

struct ctx;

int caller_check(struct ctx *c, const char *path); /* needs no database */
/* Whether the logged model that the path leads to is the token's run's. Inside a read or write. */
int caller_check_model(struct ctx *c, const char *path);

#endif
