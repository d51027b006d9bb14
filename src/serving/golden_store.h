/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_GOLDEN_STORE_H
#define QUERN_SERVING_GOLDEN_STORE_H
/* Golden store: where a version's cases lie: put for it, or a file among its artifacts. */
#include <stdbool.h>
#include <stdint.h>

#include "quern/access/access.h"

struct ctx;
struct folder;
struct model_version_info;

struct golden_row {
    int64_t model; /* its number */
    int64_t version;
    char sha256[65]; /* of the document; "" when there is none */
    int64_t size, cases;
    int64_t updated_ms;
    bool file; /* it is the version's artifact golden.json; cases and updated_ms are not known */
};

/* Inside a read or write. The row of a version that the caller may `need`, without looking at its
 * files. ERR_NOT_FOUND for the version, ERR_FORBIDDEN. */
int golden_store_get(struct ctx *c, const char *name, int64_t version, enum object_need need,
                     struct golden_row *out);
/* Inside a write; the blob is referenced with the row. */
int golden_store_put(struct ctx *c, const struct golden_row *r);
int golden_store_delete(struct ctx *c, const struct golden_row *r);

/* Inside a read: the document that counts for a version, whose files may be NULL (then they are
 * looked for). sha256 "" when there is none. */
int golden_find(struct ctx *c, const struct model_version_info *info, const struct folder *files,
                struct golden_row *out);

#endif
