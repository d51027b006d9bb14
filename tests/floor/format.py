# SPDX-License-Identifier: Apache-2.0
"""Every C file stands as clang-format writes it with the tree's .clang-format.
Usage: format.py TREE. Exit 77 where clang-format 14 is not installed."""
import os
import shutil
import subprocess
import sys

tool = shutil.which("clang-format")
if not tool:
    print("clang-format is not installed")
    sys.exit(77)
version = subprocess.run([tool, "--version"], capture_output=True, text=True).stdout
if " 14." not in version:
    print("the tree is written by clang-format 14, whose layout others change; here is", version)
    sys.exit(77)
tree = sys.argv[1]
files = sorted(os.path.join(folder, name)
               for top in ("src", "include", "tests/unit", "tests/fuzz", "bench")
               for folder, _, names in os.walk(os.path.join(tree, top))
               for name in names if name.endswith((".c", ".h")))
assert len(files) > 100, f"only {len(files)} C files below {tree}"
r = subprocess.run([tool, "--dry-run", "-Werror", "--style=file", *files],
                   capture_output=True, text=True)
faults = sorted({os.path.relpath(line.split(":")[0], tree)
                 for line in r.stderr.splitlines() if ": error:" in line})
for f in faults:
    print("not formatted:", f)
if faults or r.returncode:
    print(r.stderr[:2000])
    print("format them with: clang-format -i FILE")
    sys.exit(1)
print(f"{len(files)} files")
