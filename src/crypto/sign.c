/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/evp.h>

#include "quern/base/arena.h"
#include "quern/crypto/crypto.h"

static EVP_PKEY *from_seed(const unsigned char seed[32]) {
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
    if (!key)
        mem_die();
    return key;
}

void sign_public(const unsigned char seed[32], unsigned char out[32]) {
    EVP_PKEY *key = from_seed(seed);
    size_t n = 32;
    if (EVP_PKEY_get_raw_public_key(key, out, &n) != 1 || n != 32)
        mem_die();
    EVP_PKEY_free(key);
}

void sign(const unsigned char seed[32], const void *data, size_t n, unsigned char out[64]) {
    EVP_PKEY *key = from_seed(seed);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    size_t len = 64;
    if (!c || EVP_DigestSignInit(c, NULL, NULL, NULL, key) != 1 ||
        EVP_DigestSign(c, out, &len, data, n) != 1 || len != 64)
        mem_die();
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(key);
}

bool sign_verify(const unsigned char public_key[32], const void *data, size_t n,
                 const unsigned char signature[64]) {
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, 32);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    bool good = key && c && EVP_DigestVerifyInit(c, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(c, signature, 64, data, n) == 1;
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(key);
    return good;
}
