#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# From a fresh Debian 12 (or 13, or Ubuntu 24.04) to a running server with a real model in service:
# installs what is missing, builds a release, starts quern, runs the breast-cancer example against it
# and checks every result. Running it again is quick and harmless.
#   deploy/quickstart.sh [--once] [--port N] [--data DIR]
#     --once   stop the server at the end; the exit code tells whether every check held
set -euo pipefail
cd "$(dirname "$0")/.."

once=()
port=7780
data=./quern-data
while [ $# -gt 0 ]; do
  case $1 in
    --once) once=(--once) ;;
    --port) port=${2:?--port needs a number}; shift ;;
    --data) data=${2:?--data needs a folder}; shift ;;
    -h | --help) sed -n '3,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "quickstart: unknown option '$1'; --help tells" >&2; exit 2 ;;
  esac
  shift
done

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

say "1/4 packages"
deploy/packages.sh run
say "2/4 Python environment and ONNX Runtime for the example"
deploy/venv.sh build/venv/mlflow3 examples/breast-cancer/requirements.txt
deploy/onnxruntime.sh "$data" build/venv/mlflow3
say "3/4 build"
cmake --preset release -DQUERN_TESTS=OFF >build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
cmake --build --preset release -j "$(nproc)" | grep -E 'warning|error|Linking C executable|no work' || true
say "4/4 the example"
exec build/venv/mlflow3/bin/python examples/breast-cancer/line.py \
  --quern build/release/quern --data "$data" --port "$port" "${once[@]}"
