/* SPDX-License-Identifier: Apache-2.0 */
#ifndef QUERN_SERVING_BUNDLE_H
#define QUERN_SERVING_BUNDLE_H
/* Bundle: a model version with all that it takes to run it elsewhere, as one archive: manifest.json
 * with the digest of every file, manifest.sig (Ed25519 over the manifest, in hex), the version's
 * files below model/, its golden cases and run.py, which checks all of it and predicts. The same
 * version under the same key gives the same bytes. */
#include <stddef.h>

#include "quern/core/shape.h"

struct bundle_file {
    const char *path, *sha256;
    struct opt_i64 size;
};
struct bundle_manifest {
    const char *format; /* BUNDLE_FORMAT */
    const char *model, *onnx, *public_key;
    struct opt_i64 version, golden;
    struct strs features; /* column names of the signature, in order */
    struct list files;    /* struct bundle_file, by path */
};
extern const struct shape shape_bundle_manifest;

#define BUNDLE_FORMAT "quern-bundle-1"
#define BUNDLE_MANIFEST "manifest.json"
#define BUNDLE_SIGNATURE "manifest.sig"

#endif
