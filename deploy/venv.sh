#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes a private Python environment and keeps it in step with a requirements file.
#   deploy/venv.sh DIR REQUIREMENTS
set -euo pipefail
dir=$1
requirements=$2
stamp="$dir/requirements.sha256"
sum=$(sha256sum <"$requirements")
if [ -x "$dir/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ]; then
  exit 0
fi
echo "making the Python environment $dir with: $(grep -v '^#' "$requirements" | tr '\n' ' ')"
mkdir -p "$(dirname "$dir")"
[ -x "$dir/bin/python" ] || python3 -m venv "$dir"
"$dir/bin/python" -m pip install -q --disable-pip-version-check -r "$requirements"
echo "$sum" >"$stamp"
