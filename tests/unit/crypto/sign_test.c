/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "quern/base/str.h"
#include "quern/crypto/crypto.h"

/* RFC 8032, 7.1, tests 1 and 2. */
static void vectors(void) {
    static const char *const rows[][4] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701"
         "cf9b4"
         "6bd25bf5f0595bbe24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "\x72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d"
         "0f11d"
         "8c387b2eaeb4302aeeb00d291612bb0c00"}};
    for (size_t i = 0; i < 2; i++) {
        unsigned char seed[32], key[32], signature[64];
        char hex[129];
        size_t n = i; /* of the message */
        CHECK(hex_decode(rows[i][0], 64, seed));
        sign_public(seed, key);
        hex_encode(key, 32, hex);
        CHECK_STR(hex, rows[i][1]);
        sign(seed, rows[i][2], n, signature);
        hex_encode(signature, 64, hex);
        CHECK_STR(hex, rows[i][3]);
        CHECK(sign_verify(key, rows[i][2], n, signature));
        for (size_t bit = 0; bit < 512; bit += 7) {
            signature[bit / 8] ^= (unsigned char)(1u << bit % 8);
            CHECK(!sign_verify(key, rows[i][2], n, signature));
            signature[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        CHECK(!sign_verify(key, "x", 1, signature));
        key[0] ^= 1;
        CHECK(!sign_verify(key, rows[i][2], n, signature));
    }
}

int main(void) {
    RUN(vectors);
    return CHECK_END();
}
