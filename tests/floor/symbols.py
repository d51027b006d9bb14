# SPDX-License-Identifier: Apache-2.0
"""No two rooms define a function of the same name: the linker would take the first one silently.
Usage: symbols.py BUILD_DIRECTORY. Skipped (77) without nm or libraries."""
import glob
import os
import shutil
import subprocess
import sys


def defined(library, nm):
    text = subprocess.run([nm, "-g", "--defined-only", library], capture_output=True, text=True).stdout
    return {line.split()[2] for line in text.splitlines() if len(line.split()) == 3 and line.split()[1] in "TDBR"}


def main():
    nm = shutil.which("nm")
    libraries = sorted(glob.glob(os.path.join(sys.argv[1], "libquern_*.a")))
    if not nm or len(libraries) < 2:
        print("no nm or no libraries in", sys.argv[1])
        return 77
    owners, count = {}, 0
    for library in libraries:
        for name in defined(library, nm):
            if not name.startswith(("__asan", "__odr_asan", "__sanitizer", "__ubsan", "__tsan")):
                owners.setdefault(name, []).append(os.path.basename(library))
                count += 1
    twice = {n: o for n, o in owners.items() if len(o) > 1}
    for name, where in sorted(twice.items()):
        print(f"{name} is defined in {' and '.join(where)}")
    print(f"{count} symbols of {len(libraries)} libraries, {len(twice)} defined twice")
    return 1 if twice or count < 100 else 0


if __name__ == "__main__":
    sys.exit(main())
