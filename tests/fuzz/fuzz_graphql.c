/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as a GraphQL document: parsed and bounded, or refused with a message. */
#include <stdint.h>
#include <stdlib.h>

#include "document.h"
#include "quern/core/ctx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct gql_definition *all = NULL;
    struct ctx c;
    ctx_begin(&c);
    int rc = gql_parse(&c, (const char *)data, size, &all);
    for (const struct gql_definition *d = all; rc == 0 && d; d = d->next) {
        if (!d->first)
            abort();
        if (gql_bounds(&c, all, d) != 0 && !c.err.message)
            abort();
        err_clear(&c);
    }
    if (rc != 0 && !c.err.message)
        abort();
    ctx_end(&c);
    return 0;
}
