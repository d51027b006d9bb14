/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ONNX_ONNX_H
#define QUERN_ONNX_ONNX_H
/* Onnx: ONNX Runtime through its C interface, opened with dlopen at run time; API version 16 by
 * slot number (serving.md 4.2), no header of it is needed. Sessions run on the caller's thread:
 * intra-op 1, inter-op 1, sequential, no spinning, memory pattern off. A session is immutable and
 * may be run by many threads at once. Functions that fail fill c->err: ERR_NOT_READY without the
 * library, ERR_INVALID for a wrong name, type or shape (the text names the input),
 * ERR_UNPROCESSABLE for a file that is no model. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct onnx_session;
struct ctx;
struct buf;

#include "quern/onnx/tensor.h"

/* Tries `path` (may be NULL or ""), then each of `more` (NULL-terminated). Called once at start;
 * -1 and a sentence when none loads. The library stays loaded till exit. */
int onnx_open(const char *path, const char *const *more, struct buf *error);
bool onnx_ready(void);
const char *onnx_version(void); /* "1.20.1"; "" when not loaded */
const char *onnx_path(void);

/* Loads from bytes; the runtime copies, so they may go afterwards. */
int onnx_load(struct ctx *c, const void *model, size_t n, struct onnx_session **out);
/* Loads from a file; tensors kept in external files are looked for beside it. */
int onnx_load_file(struct ctx *c, const char *path, struct onnx_session **out);
void onnx_free(struct onnx_session *s); /* caller makes sure that no run is under way */

size_t onnx_inputs(const struct onnx_session *s, const struct tensor_spec **specs);
size_t onnx_outputs(const struct onnx_session *s, const struct tensor_spec **specs);
/* Producer, domain, version and custom pairs, as JSON object text in the session. */
const char *onnx_metadata(const struct onnx_session *s);

/* Inputs in any order by name; all of the model's inputs must be there. Outputs (all, or those
 * named in `wanted`) are allocated in c's arena. Sequences of maps (skl2onnx's ZipMap) become an
 * FP64/FP32 tensor [rows, classes] with `classes` set to the keys' texts; sequences of tensors
 * become one tensor per element, "name_0", "name_1", .... NaN passes through. */
int onnx_run(struct ctx *c, const struct onnx_session *s, const struct tensor *in, size_t nin,
             const char *const *wanted, struct tensor **out, size_t *nout);

/* Bounds every later run: past `ms` (0: no bound), and past the deadline of the context that it is
 * given, it ends with ERR_DEADLINE, provided that some
 * thread calls onnx_watch again and again. The runtime looks between a graph's nodes, so one node's
 * work is the least that is done. */
void onnx_timeout(int64_t ms);
void onnx_watch(void); /* one thread; tells runs past their time to stop */

/* What a model file says of itself before the runtime sees it: a walk over the protobuf's wire form
 * that keeps nothing but the names of external tensor files. ERR_UNPROCESSABLE for bytes that are
 * no ONNX model, and for an external name that is not a plain relative one. */
struct onnx_scan {
    int64_t ir_version;
    const char *producer;  /* arena; "" when not said */
    const char **external; /* arena, each once, in order of appearance */
    size_t nexternal;
};
int onnx_scan(struct ctx *c, const void *model, size_t n, struct onnx_scan *out);

#endif
