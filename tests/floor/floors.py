# SPDX-License-Identifier: Apache-2.0
"""The plan of the house as a check: who may include what, and what no committed file may hold.

usage: floors.py [ROOT]     prints one line per fault and ends with 1 when there is any

The tables below are the plan of ARCHITECTURE: a folder sees the floors below it, a room also the
rooms to its left, always through include/quern/; each library has one door."""
import os
import re
import subprocess
import sys

ROOMS = ["access", "artifact", "lineage", "tracking", "trace", "registry", "trash", "webhook",
         "genai", "graphql", "transfer", "pipeline", "rollout", "prediction",
         "serving"]
PIPES = ["db", "http", "process", "net", "git", "crypto", "onnx", "duck", "schedule"]
GROUND = ["base", "core", "json", "metric", "config"]

SEES = {"base": set(), "core": {"base"}}
for folder in ["json", "metric", "config"]:
    SEES[folder] = {"base", "core"}
for folder in PIPES:
    SEES[folder] = set(GROUND)
SEES["lane"] = set(GROUND + PIPES)
for i, folder in enumerate(ROOMS):
    SEES[folder] = set(GROUND + PIPES + ["lane"] + ROOMS[:i])
SEES["app"] = set(GROUND + PIPES + ["lane"] + ROOMS)

# Library header (a pattern) and the folders that may include it.
DOORS = [
    (r"sqlite3\.h", {"db"}),
    (r"microhttpd\.h", {"http"}),
    (r"openssl/.*", {"crypto"}),
    (r"git2(/.*|\.h)", {"git"}),
    (r"pcre2\.h", {"db"}),
    (r"yaml\.h", {"pipeline", "serving", "transfer", "app"}),  # definitions, MLmodel, mlruns
    (r"curl/.*", {"net", "app"}),
    (r"zlib\.h", {"http", "serving", "trace"}),
    (r"zstd\.h", {"http", "prediction"}),
    (r"dlfcn\.h", {"onnx", "duck", "http"}),
    # Trees travel through shapes (T_JSON), so those above json may look into them.
    (r"jansson\.h", set(SEES) - {"base", "core", "metric", "config", "db", "git", "crypto"}),
]
# In a room, only doors know HTTP's types; its public header names its list of routes.
HTTP_FILES = re.compile(r"^include/quern/|(^|[_/])(api|doors)\.[ch]$")
BAD_STEMS = {"util", "utils", "common", "helper", "helpers", "manager", "managers", "misc"}
SPDX = "/* SPDX-License-Identifier: Apache-2.0 */"
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)

# Written apart, so that this file passes its own check.
MACHINE_PATH = re.compile(r"(?:^|[\s\"'`=(,:>\[])(/(?:wor" + r"k|ro" + r"ot)/[^\s\"'`)]*)", re.M)
REGISTRIES = [
    "py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "yarn" + "pkg.com",
    "proxy.golang" + ".org", "static.crates" + ".io", "index.crates" + ".io",
    "conda.ana" + "conda.org", "rubygems" + ".org", "repo.maven.apache" + ".org",
    "deb.debian" + ".org", "archive.ubuntu" + ".com", "docker" + ".io", "ghcr" + ".io",
    "quay" + ".io", "nuget" + ".org",
]
REGISTRY = re.compile("|".join(re.escape(h) for h in REGISTRIES))
INDEX_URL = re.compile(r"--(?:extra-)?index" + r"-url[= ]\s*['\"]?\w+://\S+")


