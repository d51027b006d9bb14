/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/str.h"

/* A call's beginning: its memory, its identity, its head. */

static uint64_t mix(uint64_t x) {
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* Unique, not secret: a random start per thread and splitmix64 from there. */
static const char *request_id_new(struct call *k) {
    struct net_thread *t = net_thread(k->s);
    t->id[0] += 0x9e3779b97f4a7c15u;
    uint64_t raw[2] = {mix(t->id[0]), t->id[1]};
    char *text = arena_alloc(k->c.arena, 33);
    hex_encode(raw, sizeof(raw), text);
    return text;
}

static bool request_id_sane(const char *s) {
    size_t n = strlen(s);
    if (n == 0 || n > 64)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= '0' && s[i] <= '9') || ((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'z') ||
              s[i] == '-' || s[i] == '_' || s[i] == '.'))
            return false;
    return true;
}

void *call_target(void *server, const char *target, struct MHD_Connection *conn) {
    struct call *k = mem_alloc(sizeof(*k));
    struct server *s = server;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    k->s = s;
    k->conn = conn;
    k->w = info ? info->socket_context : NULL;
    k->refs = 1;
    k->start_ns = clock_mono_ns();
    /* A request that the library gave up by itself (no room for its fields) was not completed. */
    if (k->w && k->w->call)
        call_abandoned(s, k->w);
    if (k->w)
        k->w->call = k;
    k->refused = k->w ? wire_request(k->w) : 500;
    struct ctx *c = &k->c;
    c->arena = arena_new();
    c->who = (struct principal){.name = "", .kind = ""};
    c->project = 1;
    c->now_ms = clock_wall_ms();
    c->remote = k->w ? k->w->remote : "";
    c->method = c->content_type = c->body = "";
    c->reply.fd = -1;
    size_t n = strcspn(target, "?");
    /* The library would cut the query behind the '?' into pairs, 72 bytes of its memory for each,
     * and fail when that is used up: it is shown an empty one. The text is its own buffer. */
    c->path = arena_strndup(c->arena, target, n);
    c->query = "";
    if (target[n] && target[n + 1]) {
        c->query = arena_strdup(c->arena, target + n + 1);
        ((char *)target)[n + 1] = '\0';
    }
    atomic_fetch_add_explicit(&s->calls, 1, memory_order_relaxed);
    return k;
}

static enum MHD_Result one_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                  const char *value) {
    (void)kind;
    struct ctx *c = arg;
    /* Names were folded to lower case on the wire; these strings live as long as the request. */
    struct header *h = (struct header *)&c->headers[c->header_count++];
    h->name = *name == *strict_cookie && strcmp(name, strict_cookie) == 0 ? "cookie" : name;
    h->value = value ? value : "";
    return MHD_YES;
}

void call_read_head(struct call *k) {
    struct ctx *c = &k->c;
    int n = MHD_get_connection_values(k->conn, MHD_HEADER_KIND, NULL, NULL);
    c->headers = ARENA_ARRAY(c->arena, struct header, (size_t)(n > 0 ? n : 1));
    MHD_get_connection_values(k->conn, MHD_HEADER_KIND, one_header, c);
    for (size_t i = 0; i < c->header_count; i++) {
        const struct header *h = &c->headers[i];
        switch (strlen(h->name)) {
        case 6:
            k->expects |= strcmp(h->name, "expect") == 0;
            break;
        case 12:
            if (strcmp(h->name, "content-type") == 0)
                c->content_type = h->value;
            else if (strcmp(h->name, "x-request-id") == 0 && request_id_sane(h->value))
                c->request_id = h->value;
            break;
        case 14:
            if (strcmp(h->name, "content-length") == 0)
                str_to_u64(h->value, &k->body_length);
            break;
        case 17:
            k->chunked |= strcmp(h->name, "transfer-encoding") == 0;
            break;
        default:
            break;
        }
    }
    if (!c->request_id)
        c->request_id = request_id_new(k);
}
