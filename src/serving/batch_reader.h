/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_BATCH_READER_H
#define QUERN_SERVING_BATCH_READER_H
/* Batch reader: a large file of rows, cut into records without being understood: CSV records (a
 * quoted field may hold line ends) and lines of JSON. Blank lines are no records. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECORD_MAX ((size_t)4 << 20)

struct batch_reader {
    int fd;
    bool csv;
    bool ended; /* nothing more can be read */
    char *data;
    size_t from, len, cap; /* what was read and not handed out: data[from, len) */
    int64_t offset;        /* of data[from] in the file */
    int64_t line;          /* of data[from], from 1 */
    int failure;           /* -errno */
    char head[1024];       /* of a record that is too long */
};

struct record {
    const char *data; /* without its line end; until the next call */
    size_t len;
    int64_t line;
    bool too_long; /* or a quote in it does not end; only the beginning of its first line */
};

/* Reads on at `offset`, which is where an earlier reader stood. */
int reader_open(struct batch_reader *r, int fd, bool csv, int64_t offset, int64_t line);
void reader_close(struct batch_reader *r); /* not the descriptor */
/* 1 a record, 0 the end, -errno. */
int reader_next(struct batch_reader *r, struct record *out);

#endif
