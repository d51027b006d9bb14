/* SPDX-License-Identifier: Apache-2.0 */
#include "secret.h"

#include <pthread.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/log.h"
#include "quern/core/ctx.h"
#include "quern/crypto/crypto.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct dir *folder;

void secret_start(struct dir *data) {
    pthread_mutex_lock(&lock);
    folder = data;
    pthread_mutex_unlock(&lock);
}

void secret_stop(void) {
    secret_start(NULL);
}

static const char *bound(struct ctx *c, const char *webhook) {
    return arena_printf(c->arena, "webhook.secret:%s", webhook);
}

/* Read each time: it is small, and an operator who puts a lost key back need not restart. */
static enum seal_fault key_open(bool make, struct seal_key **k) {
    pthread_mutex_lock(&lock);
    enum seal_fault f = folder ? seal_key_open(folder, SECRET_FILE, make, k) : SEAL_NO_KEY;
    pthread_mutex_unlock(&lock);
    return f;
}

int secret_seal(struct ctx *c, const char *webhook, const char *secret, const void **sealed,
                size_t *n) {
    struct seal_key *k = NULL;
    enum seal_fault f = key_open(true, &k);
    if (f != SEAL_OK) {
        log_error("webhook.secret", "no secret can be sealed: %s", seal_fault_text(f));
        return fail(c, ERR_INTERNAL, "the secret cannot be sealed: %s", seal_fault_text(f));
    }
    *sealed = seal(c->arena, k, bound(c, webhook), secret, strlen(secret), n);
    seal_key_free(k);
    return 0;
}

int secret_open(struct ctx *c, const char *webhook, const void *sealed, size_t n,
                const char **secret, const char **why) {
    struct seal_key *k = NULL;
    char *text = NULL;
    size_t len;
    enum seal_fault f = key_open(false, &k);
    if (f == SEAL_OK)
        f = seal_open(c->arena, k, bound(c, webhook), sealed, n, &text, &len);
    seal_key_free(k);
    *secret = text;
    *why = seal_fault_text(f);
    return f == SEAL_OK ? 0 : -1;
}
