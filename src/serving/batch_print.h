/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_BATCH_PRINT_H
#define QUERN_SERVING_BATCH_PRINT_H
/* Batch print: predicted rows as lines of CSV or JSON: the row's number in the input, the columns
 * that are kept, the outputs. In CSV an output of several values takes a column for each, called
 * OUTPUT_LABEL or OUTPUT_NUMBER. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "payload.h"

struct ctx;
struct buf;

struct batch_page {
    const struct column *const *keep;
    size_t nkeep;
    const struct tensor *outputs; /* each with a first size of as many rows */
    size_t n;
};

/* CSV's first line with its end, in c's arena. */
const char *page_header(struct ctx *c, const struct batch_page *p);
/* Row `i` of the page, which is number `row` of the input. */
void page_row(struct ctx *c, const struct batch_page *p, bool csv, size_t i, int64_t row,
              struct buf *out);

#endif
