/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_JSON_JSON_IN_H
#define QUERN_JSON_JSON_IN_H
/* Json in: text to struct by shape. Depth over 64, text whose tree would take more than 256 MiB
 * (ERR_TOO_LARGE; "{}," takes 272 bytes), duplicate keys, bad UTF-8, NUL in
 * strings and trailing bytes are refused. In MLflow's dialect: unknown members ignored, null is
 * absent, camelCase accepted, int64 as number, numeric text or integral double, doubles also as
 * "NaN", "Infinity", "-Infinity" (and bare NaN/Infinity tokens), an unparsable body or [] counts as
 * {}, a JSON string holding JSON is decoded twice; wording of missing and wrong values is MLflow's
 * ("Missing value for required parameter 'metrics[0].key'. See the API docs for more information
 * about request parameters."). Elsewhere the error names the field by JSON pointer, what came and
 * what is wanted. */
#include <stdbool.h>
#include <stddef.h>

#include "quern/core/dialect.h"
#include "quern/core/shape.h"

struct ctx;
struct arena;
struct json_t;

/* Parses text to a tree that hangs on the arena. Empty text is {} in MLflow's dialect, else *out is
 * NULL with result 0 (jansson's accessors take NULL for "no such thing"). MLflow's leniency is for
 * syntax alone: duplicate keys, depth, NUL, UTF-8 and numbers out of range are refused there too.
 */
int json_parse(struct ctx *c, enum dialect d, const char *text, size_t n, struct json_t **out);
/* JSON text within a value; a new reference. NULL: it is none, nests deeper than 64 levels, or has
 * no room beside those made so before for this request (256 MiB; c->inner_full tells). */
struct json_t *json_inner(struct ctx *c, const char *text, size_t n);
/* Whether it is JSON of an object, an array or a text, of at most 256 MiB as a tree. */
bool json_is_inner(const char *text, size_t n);
/* Body, query pairs and path pairs into `out` (zeroed by the caller, `shape->size` bytes). For a
 * GET without a query string the body is used (MLflow). A GET's fields come from the query string,
 * flagged F_QUERY or not; an enum's number counts from 1, or from 0 where the first name ends in
 * UNSPECIFIED. */
int json_decode(struct ctx *c, enum dialect d, const struct shape *shape, struct json_t *body,
                const struct pairs *query, const struct pairs *path, void *out);
/* The same for a plain body without a tree between: true when all of it was decoded; false says
 * nothing (`out` is zeroed): then the two above decide. Never for shapes with F_PATH or F_QUERY
 * fields. `text` may be followed by anything. */
bool json_direct(struct ctx *c, const struct shape *shape, const char *text, size_t n, void *out);

#endif
