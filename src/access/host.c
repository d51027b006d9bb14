/* SPDX-License-Identifier: Apache-2.0 */
/* A page in a browser can send requests to a port on this machine, and a name that its owner
 * controls can be made to point here. What it cannot do is choose the Host of its own name, or hide
 * Origin and Sec-Fetch-Site. */
#include <string.h>
#include <strings.h>

#include "access_state.h"
#include "quern/base/arena.h"
#include "quern/base/log.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"

/* The name without its port, lower case, in the arena. */
static char *host_name(struct ctx *c, const char *host) {
    size_t n = strlen(host);
    if (host[0] == '[') {
        const char *end = strchr(host, ']');
        n = end ? (size_t)(end - host) + 1 : n;
    } else {
        n = strcspn(host, ":");
    }
    char *name = arena_strndup(c->arena, host, n);
    for (char *p = name; *p; p++) {
        if (*p >= 'A' && *p <= 'Z') {
            *p = (char)(*p + 32);
        }
    }
    return name;
}

bool host_is_loopback(const char *host) {
    size_t n = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    if (n == 9 && strncasecmp(host, "localhost", 9) == 0) {
        return true;
    }
    if (n == 5 && strncmp(host, "[::1]", 5) == 0) {
        return host[5] == '\0' || host[5] == ':';
    }
    return n >= 8 && strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= n;
}

static bool listed(const char *list, const char *item) {
    size_t n = strlen(item);
    for (const char *p = list; *p;) {
        p += strspn(p, ", ");
        size_t len = strcspn(p, ", ");
        if (len == n && strncasecmp(p, item, n) == 0) {
            return true;
        }
        p += len;
    }
    return false;
}

static bool host_allowed(struct ctx *c, const struct access *a, const char *host) {
    if (host_is_loopback(host)) {
        return true;
    }
    if (listed(a->allowed_hosts, host_name(c, host))) {
        return true;
    }
    /* Elsewhere every call needs a credential that no page can borrow, so any name will do unless
     * the operator named some. */
    return !a->options.loopback && !a->allowed_hosts[0];
}

static bool safe_method(const char *method) {
    return str_eq(method, "GET") || str_eq(method, "HEAD") || str_eq(method, "OPTIONS");
}

int host_check(struct ctx *c, const struct access *a) {
    const char *host = ctx_header(c, "host");
    if (!host || !host_allowed(c, a, host)) {
        return fail(c, ERR_FORBIDDEN,
                    "Invalid Host header - possible DNS rebinding attack detected. "
                    "Use localhost, or add the name to --allowed-hosts.");
    }
    const char *origin = ctx_header(c, "origin");
    bool own_origin = true;
    if (origin && !listed(a->allowed_origins, origin)) {
        const char *after = strstr(origin, "://");
        own_origin = after && str_ieq(after + 3, host);
    }
    if (!own_origin && !safe_method(c->method)) {
        return fail(c, ERR_FORBIDDEN, "Cross-origin request blocked");
    }
    const char *site = ctx_header(c, "sec-fetch-site");
    if (site && !str_eq(site, "same-origin") && !str_eq(site, "none") &&
        !(origin && listed(a->allowed_origins, origin))) {
        const char *mode = ctx_header(c, "sec-fetch-mode");
        if (!(str_eq(c->method, "GET") && str_eq(mode, "navigate"))) {
            return fail(c, ERR_FORBIDDEN, "Cross-origin request blocked");
        }
    }
    return 0;
}
