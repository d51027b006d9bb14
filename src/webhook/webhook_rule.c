/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook_rule.h"

#include <stdatomic.h>
#include <string.h>

#include "delivery_store.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/id.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/net/net.h"
#include "secret.h"

#define NAME_MAX_BYTES 63
#define URL_MAX_BYTES 2048
#define TURN_MS 500

static bool alnum(char b) {
    return (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9');
}

int webhook_name_check(struct ctx *c, const char *name) {
    size_t n = strlen(name);
    bool good = n >= 1 && n <= NAME_MAX_BYTES && alnum(name[0]) && alnum(name[n - 1]);
    for (size_t i = 0; good && i < n; i++)
        good = alnum(name[i]) || strchr("._-", name[i]);
    if (good)
        return 0;
    return fail_field(c, ERR_INVALID, "name",
                      "Webhook name '%s' is invalid. It must start and end with a letter or digit, "
                      "be less than 63 characters long, and contain only letters, digits, dots "
                      "(.), underscores (_), and hyphens (-).",
                      name);
}

/* Whoever owns a name decides how long its look-up takes, and workers are everybody's: one of them
 * may wait for a name server, others for their turn, but not for long. */
static atomic_bool looking;

static bool look_begin(void) {
    for (int64_t end = clock_mono_ms() + TURN_MS; atomic_exchange(&looking, true);) {
        if (clock_mono_ms() >= end)
            return false;
        clock_sleep_ms(5);
    }
    return true;
}

static bool blank(const char *s) {
    return s[strspn(s, " \t\r\n\v\f")] == '\0';
}

int webhook_url_check(struct ctx *c, const char *url) {
    struct net_problem p;
    if (blank(url))
        return fail_field(c, ERR_INVALID, "url",
                          "Webhook URL cannot be empty or just whitespace: '%s'", url);
    if (strlen(url) > URL_MAX_BYTES)
        return fail_field(c, ERR_INVALID, "url",
                          "'url' exceeds the maximum length of %d characters", URL_MAX_BYTES);
    if (!look_begin())
        return fail(c, ERR_RATE, "The URL of another webhook is being looked up, try again.");
    enum net_fault fault = net_check(url, &p);
    atomic_store(&looking, false);
    switch (fault) {
    case NET_OK:
        return 0;
    case NET_SCHEME:
        return fail_field(c, ERR_INVALID, "url",
                          "Invalid webhook URL scheme: '%s'. Allowed schemes are: https%s.",
                          p.scheme, net_http_allowed() ? ", http" : "");
    case NET_HOST:
        return fail_field(c, ERR_INVALID, "url", "Webhook URL must include a hostname: '%s'", url);
    case NET_RESOLVE:
        return fail_field(c, ERR_INVALID, "url", "Cannot resolve Webhook URL hostname '%s': %s",
                          p.host, p.text);
    case NET_BLOCKED:
        return fail_field(c, ERR_INVALID, "url",
                          "Webhook URL must not resolve to a non-public IP address. '%s' resolves "
                          "to %s.",
                          p.host, p.address);
    case NET_CANCELLED:
        return fail(c, ERR_NOT_READY, "The daemon is stopping.");
    default:
        return fail_field(c, ERR_INVALID, "url", "Invalid webhook URL '%s': %s", url, p.text);
    }
}

/* Once each, in the order given. */
static struct strs distinct(struct ctx *c, const struct strs *events) {
    const char **items = ARENA_ARRAY(c->arena, const char *, events->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < events->n; i++) {
        size_t k = 0;
        while (k < n && !str_eq(items[k], events->items[i]))
            k++;
        if (k == n)
            items[n++] = events->items[i];
    }
    return (struct strs){items, n};
}

static int take_secret(struct ctx *c, const char *secret, struct webhook_row *out) {
    out->secret = NULL;
    out->secret_n = 0;
    return *secret ? secret_seal(c, out->id, secret, &out->secret, &out->secret_n) : 0;
}

int webhook_create(struct ctx *c, const struct webhook_change *in, struct webhook_row *out) {
    char *id = arena_alloc(c->arena, 37);
    id_uuid(id);
    *out = (struct webhook_row){.id = id,
                                .name = in->name,
                                .description = in->description ? in->description : "",
                                .url = in->url,
                                .status = in->status ? in->status : "ACTIVE",
                                .events = distinct(c, &in->events),
                                .created_ms = c->now_ms,
                                .updated_ms = c->now_ms};
    int rc = in->secret ? take_secret(c, in->secret, out) : 0;
    return rc ? rc : webhook_store_insert(c, out);
}

int webhook_find(struct ctx *c, const char *id, struct webhook_row *out) {
    bool found = false;
    int rc = webhook_store_get(c, id, out, &found);
    if (rc == 0 && !found)
        return fail_field(c, ERR_NOT_FOUND, "webhook_id", "Webhook with ID %s not found.", id);
    return rc;
}

int webhook_update(struct ctx *c, const char *id, const struct webhook_change *in,
                   struct webhook_row *out) {
    int rc = webhook_find(c, id, out);
    if (rc)
        return rc;
    bool was_active = str_eq(out->status, "ACTIVE");
    if (in->name)
        out->name = in->name;
    if (in->description)
        out->description = in->description;
    if (in->url)
        out->url = in->url;
    if (in->status)
        out->status = in->status;
    if (in->events.n)
        out->events = distinct(c, &in->events);
    if (in->secret)
        rc = take_secret(c, in->secret, out);
    out->updated_ms = c->now_ms;
    bool active = str_eq(out->status, "ACTIVE");
    rc = rc ? rc : webhook_store_update(c, out);
    if (rc == 0 && was_active && !active)
        rc = delivery_store_cancel(c, id, "the webhook was disabled");
    if (rc == 0 && active && !was_active)
        rc = webhook_store_wake(c, id);
    return rc;
}

int webhook_delete(struct ctx *c, const char *id) {
    struct webhook_row w;
    int rc = webhook_find(c, id, &w);
    rc = rc ? rc : webhook_store_delete(c, id);
    return rc ? rc : delivery_store_cancel(c, id, "the webhook was deleted");
}
