/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_CORE_EVENT_H
#define QUERN_CORE_EVENT_H
/* Event: the kinds of news, as rows (event.def). Written by lane's event_emit, which takes no
 * other. */
#include <stddef.h>

struct event_row {
    const char *type;    /* "model.alias.moved" */
    const char *subject; /* kind of the ref it is about */
    const char *data;    /* members of its JSON */
    const char *doc;
};

extern const struct event_row event_rows[];
extern const size_t event_row_count;

const struct event_row *event_row(const char *type); /* NULL: no such event */

#endif
