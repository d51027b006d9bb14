/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRACKING_PARAM_H
#define QUERN_TRACKING_PARAM_H
/* Param: immutable texts. Values over 6000 characters are cut before they are compared. */
#include <stddef.h>

#include "quern/core/shape.h"

struct ctx;
struct run_ref;

int param_check(struct ctx *c, const char *list, size_t index, const struct pair *p);
/* Checked params into an active run. The same value again is fine. `batch` picks the wording. */
int param_log(struct ctx *c, const struct run_ref *r, const struct pair *p, size_t n, bool batch);

#endif
