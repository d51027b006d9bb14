/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "quern/base/arena.h"
#include "quern/base/path.h"
#include "quern/crypto/crypto.h"

static char folder[] = "/tmp/quern-seal-XXXXXX";
static struct dir *d;

static void key_file(void) {
    struct seal_key *k = NULL;
    struct stat st;
    CHECK_INT(seal_key_open(d, "k", false, &k), SEAL_NO_KEY);
    CHECK_INT(seal_key_open(d, "k", true, &k), SEAL_OK);
    CHECK_INT(fstatat(dir_fd(d), "k", &st, 0), 0);
    CHECK_INT(st.st_mode & 07777, 0600);
    seal_key_free(k);
    CHECK_INT(dir_write_file(d, "k2", "not a key\n", 10), 0);
    CHECK_INT(seal_key_open(d, "k2", true, &k), SEAL_BAD_KEY);
    CHECK_INT(dir_write_file(d, "k3", "", 0), 0);
    CHECK_INT(seal_key_open(d, "k3", true, &k), SEAL_BAD_KEY); /* never overwritten */
}

static void round_trip(void) {
    struct arena *a = arena_new();
    struct seal_key *k = NULL, *again = NULL, *other = NULL;
    char *text = NULL;
    size_t n, len;
    REQUIRE(seal_key_open(d, "k", true, &k) == SEAL_OK);
    REQUIRE(seal_key_open(d, "k", true, &again) == SEAL_OK);
    REQUIRE(seal_key_open(d, "other", true, &other) == SEAL_OK);
    const unsigned char *s = seal(a, k, "w:1", "top secret", 10, &n);
    CHECK_INT(n, 1 + 8 + 12 + 10 + 16);
    CHECK(memmem(s, n, "secret", 6) == NULL);
    CHECK_INT(seal_open(a, again, "w:1", s, n, &text, &len), SEAL_OK);
    CHECK_STR(text, "top secret");
    CHECK_INT(len, 10);
    CHECK_INT(seal_open(a, k, "w:2", s, n, &text, &len), SEAL_DAMAGED); /* moved elsewhere */
    CHECK_INT(seal_open(a, other, "w:1", s, n, &text, &len), SEAL_OTHER_KEY);
    size_t m;
    const unsigned char *twice = seal(a, k, "w:1", "top secret", 10, &m);
    CHECK(memcmp(s, twice, n) != 0);
    const unsigned char *empty = seal(a, k, "w:1", "", 0, &m);
    CHECK_INT(seal_open(a, k, "w:1", empty, m, &text, &len), SEAL_OK);
    CHECK_STR(text, "");
    for (size_t i = 0; i < n; i++) { /* no byte is loose */
        unsigned char *bad = arena_dup(a, s, n);
        bad[i] ^= 1;
        CHECK(seal_open(a, k, "w:1", bad, n, &text, &len) != SEAL_OK);
        CHECK(seal_open(a, k, "w:1", s, i, &text, &len) != SEAL_OK);
    }
    seal_key_free(k);
    seal_key_free(again);
    seal_key_free(other);
    arena_free(a);
}

int main(void) {
    if (!mkdtemp(folder) || dir_open(folder, false, &d) != 0)
        return 99;
    RUN(key_file);
    RUN(round_trip);
    static const char *const names[] = {"k", "k2", "k3", "other"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        dir_unlink(d, names[i]);
    dir_close(d);
    rmdir(folder);
    return CHECK_END();
}
