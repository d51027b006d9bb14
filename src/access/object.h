/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ACCESS_OBJECT_H
#define QUERN_ACCESS_OBJECT_H
/* Object: permissions on single experiments and models, as words and as rows. */
#include <stdbool.h>
#include <stdint.h>

#include "quern/access/access.h"

struct ctx;
struct principal_row;

/* MLflow's words: READ USE EDIT MANAGE NO_PERMISSIONS. */
bool permission_read(const char *word, enum object_need *level);
const char *permission_name(int64_t level);

/* Of c->project. */
int permission_put(struct ctx *c, int64_t principal, enum object_kind kind, int64_t object,
                   enum object_need level);
int permission_get(struct ctx *c, int64_t principal, enum object_kind kind, int64_t object,
                   int64_t *level, bool *found);
/* What holds for a principal who is not the caller. */
int permission_of(struct ctx *c, const struct principal_row *who, enum object_kind kind, int64_t id,
                  enum object_need *have);
int project_name_of(struct ctx *c, int64_t id, char **name);
int permission_drop(struct ctx *c, int64_t principal, enum object_kind kind, int64_t object);

int member_add(struct ctx *c, int64_t principal); /* of c->project */
/* Fills member and grants of c->who, and gives the role's text (NULL: none). */
int standing_read(struct ctx *c, int64_t principal, char **role);

#endif
