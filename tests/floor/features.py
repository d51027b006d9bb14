# SPDX-License-Identifier: Apache-2.0
"""Every test that docs/features.md names must exist.

usage: features.py FEATURES.md BUILD_DIR [CTEST]

A test is named in back quotes within a table column whose head holds the word "test" or "shown",
or anywhere in a line that begins with "Test:" or "Tests:". `unit.json.*` means at least one. Fuzz
targets exist in the preset fuzz alone, so their sources count. Without the file there is nothing
to check."""
import fnmatch
import os
import re
import subprocess
import sys

QUOTED = re.compile(r"`([^`]+)`")
RULE = re.compile(r"^[\s|:-]+$")


def cells(line):
    return [c.strip() for c in line.strip().strip("|").split("|")]


def named(text):
    """(line number, test name) of every test that the page names."""
    columns, head = None, None
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"\s*([-*]\s*)?Tests?:", line):
            for name in QUOTED.findall(line):
                yield number, name
        if not line.lstrip().startswith("|"):
            columns = head = None
            continue
        if RULE.match(line) and head:
            columns = [i for i, c in enumerate(head) if re.search(r"\b(tests?|shown)\b", c, re.I)]
        elif columns is None:
            head = cells(line)
        else:
            row = cells(line)
            for i in columns:
                for name in QUOTED.findall(row[i]) if i < len(row) else []:
                    yield number, name


def known(build, ctest):
    out = subprocess.run([ctest, "-N", "--test-dir", build], capture_output=True, text=True)
    if out.returncode != 0:
        sys.exit(f"{ctest} -N failed: {out.stderr}")
    tests = set(re.findall(r"^\s*Test\s+#\d+: (\S+)", out.stdout, re.M))
    fuzz = os.path.join(os.path.dirname(__file__), "..", "fuzz")
    for name in os.listdir(fuzz) if os.path.isdir(fuzz) else []:
        if name.startswith("fuzz_") and name.endswith(".c"):
            tests.add("fuzz." + name[5:-2])
    return tests


def main():
    page, build = sys.argv[1:3]
    ctest = sys.argv[3] if len(sys.argv) > 3 else "ctest"
    if not os.path.exists(page):
        print("no features page yet; nothing to check")
        return 0
    with open(page, encoding="utf-8") as f:
        names = list(named(f.read()))
    tests = known(build, ctest)
    missing = [(n, t) for n, t in names if not fnmatch.filter(tests, t)]
    for number, name in missing:
        print(f"features.md:{number}: there is no test {name}")
    print(f"{len(names)} tests named, {len(missing)} missing; ctest knows {len(tests)}")
    if not names:
        print("features.md names no test at all")
    return 1 if missing or not names else 0


if __name__ == "__main__":
    sys.exit(main())
