/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/core/ctx.h"

#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/id.h"
#include "quern/base/str.h"

void ctx_begin(struct ctx *c) {
    *c = (struct ctx){0};
    c->arena = arena_new();
    c->who = (struct principal){.name = "daemon", .kind = "daemon", .level = PERM_SYSTEM};
    c->project = 1;
    c->now_ms = clock_wall_ms();
    char id[33];
    id_hex32(id);
    c->request_id = arena_strdup(c->arena, id);
    c->remote = "";
    c->method = c->path = c->query = c->content_type = c->body = "";
    c->reply.fd = -1;
}

void ctx_end(struct ctx *c) {
    arena_free(c->arena);
    *c = (struct ctx){.reply.fd = -1};
}

int ctx_asked(struct ctx *c) {
    if (!c->must_ask || c->asked)
        return 0;
    return fail(c, ERR_INTERNAL, "The permission on the object was not checked.");
}

const char *ctx_header(const struct ctx *c, const char *lower_name) {
    for (size_t i = 0; i < c->header_count; i++)
        if (str_eq(c->headers[i].name, lower_name))
            return c->headers[i].value;
    return NULL;
}
