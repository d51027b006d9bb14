/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#include "quern/base/arena.h"
#include "quern/base/str.h"
#include "quern/crypto/crypto.h"

struct sha256 {
    EVP_MD_CTX *md;
};

/* A digest that fails (no memory, no provider) must never pass for a digest. */
static void must(int ok) {
    if (ok != 1)
        mem_die();
}

struct sha256 *sha256_new(void) {
    struct sha256 *s = mem_alloc(sizeof *s);
    s->md = EVP_MD_CTX_new();
    if (!s->md)
        mem_die();
    must(EVP_DigestInit_ex(s->md, EVP_sha256(), NULL));
    return s;
}

void sha256_add(struct sha256 *s, const void *data, size_t n) {
    must(EVP_DigestUpdate(s->md, data, n));
}

void sha256_end(struct sha256 *s, unsigned char out[32]) {
    must(EVP_DigestFinal_ex(s->md, out, NULL));
    sha256_drop(s);
}

void sha256_drop(struct sha256 *s) {
    if (!s)
        return;
    EVP_MD_CTX_free(s->md);
    free(s);
}

void sha256_hex(const void *data, size_t n, char out[65]) {
    unsigned char digest[32];
    must(EVP_Digest(data, n, digest, NULL, EVP_sha256(), NULL));
    hex_encode(digest, sizeof digest, out);
}

void hmac_sha256(const void *key, size_t keylen, const void *data, size_t n,
                 unsigned char out[32]) {
    size_t len = 0;
    if (!EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, keylen, data, n, out, 32, &len) ||
        len != 32)
        mem_die();
}

bool crypto_equal(const void *a, const void *b, size_t n) {
    return CRYPTO_memcmp(a, b, n) == 0;
}

void crypto_wipe(void *p, size_t n) {
    OPENSSL_cleanse(p, n);
}

const char *crypto_version(void) {
    return OpenSSL_version(OPENSSL_VERSION);
}
