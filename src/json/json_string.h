/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_JSON_JSON_STRING_H
#define QUERN_JSON_JSON_STRING_H
/* Json string: escaped, with its quotes; a byte that is no UTF-8 becomes the replacement character.
 */
#include <stddef.h>

struct buf;

void json_put_string(struct buf *out, const char *s, size_t n);

#endif
