/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PREDICTION_SEGMENT_H
#define QUERN_PREDICTION_SEGMENT_H
/* Segment: a file of frames, each a zstd frame of JSON lines behind a skippable frame that tells
 * its size, count and times; so any zstd tool prints the file. It only grows, and only as much of
 * it counts as its index row says: what a crash left behind that is overwritten or cut off. */
#include <stddef.h>
#include <stdint.h>

struct buf;
struct ctx;
struct dir;
struct segment;

/* A frame's lines are at most this long together. */
#define FRAME_MOST ((size_t)64 << 20)

struct frame {
    int64_t at;           /* of its header in the file */
    uint32_t packed, raw; /* bytes */
    uint32_t records;
    int64_t from_ms, to_ms;
};

void segment_files(struct dir *data); /* where they are; NULL at the end */
/* Writes one frame behind the segment's bytes and syncs it; then *s (bytes, raw_bytes, digest on
 * the heap of the caller: char[65]) tells of it. 0 or -errno. */
int segment_append(struct segment *s, char digest[65], const struct frame *f, const char *lines);
int segment_cut(const struct segment *s); /* to its bytes */
int segment_remove(const struct segment *s);
/* Removes files whose id is not among `ids`, sorted; how many. */
size_t segment_sweep_files(struct ctx *c, const int64_t *ids, size_t n);

/* Reading. ERR_NOT_FOUND: the file is gone, as when its records' time was over. ERR_UNPROCESSABLE:
 * damaged; then *fd is open all the same, and the frames before the damage are told. They are in
 * c's arena. */
int segment_open(struct ctx *c, const struct segment *s, int *fd, struct frame **frames, size_t *n);
int frame_read(struct ctx *c, int fd, const struct frame *f, struct buf *lines);

#endif
