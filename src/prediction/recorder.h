/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_PREDICTION_RECORDER_H
#define QUERN_PREDICTION_RECORDER_H
/* Recorder: the thread between the ring and the segments. segment_files is called before. */
#include <stdint.h>

struct buf;
struct db;

int recorder_start(struct db *db, int64_t sweep_ms, struct buf *error);
void recorder_stop(void); /* writes what is in the ring */

#endif
