#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs a test in one of the Python environments that tests/run.sh makes; skipped (77) without it.
#   tests/venv.sh NAME SCRIPT [ARGUMENT...]
python="${QUERN_VENVS:-$(dirname "$0")/../build/venv}/$1/bin/python"
if [ ! -x "$python" ]; then
    echo "skipped: there is no Python environment '$1'; tests/run.sh makes it"
    exit 77
fi
shift
exec "$python" "$@"
