/* SPDX-License-Identifier: Apache-2.0 */
#include "record.h"

#include <jansson.h>
#include <string.h>

#include "feedback_store.h"
#include "quern/base/arena.h"
#include "quern/core/ctx.h"
#include "quern/db/db.h"
#include "room.h"

static void release(void *tree) {
    json_decref(tree);
}

json_t *record_array(struct ctx *c) {
    json_t *list = json_array();
    arena_defer(c->arena, release, list);
    return list;
}

json_t *record_hold(struct ctx *c, json_t *tree) {
    arena_defer(c->arena, release, json_incref(tree));
    return tree;
}

static json_t *entry(const struct feedback *f) {
    json_t *e = json_object();
    if (f->reward.set)
        json_object_set_new(e, "reward", json_real(f->reward.v));
    if (f->label) {
        json_t *label = json_loads(f->label, JSON_DECODE_ANY, NULL);
        json_object_set_new(e, "label", label ? label : json_null());
    }
    json_object_set_new(e, "at_ms", json_integer(f->at_ms));
    return e;
}

int record_join(struct ctx *c, const char *endpoint, json_t *tree) {
    const char *id = json_string_value(json_object_get(tree, "id"));
    struct feedback *rows = NULL;
    size_t n = 0;
    if (!id)
        return 0;
    int rc = db_read_begin(room_db(), c);
    if (rc < 0)
        return rc;
    rc = feedback_store_list(c, endpoint, id, &rows, &n);
    db_read_end(c);
    if (rc < 0 || !n)
        return rc;
    json_t *all = json_object();
    for (size_t i = 0; i < n; i++)
        json_object_set_new(all, rows[i].name, entry(&rows[i]));
    json_object_set_new(tree, "feedback", all);
    return 0;
}

const char *record_id(struct ctx *c, const char *id) {
    char *s = arena_strdup(c->arena, id);
    for (char *p = s; *p; p++)
        if (*p >= 'A' && *p <= 'F')
            *p = (char)(*p + 32);
    return s;
}
