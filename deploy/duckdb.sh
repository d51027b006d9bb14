#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Puts DuckDB's shared library where quern looks for it: DEST/lib/libduckdb.so. Taken from the npm
# package (only unpacked, nothing of it is run). Only files with the digests below are accepted.
# Harmless to repeat. Quern runs without it; Parquet files are then neither read nor written.
#   deploy/duckdb.sh DEST
set -euo pipefail

version=1.5.6-r.1
case $(uname -m) in
  x86_64)
    arch=x64
    sha=3f4962cdd266eab2b479a5b5a4a6d063d279b2954ae814ed00385d553b747633
    ;;
  aarch64)
    arch=arm64
    sha=23686593dba4ec22c6e581bb1c843b3964e84c4bc4d0063d8b4daddd2e20e30a
    ;;
  *) echo "duckdb: no library is known for $(uname -m); name one with duck.library" >&2; exit 1 ;;
esac

[ $# -eq 1 ] || { echo "usage: deploy/duckdb.sh DEST" >&2; exit 2; }
mkdir -p "$1/lib"
target="$(cd "$1" && pwd)/lib/libduckdb.so"
digest() { sha256sum "$1" | cut -d' ' -f1; }

if [ -e "$target" ]; then
  if [ "$(digest "$target")" = "$sha" ]; then
    echo "duckdb: $target is in place"
  else
    echo "duckdb: $target is another file; it stays as it is"
  fi
  exit 0
fi

command -v npm >/dev/null || { echo "duckdb: there is no npm here to fetch it with" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
package="@duckdb/node-bindings-linux-$arch"
echo "duckdb: fetching npm package $package $version (24 MB)"
file=$(cd "$work" && npm pack --silent --ignore-scripts "$package@$version")
tar -xzf "$work/$file" -C "$work" package/libduckdb.so
got=$(digest "$work/package/libduckdb.so")
if [ "$got" != "$sha" ]; then
  echo "duckdb: libduckdb.so of $package $version has SHA-256 $got, not $sha: not used" >&2
  exit 1
fi
cp "$work/package/libduckdb.so" "$target.new"
chmod 755 "$target.new"
mv -f "$target.new" "$target"
echo "duckdb: $target is from npm package $package $version"
