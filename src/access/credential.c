/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "access_state.h"
#include "access_store.h"
#include "object.h"
#include "quern/base/arena.h"
#include "quern/base/clock.h"
#include "quern/base/str.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"
#include "quern/db/db.h"
#include "quern/metric/metric.h"

#define PASSWORD_TTL_MS 60000
#define TOUCH_MS 60000

static int refuse(struct ctx *c, const char *reason, const char *message) {
    metric_add(METRIC_AUTH_FAILURES, 1, reason, NULL, NULL);
    err_clear(c);
    return fail(c, ERR_UNAUTHENTICATED, "%s", message);
}

int role_level(struct ctx *c, int64_t principal_id, enum perm *level) {
    char *text = NULL;
    int rc = standing_read(c, principal_id, &text);
    *level = str_eq(text, "admin")    ? PERM_ADMIN
             : str_eq(text, "writer") ? PERM_WRITE
             : str_eq(text, "reader") ? PERM_READ
                                      : PERM_PUBLIC;
    return rc;
}

static int enter(struct ctx *c, int64_t id, const char *name, const char *kind, bool system) {
    c->who.id = id;
    c->who.name = name;
    c->who.kind = kind;
    if (system) {
        c->who.level = PERM_SYSTEM;
        return 0;
    }
    return role_level(c, id, &c->who.level);
}

/* The last use is told to the minute; a write of its own that nobody waits for. */
struct touch {
    struct ctx ctx;
    unsigned char hash[32];
};

static int touch_write(struct ctx *c, void *arg) {
    struct touch *t = arg;
    return token_touch(c, t->hash, c->now_ms);
}

static void touch_done(struct ctx *c, void *arg, int rc) {
    (void)rc;
    ctx_end(c);
    struct touch *t = arg;
    free(t);
}

static void touch(struct access *a, const unsigned char hash[32]) {
    struct touch *t = mem_alloc(sizeof *t);
    memcpy(t->hash, hash, 32);
    ctx_begin(&t->ctx);
    if (db_submit(a->options.db, &t->ctx, touch_write, t, touch_done) != 0) {
        touch_done(&t->ctx, t, 0);
    }
}

static int token_check(struct ctx *c, struct access *a, const char *text) {
    if (!token_well_formed(text)) {
        return refuse(c, "malformed",
                      "The token is malformed; tokens look like qn_ and 49 letters.");
    }
    unsigned char hash[32];
    token_hash(text, hash);
    struct token_row row;
    if (token_find(c, hash, &row) != 0) {
        if (c->err.code != ERR_NOT_FOUND) {
            return -c->err.code;
        }
        return refuse(c, "unknown", "The token is not known here; it may have been revoked.");
    }
    if (row.expires_ms && row.expires_ms <= c->now_ms) {
        return refuse(c, "expired", "The token has expired.");
    }
    if (row.disabled) {
        return refuse(c, "disabled", "The token's owner is disabled.");
    }
    if (c->now_ms - row.used_ms > TOUCH_MS) {
        touch(a, hash);
    }
    if (row.principal_id) {
        return enter(c, row.principal_id, row.principal, row.kind, row.system);
    }
    c->who.id = 0;
    c->who.name = arena_printf(c->arena, "run:%s", row.run_id);
    c->who.kind = "run";
    c->who.run_id = row.run_id;
    c->project = row.project_id; /* a run token knows one project and no other */
    c->who.level = PERM_WRITE;
    return 0;
}

/* The key holds the stored hash with its salt, so a new password, or a new principal of an old
 * name, is never taken for what was remembered. An entry lives on while it is used. */
static void password_key(const struct principal_row *row, const char *password,
                         unsigned char key[32]) {
    struct sha256 *s = sha256_new();
    sha256_add(s, row->password, strlen(row->password) + 1);
    sha256_add(s, row->name, strlen(row->name) + 1);
    sha256_add(s, password, strlen(password));
    sha256_end(s, key);
}

static bool password_cached(struct access *a, const unsigned char key[32], int64_t now) {
    bool hit = false;
    pthread_mutex_lock(&a->lock);
    for (size_t i = 0; i < PASSWORD_CACHE; i++) {
        struct password_entry *e = &a->passwords[i];
        if (e->until_ms > now && crypto_equal(e->key, key, 32)) {
            e->until_ms = now + PASSWORD_TTL_MS;
            hit = true;
        }
    }
    pthread_mutex_unlock(&a->lock);
    return hit;
}

static void password_remember(struct access *a, const unsigned char key[32]) {
    pthread_mutex_lock(&a->lock);
    struct password_entry *e = &a->passwords[a->next_password++ % PASSWORD_CACHE];
    memcpy(e->key, key, 32);
    e->until_ms = clock_mono_ms() + PASSWORD_TTL_MS;
    pthread_mutex_unlock(&a->lock);
}

void credential_forget(struct access *a) {
    pthread_mutex_lock(&a->lock);
    memset(a->passwords, 0, sizeof a->passwords);
    pthread_mutex_unlock(&a->lock);
}

/* A hash to compare with when the name is unknown, so that both refusals take as long. */
static const char dummy_hash[] = "$scrypt$ln=15,r=8,p=3$AAAAAAAAAAAAAAAAAAAAAA==$"
                                 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

static int password_check(struct ctx *c, struct access *a, const char *name, const char *password) {
    unsigned char key[32];
    struct principal_row row = {0};
    bool known = principal_find(c, name, &row) == 0 && row.password && !row.disabled;
    if (!known && c->err.code && c->err.code != ERR_NOT_FOUND) {
        return -c->err.code;
    }
    if (known) {
        password_key(&row, password, key);
        if (password_cached(a, key, clock_mono_ms())) {
            return enter(c, row.id, row.name, row.kind, row.system);
        }
    }
    if (!throttle_take(&a->throttle, c->remote, clock_mono_ms())) {
        metric_add(METRIC_AUTH_FAILURES, 1, "throttled", NULL, NULL);
        err_clear(c);
        return fail(c, ERR_RATE,
                    "Too many wrong passwords; try again in a minute, or use a token.");
    }
    if (!password_verify(password, known ? row.password : dummy_hash) || !known) {
        return refuse(c, "password", "Name or password is wrong.");
    }
    throttle_give_back(&a->throttle, c->remote);
    password_remember(a, key);
    return enter(c, row.id, row.name, row.kind, row.system);
}

int credential_check(struct ctx *c, struct access *a, const char *authorization) {
    if (strncasecmp(authorization, "Bearer ", 7) == 0) {
        return token_check(c, a, authorization + 7 + strspn(authorization + 7, " "));
    }
    if (strncasecmp(authorization, "Basic ", 6) == 0) {
        size_t n = 0;
        char *text = (char *)base64_decode(c->arena, authorization + 6, &n);
        char *colon = text ? memchr(text, ':', n) : NULL;
        if (!colon || memchr(text, '\0', n)) {
            return refuse(c, "malformed", "The Basic credential is not base64 of name:password.");
        }
        char *password = arena_strndup(c->arena, colon + 1, n - (size_t)(colon + 1 - text));
        char *name = arena_strndup(c->arena, text, (size_t)(colon - text));
        return strncmp(password, "qn_", 3) == 0 ? token_check(c, a, password)
                                                : password_check(c, a, name, password);
    }
    return refuse(c, "scheme", "Authorization must be 'Bearer <token>' or 'Basic <base64>'.");
}
