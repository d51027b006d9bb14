/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACE_WIRE_READER_H
#define QUERN_TRACE_WIRE_READER_H
/* Wire reader: Protocol Buffers' wire form, field by field, within its bounds. Groups, which have
 * been deprecated for long, are refused. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire {
    const unsigned char *at, *end;
    bool bad; /* the bytes are not of this form; nothing more is read */
};
struct wire_field {
    uint32_t number;
    unsigned type;   /* 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes */
    uint64_t value;  /* types 0, 1, 5 */
    struct wire sub; /* type 2 */
};

struct wire wire_over(const void *data, size_t n);
bool wire_next(struct wire *w, struct wire_field *out); /* false at the end or when bad */
static inline size_t wire_left(const struct wire *w) {
    return (size_t)(w->end - w->at);
}

#endif
