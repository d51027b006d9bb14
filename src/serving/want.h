/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_WANT_H
#define QUERN_SERVING_WANT_H
/* Want: what other threads ask of the loader: an endpoint's models into memory or out of it. */
#include <stdbool.h>
#include <stdint.h>

struct want {
    struct want *next;
    int64_t project;
    bool park; /* out of memory until asked back */
    char endpoint[160];
};

struct want *want_take(void); /* the caller frees it; NULL when there is none */
void wants_look(void);        /* a snapshot was published: whoever waits looks at it */

#endif
