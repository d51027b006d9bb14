/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_ONNX_SESSION_H
#define QUERN_ONNX_SESSION_H
/* Session: a loaded model and what was learnt of its doors at load time; immutable afterwards. */
#include <stdbool.h>

#include "ort_abi.h"
#include "quern/onnx/tensor.h"

struct arena;

enum port_kind {
    PORT_TENSOR,
    PORT_MAPS,    /* sequence of maps: ZipMap */
    PORT_TENSORS, /* sequence of tensors: one array per label of a multi-output model */
};

struct port {
    enum port_kind kind;
    bool any_rank; /* the graph does not say how many dimensions */
};

struct onnx_session {
    struct arena *arena;
    ort_session *ort;
    size_t nin, nout;
    struct tensor_spec *in, *out;
    struct port *in_port, *out_port;
    const char **in_names, **out_names;
    const char *metadata;
};

#endif
