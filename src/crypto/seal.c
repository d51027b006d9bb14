/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "quern/base/arena.h"
#include "quern/base/id.h"
#include "quern/base/path.h"
#include "quern/base/str.h"
#include "quern/crypto/crypto.h"

#define VERSION 1
#define KEY_BYTES 32
#define MARK_BYTES 8
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define HEAD_BYTES (1 + MARK_BYTES + NONCE_BYTES)
#define TEXT_MAX (1u << 20)
#define FILE_MAX 256
#define PREFIX "quern-key-1 "

struct seal_key {
    unsigned char key[KEY_BYTES];
    unsigned char mark[MARK_BYTES];
};

static void must(int ok) {
    if (ok != 1)
        mem_die();
}

static int key_text(const char *text, size_t n, unsigned char key[KEY_BYTES]) {
    size_t prefix = strlen(PREFIX);
    while (n && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        n--;
    if (n != prefix + 2 * KEY_BYTES || memcmp(text, PREFIX, prefix) != 0)
        return -1;
    return hex_decode(text + prefix, 2 * KEY_BYTES, key) ? 0 : -1;
}

static int key_make(struct dir *d, const char *name) {
    unsigned char key[KEY_BYTES];
    char text[sizeof PREFIX + 2 * KEY_BYTES + 1] = PREFIX;
    size_t prefix = strlen(PREFIX);
    id_random(key, sizeof key);
    hex_encode(key, sizeof key, text + prefix);
    text[prefix + 2 * KEY_BYTES] = '\n';
    int rc = dir_write_file(d, name, text, prefix + 2 * KEY_BYTES + 1);
    crypto_wipe(key, sizeof key);
    crypto_wipe(text, sizeof text);
    return rc;
}

enum seal_fault seal_key_open(struct dir *d, const char *name, bool make, struct seal_key **out) {
    struct arena *a = arena_new();
    unsigned char key[KEY_BYTES], digest[32];
    char *text = NULL;
    size_t n = 0;
    enum seal_fault fault = SEAL_OK;
    int rc = dir_read_file(d, name, a, FILE_MAX, &text, &n);
    if (rc == -ENOENT && make && (rc = key_make(d, name)) == 0)
        rc = dir_read_file(d, name, a, FILE_MAX, &text, &n);
    if (rc == -ENOENT)
        fault = SEAL_NO_KEY;
    else if (rc != 0 || key_text(text, n, key) != 0)
        fault = SEAL_BAD_KEY;
    if (text)
        crypto_wipe(text, n);
    arena_free(a);
    if (fault != SEAL_OK)
        return fault;
    *out = mem_alloc(sizeof **out);
    memcpy((*out)->key, key, KEY_BYTES);
    must(EVP_Digest(key, KEY_BYTES, digest, NULL, EVP_sha256(), NULL));
    memcpy((*out)->mark, digest, MARK_BYTES);
    crypto_wipe(key, sizeof key);
    return SEAL_OK;
}

void seal_key_free(struct seal_key *k) {
    if (!k)
        return;
    crypto_wipe(k, sizeof *k);
    free(k);
}

unsigned char *seal(struct arena *a, const struct seal_key *k, const char *bound, const void *data,
                    size_t n, size_t *sealed_n) {
    if (n > TEXT_MAX)
        mem_die(); /* callers bound what they seal */
    unsigned char *out = arena_alloc(a, HEAD_BYTES + n + TAG_BYTES);
    unsigned char *nonce = out + 1 + MARK_BYTES, *text = out + HEAD_BYTES;
    int len = 0;
    out[0] = VERSION;
    memcpy(out + 1, k->mark, MARK_BYTES);
    id_random(nonce, NONCE_BYTES);
    EVP_CIPHER_CTX *e = EVP_CIPHER_CTX_new();
    must(e != NULL);
    must(EVP_EncryptInit_ex(e, EVP_aes_256_gcm(), NULL, k->key, nonce));
    must(EVP_EncryptUpdate(e, NULL, &len, out, 1 + MARK_BYTES));
    must(EVP_EncryptUpdate(e, NULL, &len, (const unsigned char *)bound, (int)strlen(bound)));
    must(EVP_EncryptUpdate(e, text, &len, data, (int)n));
    must(EVP_EncryptFinal_ex(e, text + len, &len));
    must(EVP_CIPHER_CTX_ctrl(e, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, text + n));
    EVP_CIPHER_CTX_free(e);
    *sealed_n = HEAD_BYTES + n + TAG_BYTES;
    return out;
}

enum seal_fault seal_open(struct arena *a, const struct seal_key *k, const char *bound,
                          const void *sealed, size_t n, char **out, size_t *out_n) {
    const unsigned char *s = sealed;
    if (n < HEAD_BYTES + TAG_BYTES || n > HEAD_BYTES + TEXT_MAX + TAG_BYTES || s[0] != VERSION)
        return SEAL_DAMAGED;
    if (memcmp(s + 1, k->mark, MARK_BYTES) != 0)
        return SEAL_OTHER_KEY;
    size_t text_n = n - HEAD_BYTES - TAG_BYTES;
    unsigned char tag[TAG_BYTES];
    unsigned char *text = arena_alloc(a, text_n + 1);
    int len = 0;
    memcpy(tag, s + n - TAG_BYTES, TAG_BYTES);
    EVP_CIPHER_CTX *e = EVP_CIPHER_CTX_new();
    must(e != NULL);
    must(EVP_DecryptInit_ex(e, EVP_aes_256_gcm(), NULL, k->key, s + 1 + MARK_BYTES));
    must(EVP_DecryptUpdate(e, NULL, &len, s, 1 + MARK_BYTES));
    must(EVP_DecryptUpdate(e, NULL, &len, (const unsigned char *)bound, (int)strlen(bound)));
    must(EVP_DecryptUpdate(e, text, &len, s + HEAD_BYTES, (int)text_n));
    must(EVP_CIPHER_CTX_ctrl(e, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag));
    int good = EVP_DecryptFinal_ex(e, text + len, &len);
    EVP_CIPHER_CTX_free(e);
    if (good != 1) {
        crypto_wipe(text, text_n);
        return SEAL_DAMAGED;
    }
    *out = (char *)text;
    *out_n = text_n;
    return SEAL_OK;
}

void seal_mac(const struct seal_key *k, const char *purpose, const void *data, size_t n,
              unsigned char out[32]) {
    unsigned char derived[32];
    hmac_sha256(k->key, KEY_BYTES, purpose, strlen(purpose), derived);
    hmac_sha256(derived, sizeof derived, data, n, out);
    crypto_wipe(derived, sizeof derived);
}

const char *seal_fault_text(enum seal_fault f) {
    static const char *const texts[] = {
        [SEAL_OK] = "nothing is wrong",
        [SEAL_NO_KEY] = "the key file is missing",
        [SEAL_BAD_KEY] = "the key file holds no key or cannot be read",
        [SEAL_OTHER_KEY] = "it was sealed under another key than the present one",
        [SEAL_DAMAGED] = "its sealed form is damaged",
    };
    return texts[f];
}
