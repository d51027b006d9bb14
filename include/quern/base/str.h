/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_BASE_STR_H
#define QUERN_BASE_STR_H
/* Str: strict questions about text. Nothing here allocates except where an arena is passed.
 * Parsers accept the whole string or nothing (no blanks, no trailing bytes); they return true on
 * success and leave *out untouched on failure. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

bool str_eq(const char *a, const char *b);  /* NULL equals NULL only */
bool str_ieq(const char *a, const char *b); /* ASCII case folded */
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
bool str_to_i64(const char *s, int64_t *out);
bool str_to_u64(const char *s, uint64_t *out);
bool str_to_f64(const char *s, double *out);     /* decimal or exponent form; no hex, inf, nan */
bool str_to_bytes(const char *s, uint64_t *out); /* "64", "64K", "64M", "2G" in powers of 1024 */
bool str_to_ms(const char *s, int64_t *out);     /* "250ms", "10s", "5m", "2h", "1d" */
bool utf8_valid(const char *s, size_t n);
size_t utf8_count(const char *s); /* code points in valid UTF-8 */
/* Longest prefix of s with at most `points` code points, in bytes. */
size_t utf8_prefix(const char *s, size_t points);
void hex_encode(const void *data, size_t n, char *out); /* 2n+1 bytes, lower case */
bool hex_decode(const char *s, size_t hexlen, unsigned char *out);
char *base64_encode(struct arena *a, const void *data, size_t n);
/* NULL when not canonical base64 (padding required). */
unsigned char *base64_decode(struct arena *a, const char *s, size_t *n);
/* The hex digits of `bytes` bytes in base64; NULL when s is NULL or holds another number. */
char *base64_hex(struct arena *a, const char *s, size_t bytes);
/* One pass of percent decoding; NULL on a bad escape or %00. plus_is_space for query strings. */
char *url_decode(struct arena *a, const char *s, size_t n, bool plus_is_space);
/* Encodes all but unreserved characters; keep_slash leaves '/' alone. */
char *url_encode(struct arena *a, const char *s, bool keep_slash);
/* Copies at most size-1 bytes and always terminates; returns false when truncated. */
bool str_copy(char *dst, size_t size, const char *src);

#endif
