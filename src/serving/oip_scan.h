/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_OIP_SCAN_H
#define QUERN_SERVING_OIP_SCAN_H
/* Oip scan: an Open Inference Protocol request, read straight into typed buffers. The text is
 * walked once; no tree is made. */
#include <stdbool.h>
#include <stddef.h>

#include "oip_parameters.h"
#include "quern/onnx/tensor.h"

struct ctx;

enum oip_form { OIP_FORM_UNSAID, OIP_FORM_JSON, OIP_FORM_BINARY };

/* How an output is asked for. */
struct oip_output {
    enum oip_form form;
    uint64_t classes; /* the best so many classes as texts (classification); 0: the output itself */
};

struct oip_request {
    struct bytes id; /* data NULL when absent */
    struct tensor *inputs;
    size_t ninputs;
    const char **wanted;        /* NULL-terminated names, NULL when all outputs are wanted */
    struct oip_output *outputs; /* of the wanted ones */
    size_t nwanted;
    bool binary; /* for outputs that do not say */
    struct oip_parameters parameters;
};

/* `json` is the JSON part, `raw` the bytes behind it (binary tensor extension; may be empty).
 * Fails with ERR_INVALID; the text names input and element. Memory is the context's arena; raw
 * tensors may point into `raw`. */
int oip_scan(struct ctx *c, const char *json, size_t n, const char *raw, size_t nraw,
             struct oip_request *out);

/* Reads `n` raw bytes as t->count elements of t->dtype, little-endian; BYTES with u32 lengths. */
int oip_raw(struct ctx *c, struct tensor *t, const char *raw, size_t n);

struct scan;
/* The array of tensors at the cursor, as requests and answers have it; those with binary_data_size
 * take their bytes from *raw. Messages call each an input. */
int oip_tensors(struct scan *s, const char **raw, size_t *nraw, struct tensor **items, size_t *n);

/* product of the shape; fails naming the input when it is negative or overflows. */
int oip_count(struct ctx *c, struct tensor *t);

#endif
