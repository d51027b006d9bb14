# SPDX-License-Identifier: Apache-2.0
"""docs/generated/ is what the built program prints. With --write it is written anew."""
import os
import subprocess
import sys

sys.path.insert(0, __file__.rsplit("/", 2)[0])
from quern import BIN

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "..", "..", "docs", "generated")
PAGES = {"openapi.json": ["openapi"], "api.md": ["reference", "api"],
         "settings.md": ["reference", "settings"], "metrics.md": ["reference", "metrics"],
         "errors.md": ["reference", "errors"], "events.md": ["reference", "events"]}
stale = []
for name, command in PAGES.items():
    printed = subprocess.run([BIN, *command], capture_output=True, check=True, text=True).stdout
    path = os.path.join(FOLDER, name)
    if "--write" in sys.argv:
        with open(path, "w") as f:
            f.write(printed)
    elif not os.path.exists(path) or open(path).read() != printed:
        stale.append(name)
print("stale: " + ", ".join(stale) if stale else "up to date")
if stale:
    print("write them with: QUERN_BIN=build/release/quern python3 tests/scenario/generated.py --write")
sys.exit(1 if stale else 0)
