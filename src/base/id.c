/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/base/id.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "quern/base/str.h"

void id_random(void *out, size_t n) {
    unsigned char *p = out;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            abort(); /* no randomness: no identifier and no secret can be made */
        }
        p += got;
        n -= (size_t)got;
    }
}

static void uuid4(unsigned char b[16]) {
    id_random(b, 16);
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
}

void id_hex32(char out[33]) {
    unsigned char b[16];
    uuid4(b);
    hex_encode(b, sizeof b, out);
}

void id_uuid(char out[37]) {
    char hex[33];
    id_hex32(hex);
    for (size_t i = 0, o = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20)
            out[o++] = '-';
        out[o++] = hex[i];
        out[o] = '\0';
    }
}

void id_base62(char *out, size_t n) {
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    size_t done = 0;
    while (done < n) {
        unsigned char b[64];
        id_random(b, sizeof b);
        for (size_t i = 0; i < sizeof b && done < n; i++)
            if (b[i] < 248) /* 4 * 62: larger bytes would favour the first digits */
                out[done++] = digits[b[i] % 62];
    }
    out[n] = '\0';
}
