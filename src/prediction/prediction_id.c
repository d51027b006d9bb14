/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "quern/base/id.h"
#include "quern/base/str.h"
#include "quern/prediction/prediction.h"

/* A system call for each answer would cost more than the id itself. */
static void some_random(unsigned char out[7]) {
    static _Thread_local unsigned char pool[7 * 64];
    static _Thread_local size_t left;
    if (left < 7) {
        id_random(pool, sizeof pool);
        left = sizeof pool;
    }
    left -= 7;
    memcpy(out, pool + left, 7);
    memset(pool + left, 0, 7);
}

/* Bytes 0..5 time; 6: version 7 and the arm's high half; 7: its low half and 4 bits of the context;
 * 8: variant and 6 bits of the context; 9: 2 bits of it and 6 random ones; then random. */
void prediction_id(const struct prediction_parts *p, char out[PREDICTION_ID_SIZE]) {
    unsigned char b[16];
    char hex[33];
    uint64_t ms = (uint64_t)p->ms;
    unsigned arm = p->arm & 0xFF, context = p->context & 0xFFF;
    some_random(b + 9);
    for (int i = 0; i < 6; i++)
        b[i] = (unsigned char)(ms >> (40 - 8 * i));
    b[6] = (unsigned char)(0x70 | arm >> 4);
    b[7] = (unsigned char)((arm & 0xF) << 4 | context >> 8);
    b[8] = (unsigned char)(0x80 | (context >> 2 & 0x3F));
    b[9] = (unsigned char)((context & 3) << 6 | (b[9] & 0x3F));
    hex_encode(b, 16, hex);
    char *to = out;
    for (int i = 0; i < 32; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20)
            *to++ = '-';
        *to++ = hex[i];
    }
    *to = '\0';
}

bool prediction_id_read(const char *text, struct prediction_parts *p) {
    char hex[33];
    unsigned char b[16];
    size_t n = 0;
    if (!text || strlen(text) != 36)
        return false;
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if ((text[i] == '-') != dash)
            return false;
        if (!dash)
            hex[n++] = (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] + 32 : text[i]);
    }
    hex[32] = '\0';
    if (!hex_decode(hex, 32, b) || b[6] >> 4 != 7 || b[8] >> 6 != 2)
        return false;
    uint64_t ms = 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | b[i];
    *p = (struct prediction_parts){
        .ms = (int64_t)ms,
        .arm = (unsigned)((b[6] & 0xF) << 4 | b[7] >> 4),
        .context = (unsigned)((b[7] & 0xF) << 8 | (b[8] & 0x3F) << 2 | b[9] >> 6)};
    return true;
}
