#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Puts ONNX Runtime's shared library where quern looks for it: DEST/lib/libonnxruntime.so. Taken, in
# this order, from a Python environment that has it, from the npm package (only unpacked, nothing of
# it is run) and from the PyPI wheel. Only files with the digests below are accepted. Harmless to
# repeat.
#   deploy/onnxruntime.sh DEST [VENV]
set -euo pipefail

npm_version=1.23.2
pip_version=1.32.0
case $(uname -m) in
  x86_64)
    npm_arch=x64
    npm_sha=733854c3d7ce45256cc1c22cd4a30373247e1f7b7de8f40beab24211ef8e2a76
    pip_sha=6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f
    ;;
  aarch64)
    npm_arch=arm64
    npm_sha=648ffa64fbe027ae27139109410900cf776a030dec2dbbac51053318cc44c286
    pip_sha=49852228a93995158b2a813d4df487d47a1b76b0eaa894507ef49e91b6d7954a
    ;;
  *) echo "onnxruntime: no library is known for $(uname -m); name one with onnx.library" >&2; exit 1 ;;
esac

[ $# -ge 1 ] || { echo "usage: deploy/onnxruntime.sh DEST [VENV]" >&2; exit 2; }
mkdir -p "$1/lib"
target="$(cd "$1" && pwd)/lib/libonnxruntime.so"
venv=${2:+$(cd "$2" 2>/dev/null && pwd || true)}

digest() { sha256sum "$1" | cut -d' ' -f1; }
accept() { # FILE SHA256 WHERE-FROM
  local got
  got=$(digest "$1")
  if [ "$got" != "$2" ]; then
    echo "onnxruntime: $(basename "$1") from $3 has SHA-256 $got, not $2: not used" >&2
    return 1
  fi
  cp "$1" "$target.new"
  chmod 755 "$target.new"
  mv -f "$target.new" "$target"
  echo "onnxruntime: $target is from $3"
}

if [ -e "$target" ]; then
  case $(digest "$target") in
    "$npm_sha" | "$pip_sha") echo "onnxruntime: $target is in place"; exit 0 ;;
    *) echo "onnxruntime: $target is another file; it stays as it is"; exit 0 ;;
  esac
fi

if [ -n "$venv" ]; then
  for file in "$venv"/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*; do
    [ -e "$file" ] && accept "$file" "$pip_sha" "the Python environment $venv" && exit 0
  done
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

from_npm() {
  command -v npm >/dev/null || { echo "onnxruntime: there is no npm here"; return 1; }
  echo "onnxruntime: fetching npm package onnxruntime-node $npm_version (97 MB)"
  (cd "$work" && npm pack --silent --ignore-scripts "onnxruntime-node@$npm_version" >/dev/null) || return 1
  local inside="package/bin/napi-v6/linux/$npm_arch/libonnxruntime.so.1"
  tar -xzf "$work/onnxruntime-node-$npm_version.tgz" -C "$work" "$inside" || return 1
  accept "$work/$inside" "$npm_sha" "npm package onnxruntime-node $npm_version"
}

from_pip() {
  local python=python3
  [ -n "$venv" ] && [ -x "$venv/bin/python" ] && python="$venv/bin/python"
  "$python" -m pip --version >/dev/null 2>&1 || { echo "onnxruntime: there is no pip here"; return 1; }
  echo "onnxruntime: fetching PyPI package onnxruntime $pip_version (25 MB)"
  "$python" -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: \
    -d "$work" "onnxruntime==$pip_version" || return 1
  "$python" -m zipfile -e "$work"/onnxruntime-*.whl "$work/wheel" || return 1
  accept "$work/wheel/onnxruntime/capi/libonnxruntime.so.$pip_version" "$pip_sha" \
    "PyPI package onnxruntime $pip_version"
}

from_npm || from_pip || {
  echo "onnxruntime: not to be had; quern runs without it but loads no models" >&2
  exit 1
}
