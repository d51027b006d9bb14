/* SPDX-License-Identifier: Apache-2.0 */
/* Object: what a caller may do with one experiment or registered model. */
#include <stddef.h>

#include "access_state.h"
#include "access_store.h"
#include "object.h"
#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"

static const struct {
    const char *name;
    enum object_need level;
} words[] = {{"READ", OBJECT_READ},
             {"USE", OBJECT_USE},
             {"EDIT", OBJECT_EDIT},
             {"MANAGE", OBJECT_MANAGE},
             {"NO_PERMISSIONS", OBJECT_NONE}};

bool permission_read(const char *word, enum object_need *level) {
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_eq(words[i].name, word)) {
            *level = words[i].level;
            return true;
        }
    }
    return false;
}

const char *permission_name(int64_t level) {
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if ((int64_t)words[i].level == level) {
            return words[i].name;
        }
    }
    return "DELETE";
}

/* Without a grant. What is neither of the two kinds is nobody's. */
static enum object_need standing(const struct ctx *c, enum object_kind kind) {
    if (kind != OBJECT_EXPERIMENT && kind != OBJECT_MODEL) {
        return OBJECT_NONE;
    }
    switch (c->who.level) {
    case PERM_SYSTEM:
    case PERM_ADMIN:
        return OBJECT_MANAGE;
    case PERM_WRITE:
        return OBJECT_DELETE;
    case PERM_READ:
        return OBJECT_READ;
    case PERM_UNSET:
    case PERM_PUBLIC:
        break;
    }
    return c->who.member && access_state ? access_state->default_permission : OBJECT_NONE;
}

static bool grants_count(const struct ctx *c) {
    return c->who.grants && c->who.level < PERM_ADMIN;
}

static int effective(struct ctx *c, enum object_kind kind, int64_t id, enum object_need *have) {
    *have = standing(c, kind);
    c->asked = true;
    if (!grants_count(c)) {
        return 0;
    }
    int64_t level = 0;
    bool found = false;
    int rc = db_get_i64(c,
                        "SELECT level FROM permission WHERE principal_id = ? AND project_id = ? "
                        "AND kind = ? AND object = ?",
                        &level, &found, "iiii", c->who.id, c->project, (int64_t)kind, id);
    if (rc == 0 && found) {
        *have = (enum object_need)level;
    }
    return rc;
}

int permission_of(struct ctx *c, const struct principal_row *who, enum object_kind kind, int64_t id,
                  enum object_need *have) {
    struct principal caller = c->who;
    c->who = (struct principal){.id = who->id, .level = PERM_SYSTEM};
    int rc = who->system ? 0 : role_level(c, who->id, &c->who.level);
    if (rc == 0) {
        rc = effective(c, kind, id, have);
    }
    c->who = caller;
    return rc;
}

int access_object_allows(struct ctx *c, enum object_kind kind, int64_t id, enum object_need need,
                         bool *yes) {
    enum object_need have = OBJECT_NONE;
    int rc = effective(c, kind, id, &have);
    *yes = rc == 0 && have >= need;
    return rc;
}

static int refuse(struct ctx *c, enum object_kind kind, enum object_need need) {
    return fail(c, ERR_FORBIDDEN, "Permission denied: '%s' needs %s on this %s.", c->who.name,
                permission_name(need == OBJECT_DELETE ? OBJECT_MANAGE : need),
                kind == OBJECT_EXPERIMENT ? "experiment" : "registered model");
}

int access_object(struct ctx *c, enum object_kind kind, int64_t id, enum object_need need) {
    bool yes = false;
    int rc = access_object_allows(c, kind, id, need, &yes);
    return rc != 0 || yes ? rc : refuse(c, kind, need);
}

int access_object_make(struct ctx *c, enum object_kind kind) {
    c->asked = true;
    if (c->who.level >= PERM_WRITE || (c->who.member && c->who.level < PERM_READ)) {
        return 0;
    }
    return fail(c, ERR_FORBIDDEN, "Permission denied: '%s' may not make %s in this project.",
                c->who.name, kind == OBJECT_EXPERIMENT ? "experiments" : "registered models");
}

int access_object_created(struct ctx *c, enum object_kind kind, int64_t id) {
    if (c->who.id == 0) {
        return 0;
    }
    int rc = permission_put(c, c->who.id, kind, id, OBJECT_MANAGE);
    c->who.grants = true;
    return rc;
}

void access_object_nothing(struct ctx *c) {
    c->asked = true;
}

int access_object_filter(struct ctx *c, enum object_kind kind, const char *column, struct sql *q) {
    c->asked = true;
    bool all = standing(c, kind) >= OBJECT_READ;
    if (!grants_count(c)) {
        if (!all) {
            sql_add(c, q, " AND 0", "");
        }
        return 0;
    }
    sql_add(c, q, " AND ", "");
    sql_add(c, q, column, "");
    sql_add(c, q, all ? " NOT IN" : " IN", "");
    sql_add(c, q,
            " (SELECT object FROM permission WHERE principal_id = ? AND project_id = ?"
            " AND kind = ? AND level ",
            "iii", c->who.id, c->project, (int64_t)kind);
    sql_add(c, q, all ? "< 1)" : ">= 1)", "");
    return 0;
}
