/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PREDICTION_SCAN_H
#define QUERN_PREDICTION_SCAN_H
/* Scan: the records of an endpoint one by one, in the order they were written or the other way
 * round. Segments that went meanwhile are passed over, and so is what is damaged, which is logged
 * and counted. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ctx;
struct json_t;
struct segment;

struct scan_filter {
    const char *endpoint;
    int64_t from_ms, to_ms;                    /* both inclusive */
    int64_t version;                           /* 0: any */
    const char *model, *arm, *key, *id, *kind; /* NULL: any */
};

/* Where the scan is: the line that was last looked at. segment 0: nowhere yet. */
struct scan_at {
    int64_t segment, frame;
    int64_t line;
};

struct scan {
    const struct scan_filter *filter;
    bool newest_first;
    const struct segment *segments; /* by id */
    size_t nsegments;
    struct scan_at at;
    int64_t budget; /* bytes of lines that may still be looked at; below 0 the scan pauses */
    /* 0 goes on, 1 stops behind this record, negative fails. The tree is borrowed. */
    int (*record)(struct ctx *c, void *arg, struct json_t *tree, size_t bytes);
    void *arg;
    bool done;       /* everything was looked at */
    int64_t damaged; /* frames, or rests of segments, that could not be read and were passed over */
};

/* The segments as they are now; on a thread without a connection. */
int scan_begin(struct ctx *c, struct scan *s);
int scan_run(struct ctx *c, struct scan *s);

#endif
