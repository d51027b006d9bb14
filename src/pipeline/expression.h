/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PIPELINE_EXPRESSION_H
#define QUERN_PIPELINE_EXPRESSION_H
/* Expression: the small pure language of `when`.
 *
 *   or    := and  { ("or" | "||") and }
 *   and   := not  { ("and" | "&&") not }
 *   not   := ("not" | "!") not | test
 *   test  := term [ ("==" "!=" "<" "<=" ">" ">=") term | ["not"] "in" term ]
 *   term  := number | 'text' | "text" | true | false | null | path | "${" path "}"
 *          | "[" term { "," term } "]" | "(" or ")"
 *   path  := name { "." name | "[" index "]" }
 *
 * A path without a value is null. Values of different kinds are never equal; ordering them is an
 * error that names both sides. */
#include <stdbool.h>
#include <stddef.h>

struct ctx;
struct json_t;
struct expr;

/* Errors: ERR_INVALID "... at character N". */
int expr_parse(struct ctx *c, const char *text, struct expr **out);
/* Paths are walked in root (see json_walk). */
int expr_test(struct ctx *c, const struct expr *e, struct json_t *root, bool *out);
/* Calls fn for each path, until one gives non-zero. */
int expr_paths(const struct expr *e, int (*fn)(void *arg, const char *path), void *arg);

#endif
