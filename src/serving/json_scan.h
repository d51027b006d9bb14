/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_JSON_SCAN_H
#define QUERN_SERVING_JSON_SCAN_H
/* Json scan: a cursor over JSON text in strict grammar, without a tree. The byte behind the text
 * must be readable and NUL (a context's body promises that). Functions return 0 or a negative code
 * with the context's error filled; the text of grammar errors tells the byte. */
#include <stdbool.h>
#include <stddef.h>

#include "number.h"
#include "quern/onnx/tensor.h"

struct ctx;

struct scan {
    struct ctx *c;
    const char *start, *p, *end;
    unsigned depth;
    bool extended; /* TensorFlow Serving's JSON: {"b64": TEXT} for bytes, bare NaN and Infinity */
};

#define SCAN_DEPTH_MAX 64

void scan_init(struct scan *s, struct ctx *c, const char *text, size_t n);
/* First byte of the next token, 0 at the end. */
static inline char scan_peek(struct scan *s) {
    const char *p = s->p;
    while (p < s->end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    s->p = p;
    return p < s->end ? *p : 0;
}
int scan_fail(struct scan *s, const char *what); /* "the body is not JSON at byte 17: <what>" */
int scan_end(struct scan *s);                    /* only blanks may follow */

/* Objects and arrays:
 *   rc = scan_enter(s, '['); for (bool first = true; rc == 0 && (rc = scan_more(s, ']', &first)) >
 * 0;) rc = <one item>; scan_more: 1 an item follows, 0 closed. */
int scan_enter(struct scan *s, char open);
int scan_more(struct scan *s, char close, bool *first);
int scan_key(struct scan *s, struct bytes *key); /* with its colon */

int scan_string(struct scan *s, struct bytes *out); /* NUL-terminated in the arena when escaped */
int scan_number(struct scan *s, struct number *out);
int scan_bool(struct scan *s, bool *out);
int scan_null(struct scan *s);
/* NaN, Infinity, -Infinity, where the JSON is extended and one stands here: 1, else 0. */
int scan_odd_number(struct scan *s, double *out);
/* {"b64": TEXT} and nothing else, likewise; not moved when it is another object. Negative when the
 * text is no base64. */
int scan_b64(struct scan *s, struct bytes *out);
int scan_skip(struct scan *s); /* any value, checked */
/* "a string", "an array", ... of the token under the cursor, for messages. */
const char *scan_kind(struct scan *s);
bool bytes_eq(struct bytes b, const char *text);
/* A copy with a NUL behind it; fails when the text holds one itself. */
int scan_text(struct scan *s, struct bytes b, const char **out);

#endif
