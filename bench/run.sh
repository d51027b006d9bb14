#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds a release and prints what it does on this machine, beside goals and bare limits.
#   bench/run.sh [--quick] [--points N] [--only start,log,create,bytes,growth,chart,search,filled,serve,...]
# Talks to 127.0.0.1 only; ends what it starts; needs some 4 GB below build/ meanwhile.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
build=${QUERN_BENCH_BUILD:-$here/build/release}
if [ ! -f "$build/build.ninja" ]; then
    cmake -S "$here" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo >/dev/null
fi
ninja -C "$build" bench >/dev/null || {
    ninja -C "$build" bench
    exit 1
}
onnx=${QUERN_ONNX_LIBRARY:-}
for at in "$here"/build/lib/libonnxruntime.so*; do
    if [ -z "$onnx" ] && [ -f "$at" ]; then
        onnx=$at
    fi
done
data=$(mktemp -d "$here/build/bench-XXXXXX")
trap 'rm -rf "$data"' EXIT
trap 'exit 130' INT TERM
python3 "$here/bench/table.py" --quern "${QUERN_BIN:-$build/quern}" --programs "$build/bench" --data "$data" \
    --onnx "$onnx" "$@"
