/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_SIPHASH_H
#define QUERN_SERVING_SIPHASH_H
/* Siphash: SipHash-2-4 with 128 bits of result, fed piece by piece. Who does not know the key
 * cannot make two inputs that meet. */
#include <stddef.h>
#include <stdint.h>

struct siphash {
    uint64_t v0, v1, v2, v3;
    uint64_t tail; /* bytes of a word that is not full yet */
    uint64_t n;    /* bytes so far */
};

struct digest128 {
    uint64_t lo, hi;
};

void siphash_init(struct siphash *s, const unsigned char key[16]);
void siphash_add(struct siphash *s, const void *data, size_t n);
void siphash_number(struct siphash *s, uint64_t n);
void siphash_text(struct siphash *s,
                  const char *text); /* with its length; NULL is no text at all */
struct digest128 siphash_end(struct siphash *s);

#endif
