/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/id.h"
#include "quern/base/str.h"
#include "quern/crypto/crypto.h"

#define SALT 16
#define HASH 32
#define SALT_TEXT 24 /* base64 with padding */
#define HASH_TEXT 44
#define COST_LOG 15
#define BLOCKS 8
#define LANES 3
/* Ceilings for hashes read back: what a stored hash asks for is spent before it can be wrong. */
#define COST_LOG_CAP 17
#define BLOCKS_CAP 16
#define LANES_CAP 8

/* Each run takes 32 MiB and a tenth of a second; two at once bound both. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_open = PTHREAD_COND_INITIALIZER;
static int running;

static void enter(void) {
    pthread_mutex_lock(&gate);
    while (running >= 2)
        pthread_cond_wait(&gate_open, &gate);
    running++;
    pthread_mutex_unlock(&gate);
}

static void leave(void) {
    pthread_mutex_lock(&gate);
    running--;
    pthread_cond_signal(&gate_open);
    pthread_mutex_unlock(&gate);
}

static bool derive(const char *password, const unsigned char salt[SALT], unsigned cost_log,
                   unsigned r, unsigned p, unsigned char out[HASH]) {
    uint64_t n = (uint64_t)1 << cost_log;
    uint64_t memory = 128 * n * r + 128 * (uint64_t)r * p + 1024 * 1024;
    enter();
    int ok = EVP_PBE_scrypt(password, strlen(password), salt, SALT, n, r, p, memory, out, HASH);
    leave();
    return ok == 1;
}

int password_hash(const char *password, char out[160]) {
    unsigned char salt[SALT], hash[HASH];
    id_random(salt, sizeof salt);
    if (!derive(password, salt, COST_LOG, BLOCKS, LANES, hash))
        return -1;
    struct arena *a = arena_new();
    snprintf(out, 160, "$scrypt$ln=%d,r=%d,p=%d$%s$%s", COST_LOG, BLOCKS, LANES,
             base64_encode(a, salt, sizeof salt), base64_encode(a, hash, sizeof hash));
    arena_free(a);
    crypto_wipe(hash, sizeof hash);
    return 0;
}

/* Takes "name=digits" from *p and the mark behind it. */
static bool parameter(const char **p, const char *name, char mark, unsigned cap, unsigned *out) {
    size_t n = strlen(name);
    unsigned v = 0;
    if (strncmp(*p, name, n) != 0)
        return false;
    const char *s = *p + n;
    size_t digits = strspn(s, "0123456789");
    if (digits == 0 || digits > 3)
        return false;
    for (size_t i = 0; i < digits; i++)
        v = v * 10 + (unsigned)(s[i] - '0');
    if (v == 0 || v > cap || s[digits] != mark)
        return false;
    *p = s + digits + 1;
    *out = v;
    return true;
}

bool password_verify(const char *password, const char *hash) {
    static const char prefix[] = "$scrypt$";
    if (!password || !hash || !str_starts(hash, prefix))
        return false;
    const char *p = hash + sizeof prefix - 1;
    unsigned cost_log, r, lanes;
    if (!parameter(&p, "ln=", ',', COST_LOG_CAP, &cost_log) ||
        !parameter(&p, "r=", ',', BLOCKS_CAP, &r) || !parameter(&p, "p=", '$', LANES_CAP, &lanes))
        return false;
    if (strlen(p) != SALT_TEXT + 1 + HASH_TEXT || p[SALT_TEXT] != '$')
        return false;
    struct arena *a = arena_new();
    size_t salt_len = 0, want_len = 0;
    unsigned char *salt = base64_decode(a, arena_strndup(a, p, SALT_TEXT), &salt_len);
    unsigned char *want = base64_decode(a, p + SALT_TEXT + 1, &want_len);
    unsigned char got[HASH];
    bool ok = salt && want && salt_len == SALT && want_len == HASH &&
              derive(password, salt, cost_log, r, lanes, got) && crypto_equal(got, want, HASH);
    crypto_wipe(got, sizeof got);
    arena_free(a);
    return ok;
}
