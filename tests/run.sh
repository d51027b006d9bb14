#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The whole test: installs what is missing, builds with ASan and UBSan, runs a rung of the ladder.
#   tests/run.sh [quick|full|all]
#   quick  units and tables, under half a minute
#   full   adds real clients and whole scenarios (the default, and what CI runs)
#   all    adds crash loops, disk faults, thread sanitizer and fuzzing
set -euo pipefail
cd "$(dirname "$0")/.."
rung=${1:-full}
case $rung in
  quick) labels='^quick$' packages=test ;;
  full) labels='^(quick|full)$' packages=test ;;
  all) labels='^(quick|full|all)$' packages=all ;;
  *) echo "usage: tests/run.sh [quick|full|all]" >&2; exit 2 ;;
esac

deploy/packages.sh "$packages"
if [ "$rung" != quick ]; then
  deploy/venv.sh build/venv/mlflow3 examples/breast-cancer/requirements.txt
  deploy/venv.sh build/venv/mlflow2 tests/requirements-mlflow2.txt
  for line in 3 2; do deploy/venv.sh "build/venv/flow$line" "tests/requirements-flow$line.txt"; done
  # Parquet's tests are skipped without DuckDB's library, which comes as an npm package.
  if command -v npm >/dev/null; then deploy/duckdb.sh build || echo "no DuckDB: Parquet is not tested"; fi
fi

jobs=$(nproc)
cmake --preset asan -DQUERN_WERROR=ON
cmake --build --preset asan -j "$jobs"
if [ "$rung" = all ]; then
  cmake --preset tsan -DQUERN_WERROR=ON
  cmake --build --preset tsan -j "$jobs"
  # The sanitizer wants the address layout that newer kernels no longer give it by default.
  export TSAN_OPTIONS=suppressions=$PWD/tests/tsan.supp:halt_on_error=0:second_deadlock_stack=1
  for suite in base db lane process http net webhook graphql pipeline rollout prediction serving metric; do
    setarch "$(uname -m)" -R ctest --test-dir build/tsan -R "^unit\.$suite\." --output-on-failure
  done
  cmake --preset fuzz
  cmake --build --preset fuzz -j "$jobs"
  tests/fuzz/run.sh build/fuzz 60
fi

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
ctest --test-dir build/asan -L "$labels" --output-on-failure -j 2
