/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a batch job that never reach the model. */
#include "batch_sheet.h"

#include <string.h>

#include "check.h"

/* A NUL behind a backslash, and then more than the copy of a text up to the NUL would hold. */
static void nul_in_line(void) {
    static char line[1 << 20];
    struct batch_sheet sheet = {0};
    struct batch_chunk k = {.sheet = &sheet};
    memset(line, 'x', sizeof line);
    memcpy(line, "{\"a\":\"\\\0", 8);
    chunk_add(&k, &(struct record){.data = line, .len = sizeof line, .line = 1});
    chunk_add(&k, &(struct record){.data = "[1]", .len = 3, .line = 2});
    chunk_run(&k);
    CHECK_INT(k.failed, 2);
    CHECK_HAS(k.first_error, "row 0 (line 1): ");
    CHECK_HAS(k.first_error, "a string does not end");
    CHECK_HAS(k.errors.data, "as the first line, every line must be an object");
    chunk_free(&k);
}

int main(void) {
    RUN(nul_in_line);
    return CHECK_END();
}
