/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <string.h>

#include "access_state.h"
#include "quern/base/id.h"
#include "quern/crypto/crypto.h"

static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* Six base62 characters of the text's digest: a scanner, and we, tell a mistyped token without any
 * look-up. */
static void checksum(const char *text, size_t n, char out[7]) {
    char hex[65];
    sha256_hex(text, n, hex);
    uint64_t v = 0;
    for (int i = 0; i < 16; i++) {
        v = v << 4 | (uint64_t)(hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10);
    }
    for (int i = 0; i < 6; i++) {
        out[i] = base62[v % 62];
        v /= 62;
    }
    out[6] = '\0';
}

void token_make(char out[TOKEN_LEN + 1]) {
    memcpy(out, "qn_", 3);
    id_base62(out + 3, 43);
    checksum(out, 46, out + 46);
}

bool token_well_formed(const char *text) {
    if (strlen(text) != TOKEN_LEN || strncmp(text, "qn_", 3) != 0) {
        return false;
    }
    char want[7];
    checksum(text, 46, want);
    return memcmp(want, text + 46, 6) == 0;
}

void token_hash(const char *text, unsigned char out[32]) {
    struct sha256 *s = sha256_new();
    sha256_add(s, text, strlen(text));
    sha256_end(s, out);
}
