/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRANSFER_YAML_FLAT_H
#define QUERN_TRANSFER_YAML_FLAT_H
/* Yaml flat: small YAML files as pairs. A mapping within the top one gives keys "outer/inner";
 * lists, aliases and deeper nesting are passed over; null is as if it were not there. */
#include <stddef.h>

#include "quern/core/shape.h"

struct ctx;

/* False when the text is no mapping with plain keys, or more than one document. */
bool yaml_flat(struct ctx *c, const char *text, size_t n, struct pairs *out);
const char *yaml_get(const struct pairs *p, const char *key); /* NULL: absent */
int64_t yaml_number(const struct pairs *p, const char *key);  /* 0: absent or no number */

#endif
