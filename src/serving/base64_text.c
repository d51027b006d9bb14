/* SPDX-License-Identifier: Apache-2.0 */
#include "base64_text.h"

#include "quern/base/arena.h"
#include "quern/base/str.h"

int base64_bytes(struct arena *a, struct bytes in, struct bytes *out) {
    char *text = arena_alloc(a, in.len + 4);
    size_t n = 0;
    for (size_t i = 0; i < in.len; i++) {
        char ch = in.data[i];
        if (ch == 0)
            return -1;
        if (ch != ' ' && ch != '\n' && ch != '\r' && ch != '\t')
            text[n++] = ch;
    }
    while (n % 4 >= 2 && text[n - 1] != '=')
        text[n++] = '=';
    if (n % 4 == 3)
        text[n++] = '=';
    text[n] = '\0';
    size_t got = 0;
    unsigned char *bytes = base64_decode(a, text, &got);
    if (!bytes)
        return -1;
    char *copy = arena_alloc(a, got + 1);
    for (size_t i = 0; i < got; i++)
        copy[i] = (char)bytes[i];
    copy[got] = '\0';
    *out = (struct bytes){copy, got};
    return 0;
}
