/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_TRANSFER_ORDER_H
#define QUERN_TRANSFER_ORDER_H
/* Order: the orders that the lists of quern/tracking/copy.h, quern/trace/copy.h and
 * quern/genai/copy.h have, for sources that do not come in them. */
#include <stddef.h>

struct copy_dataset;
struct copy_point;
struct copy_record;
struct copy_span;
struct pairs;

void order_texts(const char **texts, size_t n);
void order_pairs(struct pairs *p); /* by key */
void order_datasets(struct copy_dataset *d, size_t n);
void order_spans(struct copy_span *s, size_t n);
void order_records(struct copy_record *r, size_t n);
/* Points of one key, each kept once; how many are left. */
size_t order_points(struct copy_point *p, size_t n);

#endif
