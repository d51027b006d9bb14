/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_WEBHOOK_PRIVATE_TOPIC_H
#define QUERN_WEBHOOK_PRIVATE_TOPIC_H
/* Topic: what a webhook can ask for: an entity and an action that fit together. */
#include <stddef.h>

#include "quern/core/shape.h"

struct ctx;

struct topic {
    const char *entity, *action; /* as on the wire of the API: "MODEL_VERSION", "CREATED" */
    const char *event;           /* "model_version.created", also its row in event.def */
    const char *example;         /* data of a test call */
};

extern const char *const topic_entities[]; /* for shapes; MLflow's order */
extern const char *const topic_actions[];
extern const char *const topic_statuses[];

/* Fails with MLflow's wording when the two do not fit. */
int topic_find(struct ctx *c, const char *entity, const char *action, const struct topic **out);
const struct topic *topic_of(const char *event); /* NULL: no such topic */
/* The body of a delivery; data is JSON, workspace NULL for the default project. */
const char *topic_body(struct ctx *c, const struct topic *t, int64_t at_ms, const char *data,
                       const char *workspace);

#endif
