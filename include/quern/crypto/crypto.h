/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_CRYPTO_CRYPTO_H
#define QUERN_CRYPTO_CRYPTO_H
/* Crypto: OpenSSL's digests, password hashing and sealing. The only folder that includes openssl/.
 */
#include <stdbool.h>
#include <stddef.h>

struct arena;
struct dir;

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

/* Seal: AES-256-GCM under a key that lies in a file beside the database, so that neither the
 * database nor its backups hold a secret in clear. `bound` is what the sealed text belongs to, as
 * "webhook.secret:<id>"; sealed text that was moved elsewhere does not open. Sealed form: 1 byte
 * version, 8 bytes of the key's digest, 12 bytes nonce, the text encrypted, 16 bytes tag. */
struct seal_key;
enum seal_fault {
    SEAL_OK,
    SEAL_NO_KEY,    /* there is no key file */
    SEAL_BAD_KEY,   /* it is no key, or cannot be read or made */
    SEAL_OTHER_KEY, /* sealed under another key than this */
    SEAL_DAMAGED,   /* changed, cut off, or bound to something else */
};
/* Reads dir/name, or with `make` and no such file makes it, 0600 and on the disk. */
enum seal_fault seal_key_open(struct dir *d, const char *name, bool make, struct seal_key **out);
void seal_key_free(struct seal_key *k); /* wipes; NULL is allowed */
unsigned char *seal(struct arena *a, const struct seal_key *k, const char *bound, const void *data,
                    size_t n, size_t *sealed_n);
/* *out is NUL-terminated behind its *out_n bytes. */
enum seal_fault seal_open(struct arena *a, const struct seal_key *k, const char *bound,
                          const void *sealed, size_t n, char **out, size_t *out_n);
/* HMAC-SHA-256 under a key derived from this one for `purpose`. */
void seal_mac(const struct seal_key *k, const char *purpose, const void *data, size_t n,
              unsigned char out[32]);
const char *seal_fault_text(enum seal_fault f); /* "the key file is missing" */

/* Sign: Ed25519. The same seed, data and so signature each time. */
void sign_public(const unsigned char seed[32], unsigned char out[32]);
void sign(const unsigned char seed[32], const void *data, size_t n, unsigned char out[64]);
bool sign_verify(const unsigned char public_key[32], const void *data, size_t n,
                 const unsigned char signature[64]);

const char *crypto_version(void);

#endif
