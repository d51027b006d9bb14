/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a block of points. What is taken must survive being written and read again. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "metric_block.h"
#include "metric_store.h"
#include "quern/base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct points p = {0}, q = {0};
    struct buf b = {0};
    struct block_state s = {0};
    if (block_get(data, size, &p, NULL)) {
        for (size_t i = 0; i < p.n; i++) {
            if (!isfinite(p.items[i].value) || (p.items[i].is_nan && p.items[i].value != 0))
                abort();
            block_put(&b, &s, &p.items[i]);
        }
        if (!block_get(b.data, b.len, &q, NULL) || q.n != p.n)
            abort();
        for (size_t i = 0; i < p.n; i++)
            if (point_order(&p.items[i], &q.items[i]) != 0)
                abort();
    } else if (p.n != 0) {
        abort();
    }
    points_sort(&p);
    points_unique(&p);
    block_digest(data, size);
    points_free(&p);
    points_free(&q);
    buf_free(&b);
    return 0;
}
