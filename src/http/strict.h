/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_HTTP_STRICT_H
#define QUERN_HTTP_STRICT_H
/* Strict: the grammar of HTTP/1.x on the wire, as a machine over the bytes of one connection.
 *
 * It knows where every request begins and ends, so that the library behind it never sees a byte
 * whose meaning two parsers could dispute. Bytes are released in whole tokens only: a head when all
 * of it was checked, a chunk-size line when its CRLF came, body bytes as they come. Pure: no
 * socket, no allocation; see wire.c for the plumbing and docs/adr/0003 for the reasons. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STRICT_HEAD_MAX 32768u   /* bytes of a head, request line included: more is 431 */
#define STRICT_TARGET_MAX 16384u /* bytes of a target: more is 414 */
#define STRICT_FIELDS_MAX 100u   /* header lines of a head: more is 431 */

enum strict_state {
    STRICT_HEAD,     /* between requests or inside a head */
    STRICT_LENGTH,   /* body of known length */
    STRICT_SIZE,     /* chunk-size line */
    STRICT_DATA,     /* chunk data */
    STRICT_DATA_END, /* CRLF behind chunk data */
    STRICT_LAST,     /* CRLF behind the last chunk: trailers are refused */
    STRICT_REFUSED,  /* nothing of this connection is believed any more */
};

struct strict {
    enum strict_state state;
    uint64_t left;     /* of the body or chunk */
    size_t line;       /* start of the line under way, within the bytes not yet released */
    size_t last;       /* length of the last-chunk line held back in STRICT_LAST */
    unsigned fields;   /* header lines of this head */
    bool request_line; /* seen */
    bool v10, head_method;
    uint8_t hosts, lengths, encodings, expects;
    uint32_t said; /* bit per field that may be said once */
    uint64_t length;
    unsigned heads;     /* released so far, the refusal's stand-in included */
    int refuse;         /* status, 0 while all is well */
    const char *why;    /* constant sentence */
    const char *reason; /* metric label: one word */
};

/* Looks at n bytes that follow those released so far; the caller keeps what is not released and
 * passes it again, with more behind it. Returns how many bytes from the start may be released;
 * header names in them have been folded to lower case and blanks behind values put before them.
 * After a violation s->refuse is set, the rest
 * is to be dropped and strict_stand_in released in its place. */
size_t strict_feed(struct strict *s, char *data, size_t n);

/* The well-formed bytes that take a refused request's place, so that the library calls the handler
 * (which answers s->refuse) and nothing else: a bare request for a head, an end for a body. */
const char *strict_stand_in(const struct strict *s, size_t *n);

/* Refuses from outside: a deadline. */
void strict_refuse(struct strict *s, int status, const char *reason, const char *why);

/* What "cookie" is called behind this layer: the library would cut cookies into pairs, for which
 * its memory need not suffice. */
extern const char strict_cookie[];

bool strict_in_body(const struct strict *s);
bool strict_token(const char *s, size_t n); /* RFC 9110 token */

#endif
