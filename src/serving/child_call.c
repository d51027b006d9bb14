/* SPDX-License-Identifier: Apache-2.0 */
/* Child call: one HTTP exchange with a child, and what its refusals say. */
#include <string.h>

#include "child_state.h"
#include "json_scan.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

#define WORDS_MAX 300

bool child_says_json(const struct net_answer *a) {
    const char *type = net_answer_header(a, "content-type");
    return type && (str_starts(type, "application/json") || str_starts(type, "Application/json"));
}

/* The first of error, message and detail that is a text. */
static struct bytes told(struct ctx *c, const struct net_answer *a) {
    struct bytes found = {0};
    struct scan s;
    scan_init(&s, c, a->body.data, a->body.len);
    int rc = scan_peek(&s) == '{' ? scan_enter(&s, '{') : -1;
    for (bool first = true; rc == 0 && (rc = scan_more(&s, '}', &first)) > 0;) {
        struct bytes key;
        rc = scan_key(&s, &key);
        if (rc < 0)
            break;
        bool telling =
            bytes_eq(key, "error") || bytes_eq(key, "message") || bytes_eq(key, "detail");
        if (telling && !found.data && scan_peek(&s) == '"')
            rc = scan_string(&s, &found);
        else
            rc = scan_skip(&s);
    }
    err_clear(c);
    return found;
}

const char *child_words(struct ctx *c, const struct net_answer *a) {
    if (!a->body.data || a->body.len == 0)
        return "";
    struct bytes b = told(c, a);
    if (!b.data)
        b = (struct bytes){a->body.data, a->body.len};
    size_t n = b.len < WORDS_MAX ? b.len : WORDS_MAX;
    char *text = arena_strndup(c->arena, b.data, n);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
    while (n > 0 && !utf8_valid(text, n)) /* cut within a character, or none of ours */
        text[--n] = 0;
    return text;
}

static int broken(struct ctx *c, const struct net_answer *a, enum net_fault fault) {
    switch (fault) {
    case NET_TIMEOUT:
        return fail(c, ERR_DEADLINE, "the child server did not answer in time");
    case NET_CANCELLED:
        return fail(c, ERR_NOT_READY, "the daemon is stopping");
    case NET_CONNECT:
        return fail(c, ERR_NOT_READY, "the child server does not listen");
    default:
        return fail(c, ERR_UPSTREAM, "the child server's answer is not usable: %s",
                    a->problem.text);
    }
}

int child_send(struct ctx *c, struct child_call *call, struct net_local *r, int64_t until_ms,
               struct net_answer *a) {
    int64_t left = until_ms - clock_mono_ms();
    if (left <= 0)
        return fail(c, ERR_DEADLINE, "no time is left to ask the child server");
    r->port = call->port;
    r->socket = call->socket;
    r->cap = (uint64_t)call->ch->spec.answer_bytes.v;
    r->total_ms = left;
    r->cancel = &children.cancelled;
    enum net_fault fault = net_local_send(call->client, r, a);
    if (fault != NET_OK)
        return broken(c, a, fault);
    if (a->status >= 200 && a->status < 300)
        return 0;
    const char *words = child_words(c, a);
    int code = a->status == 503 || a->status == 429 ? ERR_BUSY
               : a->status >= 400 && a->status < 500
                   ? ERR_UNPROCESSABLE /* the request does not suit it */
                   : ERR_UPSTREAM;
    return fail(c, code, "the child server answered %d%s%s", a->status, *words ? ": " : "", words);
}
