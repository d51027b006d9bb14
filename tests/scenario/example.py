# SPDX-License-Identifier: Apache-2.0
"""The example's own acceptance against the binary under test, with a fresh data directory."""
import glob
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, __file__.rsplit("/", 2)[0])
from quern import BIN, HERE, free_port

data = tempfile.mkdtemp(prefix="quern-example-")
os.makedirs(os.path.join(data, "lib"))
site = os.path.dirname(os.path.dirname(sys.executable))
found = glob.glob(os.path.join(site, "lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*"))
assert found, "the environment's onnxruntime package ships no shared library"
os.symlink(found[0], os.path.join(data, "lib", "libonnxruntime.so"))
line = os.path.join(HERE, "..", "examples", "breast-cancer", "line.py")
code = subprocess.call([sys.executable, line, "--quern", BIN, "--data", data, "--once",
                        "--port", str(free_port())])
if code:
    with open(os.path.join(data, "quickstart.log")) as f:
        sys.stderr.write(f.read()[-6000:])
shutil.rmtree(data, ignore_errors=True)
sys.exit(code)
