/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_REGISTRY_PRIVATE_SEARCH_H
#define QUERN_REGISTRY_PRIVATE_SEARCH_H
/* Search: filter and order of both searches, compiled to statements. */
#include <stdint.h>

#include "quern/core/shape.h"

struct ctx;
struct model_row;
struct version_rows;

struct search {
    const char *filter;
    struct strs order_by;
    int64_t limit, offset;
};
struct model_rows {
    struct model_row *items;
    size_t n, cap;
};

int models_search(struct ctx *c, const struct search *in, struct model_rows *out);
int versions_search(struct ctx *c, const struct search *in, struct version_rows *out);

#endif
