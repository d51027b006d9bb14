/* SPDX-License-Identifier: Apache-2.0 */
/* Bitmap: sets of row numbers inside statements, so that a scan fills or asks one without a row
 * leaving SQLite. The set travels as a pointer that no SQL text can make. */
#include "quern/base/bitmap.h"

#include "connection.h"

static void add_function(sqlite3_context *f, int n, sqlite3_value **arg) {
    (void)n;
    struct bitmap *b = sqlite3_value_pointer(arg[0], BITMAP_POINTER);
    if (b)
        bitmap_add(b, sqlite3_value_int64(arg[1]));
    sqlite3_result_int(f, 1);
}

static void has_function(sqlite3_context *f, int n, sqlite3_value **arg) {
    (void)n;
    const struct bitmap *b = sqlite3_value_pointer(arg[0], BITMAP_POINTER);
    sqlite3_result_int(f, b && bitmap_has(b, sqlite3_value_int64(arg[1])));
}

int bitmap_register(sqlite3 *handle) {
    int flags = SQLITE_UTF8 | SQLITE_DIRECTONLY;
    int r = sqlite3_create_function_v2(handle, "bitmap_add", 2, flags, NULL, add_function, NULL,
                                       NULL, NULL);
    if (r == SQLITE_OK)
        r = sqlite3_create_function_v2(handle, "bitmap_has", 2, flags, NULL, has_function, NULL,
                                       NULL, NULL);
    return r;
}
