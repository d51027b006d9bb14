#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every fuzz target of a build directory for some seconds each.
#   tests/fuzz/run.sh BUILD_DIR [SECONDS]
# What was found stays under BUILD_DIR/tests/fuzz/found/; a crash ends the script with 1.
set -euo pipefail
cd "$(dirname "$0")"
build=$(cd ../.. && cd "${1:?usage: tests/fuzz/run.sh BUILD_DIR [SECONDS]}" && pwd)
seconds=${2:-60}
status=0 count=0
for target in "$build"/tests/fuzz/fuzz_*; do
  [ -x "$target" ] && [ -f "$target" ] || continue
  name=$(basename "$target")
  found=$build/tests/fuzz/found
  mkdir -p "$found/$name"
  count=$((count + 1))
  if "$target" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=1024 \
      -verbosity=0 -print_final_stats=1 -artifact_prefix="$found/" \
      "$found/$name" "corpus/$name" > "$found/$name.log" 2>&1; then
    echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$found/$name.log") inputs, no fault"
  else
    status=1
    echo "$name: FAULT, see $found/$name.log"
    grep -v '" # Uses' "$found/$name.log" | tail -40
  fi
done
if [ "$count" = 0 ]; then
  echo "no fuzz target in $build; configure with the preset fuzz" >&2
  exit 2
fi
exit $status
