# SPDX-License-Identifier: Apache-2.0
"""What `cmake --install` puts where, and that it fits together: the unit file starts the binary that
was installed, the completions parse, the manual page is one.
Usage: install.py CMAKE BUILD_DIR"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

cmake, build = sys.argv[1:]
dest = tempfile.mkdtemp(prefix="quern-install-")
subprocess.run([cmake, "--install", build], check=True, capture_output=True,
               env={**os.environ, "DESTDIR": dest})
files = {os.path.relpath(os.path.join(d, f), dest): os.path.join(d, f)
         for d, _, fs in os.walk(dest) for f in fs}


def one(end):
    found = [p for n, p in files.items() if n.endswith(end)]
    assert len(found) == 1, f"{end}: {found} of {sorted(files)}"
    return found[0]


binary = one("bin/quern")
said = subprocess.run([binary, "version"], capture_output=True, text=True, check=True).stdout
assert said.startswith("quern "), said
unit = open(one("systemd/system/quern.service")).read()
started = re.search(r"^ExecStart=(\S+)", unit, re.M).group(1)
assert dest + started == binary, f"the unit starts {started}, installed is {binary[len(dest):]}"
assert ".TH QUERN 1" in open(one("man1/quern.1")).read(1000).upper().replace(chr(34), ""), "no manual page"
for end in ("systemd/system/quern.socket", "sysusers.d/quern.conf", "site-functions/_quern",
            "vendor_completions.d/quern.fish", "doc/quern/LICENSE", "doc/quern/README.md"):
    assert os.path.getsize(one(end)) > 0, end
subprocess.run(["bash", "-n", one("bash-completion/completions/quern")], check=True)
here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "migrations")
assert {os.path.basename(n) for n in files if n.endswith(".sql")} == set(os.listdir(here))
shutil.rmtree(dest)
print("ok")
