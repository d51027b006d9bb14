/* SPDX-License-Identifier: Apache-2.0 */
#include "param.h"

#include <string.h>

#include "key.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "run.h"

int param_check(struct ctx *c, const char *list, size_t index, const struct pair *p) {
    int rc = list ? 0 : text_limit(c, "Param key", p->key, KEY_MAX);
    if (rc)
        return rc;
    return key_plain(p->key)
               ? 0
               : key_check(c, list ? member_path(c, list, index, "key") : "key", p->key);
}

/* 1 written or the same, 0 another value is there (*old). */
static int log_one(struct ctx *c, const struct run_ref *r, const char *key, const char *value,
                   char **old) {
    int64_t id = 0;
    int rc = run_key_ensure(c, r->experiment, key, &id);
    if (rc)
        return rc;
    *old = NULL;
    rc = db_get_text(c, "SELECT value FROM run_param WHERE run_id = ? AND key_id = ?", old, "ii",
                     r->row, id);
    if (rc < 0)
        return rc;
    if (*old)
        return strcmp(*old, value) == 0;
    rc = db_exec(c, "INSERT INTO run_param (run_id, key_id, value) VALUES (?, ?, ?)", "iis", r->row,
                 id, value);
    return rc < 0 ? rc : 1;
}

int param_log(struct ctx *c, const struct run_ref *r, const struct pair *p, size_t n, bool batch) {
    const char *changed = "";
    for (size_t i = 0; i < n; i++) {
        char *old = NULL;
        const char *value = text_cut(c, p[i].value ? p[i].value : "", PARAM_VALUE_MAX);
        int rc = log_one(c, r, p[i].key, value, &old);
        if (rc < 0)
            return rc;
        if (rc > 0)
            continue;
        if (!batch)
            return fail(c, ERR_INVALID,
                        "Changing param values is not allowed. Param with key='%s' was already "
                        "logged with value='%s' for run ID='%s'. Attempted logging new value '%s'.",
                        p[i].key, old, r->uuid, value);
        changed = arena_printf(c->arena, "%s%s{'key': '%s', 'old_value': '%s', 'new_value': '%s'}",
                               changed, *changed ? ", " : "", p[i].key, old, value);
    }
    if (*changed)
        return fail(c, ERR_INVALID,
                    "Changing param values is not allowed. Params were already logged='[%s]' for "
                    "run ID='%s'.",
                    changed, r->uuid);
    return 0;
}