class House:
    def __init__(self, root):
        self.root = os.path.abspath(root)
        self.faults = []

    def fault(self, path, line, text):
        self.faults.append(f"{path}:{line}: {text}" if line else f"{path}: {text}")

    def read(self, path):
        with open(os.path.join(self.root, path), "rb") as f:
            return f.read()

    def sources(self, top):
        for folder, dirs, names in os.walk(os.path.join(self.root, top)):
            dirs[:] = [d for d in dirs if d not in ("build", ".git", "__pycache__")]
            for name in sorted(names):
                if name.endswith((".c", ".h", ".def")):
                    yield os.path.relpath(os.path.join(folder, name), self.root)

    def committed(self):
        """What git has, or every file where there is no repository."""
        git = subprocess.run(["git", "-C", self.root, "ls-files", "-z"], capture_output=True)
        if git.returncode == 0 and git.stdout:
            names = git.stdout.decode().split("\0")
        else:
            names = []
            for folder, dirs, files in os.walk(self.root):
                dirs[:] = [d for d in dirs if d not in ("build", ".git", "__pycache__")]
                names += [os.path.relpath(os.path.join(folder, f), self.root) for f in files]
        return [n for n in names if n and os.path.isfile(os.path.join(self.root, n))]

    def check_include(self, path, folder, line, mark, target):
        own = f"src/{folder}"
        if target.startswith("quern/"):
            other = target.split("/")[1]
            if other not in SEES:
                self.fault(path, line, f"{target}: no folder of that name in the plan")
            elif other != folder and other not in SEES[folder]:
                self.fault(path, line, f"{folder} may not include {target}")
            elif (other == "http" and folder in ROOMS
                  and not HTTP_FILES.search(path) and not path.startswith("tests/")):
                self.fault(path, line, f"{target}: in a room only *_api and doors know HTTP")
            if not os.path.isfile(os.path.join(self.root, "include", target)):
                self.fault(path, line, f"{target} does not exist")
            return
        for pattern, doors in DOORS:
            if re.fullmatch(pattern, target) and folder not in doors:
                self.fault(path, line, f"{folder} may not include {target}; its door is "
                                       + ", ".join(sorted(doors)))
        if mark != '"':
            return
        here = os.path.dirname(path)
        if path.startswith("include/"):
            self.fault(path, line, f'"{target}": a public header includes public headers only')
        elif self.lent(here, target):
            # The set-up of a test, lent by a folder that this one may see.
            lender = self.lent(here, target).split("/")[2]
            if lender != folder and lender not in SEES[folder]:
                self.fault(path, line, f"{folder} may not include {target}")
        elif os.path.dirname(target):
            self.fault(path, line, f'"{target}": a private header is included by its bare name')
        elif not any(os.path.isfile(os.path.join(self.root, d, target))
                     for d in {here, own, "tests/unit"} if d.startswith(("src", "tests"))):
            self.fault(path, line, f'"{target}" is no header of {folder}')

    def lent(self, here, target):
        """The header of another folder's tests that a test includes, or None."""
        for start in (here, "tests/unit"):
            path = os.path.normpath(os.path.join(start, target))
            if (here.startswith("tests/unit/") and path.startswith("tests/unit/")
                    and path.count("/") > 2 and os.path.isfile(os.path.join(self.root, path))):
                return path
        return None

    def check_includes(self):
        for top, where in (("src", 1), ("include/quern", 2), ("tests/unit", 2)):
            for path in self.sources(top):
                parts = path.split("/")
                if len(parts) <= where + 1:
                    continue  # tests/unit/check.h
                folder = parts[where]
                if folder not in SEES:
                    self.fault(path, 0, f"the folder {folder} is not in the plan")
                    continue
                text = self.read(path).decode("utf-8", "replace")
                for m in INCLUDE.finditer(text):
                    self.check_include(path, folder, text.count("\n", 0, m.start()) + 1, *m.groups())

    def check_names(self):
        for path in self.committed():
            stem = os.path.basename(path).split(".")[0].lower()
            if stem in BAD_STEMS or stem.split("_")[-1] in BAD_STEMS:
                self.fault(path, 0, "a file is named after its noun, not " + stem)
            elif path.endswith(".py") and stem in sys.stdlib_module_names:
                # Its folder is searched first: it would hide Python's own from every neighbour.
                self.fault(path, 0, f"Python has a module {stem} of its own")

    def check_licence(self):
        for top in ("src", "include", "tests", "bench", "examples"):
            for path in self.sources(top):
                if path.endswith(".def"):
                    continue
                first = self.read(path).split(b"\n", 1)[0].decode("utf-8", "replace").strip()
                if first != SPDX:
                    self.fault(path, 1, f"the first line must be {SPDX}")

    def check_text(self):
        for path in self.committed():
            data = self.read(path)
            if b"\0" in data[:8192]:
                continue
            text = data.decode("utf-8", "replace")
            for pattern, what in ((MACHINE_PATH, "an absolute path of some machine"),
                                  (REGISTRY, "the address of a package registry"),
                                  (INDEX_URL, "the address of a package index")):
                for m in pattern.finditer(text):
                    line = text.count("\n", 0, m.start(m.lastindex or 0)) + 1
                    self.fault(path, line, f"{what}: {m.group(m.lastindex or 0)}")

    def check(self):
        self.check_includes()
        self.check_names()
        self.check_licence()
        self.check_text()
        return self.faults


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", "..")
    house = House(root)
    faults = house.check()
    for f in faults:
        print(f)
    print(f"{len(faults)} faults against the plan of the house")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
