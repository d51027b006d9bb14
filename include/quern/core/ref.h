/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_CORE_REF_H
#define QUERN_CORE_REF_H
/* Ref: names any thing in the house as "kind:id". The kinds are rows; ids keep the form their room
 * gives them (run: 32 hex digits; model_version: "name/3"; artifact: "sha256-hex"; git: commit). */
#include <stdbool.h>
#include <stddef.h>

struct ctx;

extern const char *const ref_kinds[]; /* NULL-terminated: project experiment run logged_model model
                                         model_version endpoint artifact dataset pipeline
                                         pipeline_run step git principal token */

bool ref_kind_known(const char *kind);
char *ref_make(struct ctx *c, const char *kind, const char *id);
/* Splits at the first ':'; fails with ERR_INVALID on an unknown kind or an empty id. */
int ref_parse(struct ctx *c, const char *ref, const char **kind, const char **id);

#endif
