# SPDX-License-Identifier: Apache-2.0
"""The floor check must find what it is for: a small house with one fault at a time."""
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from floors import SPDX, House  # noqa: E402

CLEAN = {
    "include/quern/base/str.h": f"{SPDX}\n#include <stddef.h>\n",
    "include/quern/core/ctx.h": f'{SPDX}\n#include "quern/base/str.h"\n',
    "include/quern/db/db.h": f"{SPDX}\n",
    "include/quern/http/route.h": f'{SPDX}\n#include "quern/core/ctx.h"\n',
    "include/quern/access/access.h": f"{SPDX}\n",
    "include/quern/tracking/tracking.h": f"{SPDX}\n",
    "src/db/db.c": f'{SPDX}\n#include <sqlite3.h>\n#include "quern/db/db.h"\n#include "own.h"\n',
    "src/db/own.h": f"{SPDX}\n",
    "src/tracking/run_api.c": f'{SPDX}\n#include "quern/http/route.h"\n'
                              '#include "quern/access/access.h"\n',
    "tests/unit/db/db_test.c": f'{SPDX}\n#include "own.h"\n#include "check.h"\n',
    "tests/unit/check.h": f"{SPDX}\n",
    "tests/unit/access/house.h": f"{SPDX}\n",
    "tests/unit/tracking/run_test.c": f'{SPDX}\n#include "access/house.h"\n#include "check.h"\n',
    "docs/a.md": "see /api/v1/work/ and docs/root/x\n",
}
# file, its text, what must be said of it
PLANTED = [
    ("src/db/a.c", f'{SPDX}\n#include "quern/http/route.h"\n', "db may not include"),
    ("src/access/a.c", f'{SPDX}\n#include "quern/tracking/tracking.h"\n', "access may not include"),
    ("src/base/a.c", f'{SPDX}\n#include "quern/core/ctx.h"\n', "base may not include"),
    ("include/quern/base/b.h", f'{SPDX}\n#include "quern/core/ctx.h"\n', "base may not include"),
    ("src/core/a.c", f'{SPDX}\n#include "quern/db/db.h"\n', "core may not include"),
    ("tests/unit/core/a_test.c", f'{SPDX}\n#include "quern/db/db.h"\n', "core may not include"),
    ("src/access/a.c", f"{SPDX}\n#include <sqlite3.h>\n", "its door is db"),
    ("src/access/a.c", f"{SPDX}\n#  include <openssl/evp.h>\n", "its door is crypto"),
    ("src/db/a.c", f"{SPDX}\n#include <git2.h>\n", "its door is git"),
    ("src/core/a.c", f"{SPDX}\n#include <jansson.h>\n", "its door is"),
    ("src/access/a.c", f'{SPDX}\n#include "own.h"\n', "is no header of access"),
    ("src/access/a.c", f'{SPDX}\n#include "../db/own.h"\n', "by its bare name"),
    ("src/access/a.c", f'{SPDX}\n#include "db/own.h"\n', "by its bare name"),
    ("tests/unit/db/a_test.c", f'{SPDX}\n#include "access/house.h"\n', "db may not include"),
    ("tests/unit/db/a_test.c", f'{SPDX}\n#include "../access/house.h"\n', "db may not include"),
    ("src/db/a.c", f'{SPDX}\n#include "../../tests/unit/access/house.h"\n', "by its bare name"),
    ("include/quern/db/x.h", f'{SPDX}\n#include "own.h"\n', "public headers only"),
    ("src/access/a.c", f'{SPDX}\n#include "quern/http/route.h"\n', "only *_api and doors"),
    ("src/access/a.c", f'{SPDX}\n#include "quern/db/none.h"\n', "does not exist"),
    ("src/strange/a.c", f"{SPDX}\n", "not in the plan"),
    ("src/db/utils.c", f"{SPDX}\n", "named after its noun"),
    ("src/db/blob_manager.c", f"{SPDX}\n", "named after its noun"),
    ("tests/common.py", "x = 1\n", "named after its noun"),
    ("tests/client/operator.py", f"# {SPDX[3:-3]}\n", "module operator of its own"),
    ("src/db/a.c", "int x;\n", "the first line must be"),
    ("tests/unit/db/b_test.c", "\n" + SPDX, "the first line must be"),
    ("docs/b.md", "cd /wor" + "k/main\n", "absolute path"),
    ("docs/b.md", "`/ro" + "ot/.cache`\n", "absolute path"),
    ("docs/b.md", "https://py" + "pi.org/simple\n", "package registry"),
    ("x.lock", "resolved https://registry.npm" + "js.org/a\n", "package registry"),
    ("docs/b.md", "pip install --index" + "-url http://10.0.0.1/simple x\n", "package index"),
]


def faults_of(files):
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            whole = os.path.join(root, path)
            os.makedirs(os.path.dirname(whole), exist_ok=True)
            with open(whole, "w") as f:
                f.write(text)
        return House(root).check()


def main():
    failed = 0
    clean = faults_of(CLEAN)
    if clean:
        failed += 1
        print("the clean house has faults:", clean)
    for path, text, said in PLANTED:
        found = faults_of({**CLEAN, path: text})
        if len(found) != 1 or path not in found[0] or said not in found[0]:
            failed += 1
            print(f"{path} with {text.splitlines()[-1]!r}: wanted {said!r}, got {found}")
    print(f"{len(PLANTED)} planted faults, {failed} not told right")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
