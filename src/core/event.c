/* SPDX-License-Identifier: Apache-2.0 */
#include "quern/core/event.h"

#include "quern/base/arena.h"
#include "quern/base/str.h"

#define EVENT(type, subject, data, doc) {type, subject, data, doc},
const struct event_row event_rows[] = {
#include "quern/core/event.def"
};
#undef EVENT
const size_t event_row_count = ARRAY_LEN(event_rows);

const struct event_row *event_row(const char *type) {
    for (size_t i = 0; i < event_row_count; i++)
        if (str_eq(event_rows[i].type, type))
            return &event_rows[i];
    return NULL;
}
