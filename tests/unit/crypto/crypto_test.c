/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/crypto/crypto.h"

#include <stdlib.h>

#include "check.h"
#include "quern/base/str.h"
#include "quern/base/thread.h"

static const char *hex(const unsigned char *bytes) {
    static char text[65];
    hex_encode(bytes, 32, text);
    return text;
}

/* Vectors of FIPS 180-2 and RFC 4231. */
static void digests(void) {
    char text[65];
    unsigned char out[32];
    sha256_hex("", 0, text);
    CHECK_STR(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    sha256_hex("abc", 3, text);
    CHECK_STR(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    char thousand[1000];
    memset(thousand, 'a', sizeof thousand);
    struct sha256 *s = sha256_new();
    for (int i = 0; i < 1000; i++)
        sha256_add(s, thousand, sizeof thousand);
    sha256_end(s, out);
    CHECK_STR(hex(out), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    s = sha256_new();
    sha256_add(s, "", 0);
    sha256_drop(s);
    sha256_drop(NULL);
}

static void authentication_codes(void) {
    unsigned char out[32];
    hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, out);
    CHECK_STR(hex(out), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    unsigned char key[131];
    memset(key, 0xaa, sizeof key);
    hmac_sha256(key, sizeof key, "Test Using Larger Than Block-Size Key - Hash Key First", 54, out);
    CHECK_STR(hex(out), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    hmac_sha256("", 0, "", 0, out);
    CHECK_STR(hex(out), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void comparing_and_wiping(void) {
    CHECK(crypto_equal("abc", "abc", 3));
    CHECK(!crypto_equal("abc", "abd", 3));
    CHECK(crypto_equal("abc", "xyz", 0));
    char secret[8] = "secret";
    crypto_wipe(secret, sizeof secret);
    CHECK_INT(secret[0] | secret[3] | secret[5], 0);
    CHECK_HAS(crypto_version(), "OpenSSL ");
}

static void passwords(void) {
    char one[160], two[160], broken[160];
    CHECK_INT(password_hash("correct horse", one), 0);
    CHECK_INT(password_hash("correct horse", two), 0);
    CHECK(str_starts(one, "$scrypt$ln=15,r=8,p=3$"));
    CHECK(strcmp(one, two) != 0); /* salted */
    CHECK(password_verify("correct horse", one));
    CHECK(!password_verify("correct hors", one));
    CHECK(!password_verify("", one));
    CHECK(!password_verify(NULL, one));
    CHECK(!password_verify("correct horse", NULL));
    CHECK_INT(password_hash("", two), 0);
    CHECK(password_verify("", two));
    /* A known answer, made with Python's hashlib.scrypt(b"p", salt=bytes(16), n=2**15, r=8, p=3).
     */
    CHECK(password_verify("p", "$scrypt$ln=15,r=8,p=3$AAAAAAAAAAAAAAAAAAAAAA==$"
                               "51U6dLwcVDs6QQpqKyL2dhnrugq5m4doVcUAGMIEK5w="));
    static const char *const bad[] = {"",
                                      "$scrypt$",
                                      "$scrypt$ln=15,r=8,p=3$",
                                      "$scrypt$ln=15,r=8,p=3$AA==$AA==",
                                      "$scrypt$ln=40,r=8,p=3$AAAAAAAAAAAAAAAAAAAAAA==$"
                                      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                                      "$scrypt$ln=0,r=8,p=3$AAAAAAAAAAAAAAAAAAAAAA==$"
                                      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                                      "$scrypt$ln=15,r=999,p=3$AAAAAAAAAAAAAAAAAAAAAA==$"
                                      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                                      "$scrypt$ln=15,r=8,p=3$????AAAAAAAAAAAAAAAAAA==$"
                                      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                                      "$argon2id$v=19$m=65536,t=3,p=4$x$y"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK(!password_verify("p", bad[i]));
    strcpy(broken, one);
    broken[30] = broken[30] == 'A' ? 'B' : 'A';
    CHECK(!password_verify("correct horse", broken));
}

static char hash[160];
static _Atomic int agreed;

static void check_one(void *arg) {
    (void)arg;
    agreed += password_verify("x", hash);
}

static void more_threads_than_the_gate_lets_in(void) {
    struct thread *t[6];
    CHECK_INT(password_hash("x", hash), 0);
    for (int i = 0; i < 6; i++)
        t[i] = thread_start("verify", check_one, NULL);
    for (int i = 0; i < 6; i++)
        thread_join(t[i]);
    CHECK_INT(agreed, 6);
}

int main(void) {
    RUN(digests);
    RUN(authentication_codes);
    RUN(comparing_and_wiping);
    RUN(passwords);
    RUN(more_threads_than_the_gate_lets_in);
    return CHECK_END();
}
