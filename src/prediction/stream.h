/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PREDICTION_STREAM_H
#define QUERN_PREDICTION_STREAM_H
/* Stream: captures on their way into segments, endpoint by endpoint. Of the recorder's thread. */
#include <stdbool.h>
#include <stdint.h>

struct capture;
struct db;

void streams_begin(struct db *db, int64_t next_id); /* of the first segment that is made */
void streams_end(void);
void streams_take(struct capture *k); /* frees it */
void streams_flush(void);             /* all lines to the disk */
/* Streams that nothing came to for long would pile up with the endpoints that ever were. */
void streams_forget_idle(void);
bool streams_write_to(int64_t segment);

#endif
