/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PIPELINE_CACHE_KEY_H
#define QUERN_PIPELINE_CACHE_KEY_H
/* Cache key: SHA-256 over the canonical JSON of all that decides what a step does. */
#include "binding.h"

struct cache_facts {
    const struct step *step;
    struct json_t *root;   /* scope with fixed stand-ins for places and ids of this attempt */
    struct json_t *params; /* of the run */
    const char *item;      /* JSON or NULL */
    const struct pairs *pipeline_env;
    const struct bound_input *inputs; /* step->ninputs */
    const struct source_files *files;
};

int cache_key(struct ctx *c, const struct cache_facts *f, char key[65]);

#endif
