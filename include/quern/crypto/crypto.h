/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_CRYPTO_CRYPTO_H
#define QUERN_CRYPTO_CRYPTO_H
/* Crypto: OpenSSL's digests and password hashing. The only folder that includes openssl/. */
#include <stdbool.h>
#include <stddef.h>

struct sha256;

struct sha256 *sha256_new(void);
void sha256_add(struct sha256 *s, const void *data, size_t n);
void sha256_end(struct sha256 *s, unsigned char out[32]); /* frees */
void sha256_drop(struct sha256 *s);                       /* frees without a result */
void sha256_hex(const void *data, size_t n, char out[65]);
void hmac_sha256(const void *key, size_t keylen, const void *data, size_t n, unsigned char out[32]);
bool crypto_equal(const void *a, const void *b, size_t n); /* constant time */
/* scrypt N=2^15 r=8 p=3: "$scrypt$ln=15,r=8,p=3$salt$hash", out[160]. At most two at once. */
int password_hash(const char *password, char out[160]);
bool password_verify(const char *password, const char *hash);
void crypto_wipe(void *p, size_t n);
const char *crypto_version(void);

#endif
