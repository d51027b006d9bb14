/* SPDX-License-Identifier: Apache-2.0 */
/* Constant answers: a row for each of the request's, and no more than fits. */
#include "degrade.h"

#include <string.h>

#include "check.h"
#include "quern/core/ctx.h"

static const char outputs[] = "[{\"name\": \"Y\", \"datatype\": \"INT64\", \"shape\": [1, 8], "
                              "\"data\": [1, 2, 3, 4, 5, 6, 7, 8]}]";

static void test_rows(void) {
    struct ctx c;
    struct degrade_step step = {0};
    struct tensor *t = NULL;
    size_t n = 0;
    ctx_begin(&c);
    CHECK_INT(degrade_constant_read(&c, outputs, "outputs", &step), 0);
    CHECK_INT(degrade_constant(&c, &step, 3, &t, &n), 0);
    CHECK_INT(n, 1);
    CHECK_INT(t[0].shape[0], 3);
    CHECK_INT(t[0].count, 24);
    for (int i = 0; i < 24; i++)
        CHECK_INT(((const int64_t *)t[0].data)[i], i % 8 + 1);
    ctx_end(&c);
}

/* Rows come from a shape, and [2305843009213693952, 0] needs no data. */
static void refused(size_t rows) {
    struct ctx c;
    struct degrade_step step = {0};
    struct tensor *t = NULL;
    size_t n = 0;
    ctx_begin(&c);
    CHECK_INT(degrade_constant_read(&c, outputs, "outputs", &step), 0);
    CHECK_INT(degrade_constant(&c, &step, rows, &t, &n), -ERR_TOO_LARGE);
    CHECK_HAS(c.err.message, "rows");
    ctx_end(&c);
}

static void test_room(void) {
    refused((size_t)1 << 61); /* times 8 elements: 0 again */
    refused((size_t)1 << 40);
    refused(((size_t)128 << 20) / 64 + 1);
}

int main(void) {
    RUN(test_rows);
    RUN(test_room);
    return CHECK_END();
}
