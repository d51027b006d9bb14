/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ACCESS_API_H
#define QUERN_ACCESS_API_H
/* Wire shapes and rules that several doors of access share. */
#include "quern/http/route.h"

struct principal_row;
struct principal_in {
    const char *name, *kind, *password, *role;
    struct opt_bool system;
};
struct principal_out {
    const char *name, *kind, *role;
    struct opt_bool system;
    struct opt_i64 created_ms;
};

/* Lists are cut into pages: the query of each of them. */
struct page_in {
    struct opt_i64 max_results;
    const char *page_token;
};
extern const struct shape page_in_shape;

extern const char *const role_names[];
extern const struct shape principal_in_shape;
extern const struct shape principal_shape;

/* The page asked for: at most *limit rows behind *offset. A list reads one row more to know whether
 * another page follows. */
int page_read(struct ctx *c, const struct page_in *in, int64_t *limit, int64_t *offset);

/* ASCII identifier of D2's grammar. */
int name_check(struct ctx *c, const char *field, const char *name);
/* Inside a write; the first principal administers the installation and ends local mode. */
int principal_create(struct ctx *c, const struct principal_in *in, const char *password_hash,
                     struct principal_out *out);
/* Whether nobody could administer the installation without this one. */
int principal_last_system(struct ctx *c, const struct principal_row *row, bool *last);

#endif
