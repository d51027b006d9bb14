/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ONNX_DEADLINE_H
#define QUERN_ONNX_DEADLINE_H
/* Deadline: run options of the calling thread, and a mark by which onnx_watch sees how long its run
 * has been under way. No lock: a run costs two atomic operations on a line of its own. */
#include <stdbool.h>
#include <stdint.h>

#include "ort_abi.h"

struct runner;

/* Begins a run on this thread, to be stopped at `deadline_ns` (monotonic; 0: none of its own) or
 * past onnx_timeout, whichever comes first; not nested. */
struct runner *runner_begin(int64_t deadline_ns);
const ort_run_options *runner_options(const struct runner *r); /* may be NULL */
/* Ends it; true when it was told to stop, whatever came of that. */
bool runner_end(struct runner *r);

#endif
