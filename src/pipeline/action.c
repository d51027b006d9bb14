/* SPDX-License-Identifier: Apache-2.0 */
/* The built-in kinds of steps: our own, and those that rooms hand over before the start. */
#include <stddef.h>

#include "definition.h"
#include "quern/base/arena.h"
#include "quern/base/log.h"
#include "quern/base/str.h"
#include "quern/pipeline/pipeline.h"

static const struct step_action *actions[16] = {&register_action}; /* the last stays NULL */

void pipeline_action(const struct step_action *a) {
    for (size_t i = 0; i + 1 < ARRAY_LEN(actions); i++) {
        if (!actions[i] || str_eq(actions[i]->name, a->name)) {
            actions[i] = a;
            return;
        }
    }
    log_error("pipeline.action", "no room for action %s", a->name);
}

const struct step_action *action_find(const char *name) {
    for (size_t i = 0; actions[i]; i++) {
        if (str_eq(actions[i]->name, name)) {
            return actions[i];
        }
    }
    return NULL;
}
