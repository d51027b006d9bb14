#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian or Ubuntu packages that a set needs, and says so first.
#   deploy/packages.sh run|test|all     run: build and example; test: tests too; all: fuzzing too
set -euo pipefail

run=(build-essential cmake ninja-build pkg-config libmicrohttpd-dev libsqlite3-dev libjansson-dev
     libcurl4-openssl-dev libgit2-dev libssl-dev zlib1g-dev libzstd-dev libyaml-dev
     libpcre2-dev
     git curl ca-certificates python3 python3-venv)
test=(clang clang-format ccache jq sqlite3 prometheus strace)
all=(libclang-rt-14-dev)

set_name=${1:-run}
want=("${run[@]}")
[ "$set_name" = run ] || want+=("${test[@]}")
[ "$set_name" != all ] || want+=("${all[@]}")

missing=()
for package in "${want[@]}"; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done
# A newer distribution names the runtime of its own clang.
if [ "$set_name" = all ] && ! apt-cache show libclang-rt-14-dev >/dev/null 2>&1; then
  missing=("${missing[@]/libclang-rt-14-dev/}")
fi
read -ra missing <<<"${missing[*]}"
if [ "${#missing[@]}" -eq 0 ]; then
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "these packages are missing and need root to install: ${missing[*]}" >&2
    exit 1
  }
  as_root=(sudo)
fi
echo "installing packages: ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
