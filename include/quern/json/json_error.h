/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_JSON_JSON_ERROR_H
#define QUERN_JSON_JSON_ERROR_H
/* Json error: a context's error written in a dialect. */
#include "quern/core/dialect.h"

struct ctx;
struct buf;

/* Appends the body; returns the content type. ERR_INTERNAL never tells its message to the caller:
 * the text is "Internal error; see the log for request <id>". */
const char *json_error(enum dialect d, const struct ctx *c, struct buf *out);

#endif
