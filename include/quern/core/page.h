/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_CORE_PAGE_H
#define QUERN_CORE_PAGE_H
/* Page: offset tokens as MLflow's, base64 of {"offset": N} with N > 0. */
#include <stdint.h>

struct ctx;

/* NULL or "" is offset 0. Faults fail with ERR_INVALID and MLflow's wording. */
int page_offset(struct ctx *c, const char *token, int64_t *offset);
char *page_token(struct ctx *c, int64_t offset);

#endif
