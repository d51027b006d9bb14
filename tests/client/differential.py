# SPDX-License-Identifier: Apache-2.0
"""The same calls to a genuine MLflow server and to Quern; status and every field of the answers must
agree once ids, times and random names are normalised. QUERN_GENUINE names the genuine `mlflow`
program; without it the test is skipped. The rows are in differential_calls.py; a row that is meant
to differ carries the reason, which is printed."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, __file__.rsplit("/", 2)[0])
sys.path.insert(0, __file__.rsplit("/", 1)[0])
from differential_calls import CALLS
from quern import Server, free_port

GENUINE = os.environ.get("QUERN_GENUINE", "")
ID = re.compile(r"\b(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")
NAME = re.compile(r"^[a-z]+-[a-z]+-\d{1,4}$")
# Fields one side adds and no client needs: the error classes and the workspace of newer servers; the
# aliases of a version, which Quern tells wherever it tells a version.
UNREAD = ("sqlstate", "error_class", "workspace")
# Outputs of a run came with 3.x and are ignored before.
EXTRA = ("aliases", "outputs")


class Genuine:
    """The genuine server, spoken to through the same requests as Quern."""

    def __init__(self, program):
        self.folder = tempfile.mkdtemp(prefix="quern-genuine-")
        self.port = free_port()
        self.talk = Server(data=self.folder, start=False)
        self.talk.port, self.talk.url = self.port, f"http://127.0.0.1:{self.port}"
        self.log = open(os.path.join(self.folder, "log"), "wb")
        path = os.path.dirname(program) + os.pathsep + os.environ["PATH"]
        version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
        self.major = int(re.search(r"(\d+)\.\d+", version).group(1))
        self.process = subprocess.Popen(
            [program, "server", "--backend-store-uri", f"sqlite:///{self.folder}/m.db", "--artifacts-destination",
             f"{self.folder}/artifacts", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"],
            stdout=self.log, stderr=self.log, start_new_session=True, cwd=self.folder,
            env={**os.environ, "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"})
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                if self.talk.get("/health", timeout=2).status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.2)
        self.stop()
        raise RuntimeError("the genuine server did not get ready")

    def stop(self):
        os.killpg(self.process.pid, 15)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def fill(value, known):
    """{name} in texts becomes what an earlier answer said."""
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda m: known.get(m.group(1), m.group(0)), value)
    if isinstance(value, list):
        return [fill(v, known) for v in value]
    if isinstance(value, dict):
        return {k: fill(v, known) for k, v in value.items()}
    return value


def pick(answer, path):
    for key in path.split("."):
        answer = answer[int(key) if key.isdigit() else key]
    return answer


def message(text):
    """The promise of a refusal: Python prints sets in random order, the genuine server appends what
    its database said, Quern the place in a filter."""
    text = ID.sub("<id>", text).replace("\\", "")
    text = re.split(r"already exists\.? Error", text)[0].strip()
    text = re.sub(r" \(at byte \d+\)", "", text)
    text = re.sub(r"[{\[(]('[^{}]*?')[}\])]", lambda m: " ".join(sorted(re.split(", ?", m.group(1)))), text)
    return text.replace("'", "").replace('"', "").replace(" already exists.", "").rstrip(". ")


def of_dataset(value):
    """Parts of an evaluation dataset are texts of JSON; its digest and the order of its records are by chance."""
    out = {k: json.loads(v) if k in ("tags", "schema", "profile", "records") and isinstance(v, str) else v for k, v in value.items()}
    if "digest" in out:
        out["digest"] = "<digest>"
    if "records" in out:
        out["records"].sort(key=lambda r: json.dumps(r["inputs"], sort_keys=True))
    return out


def normal(value, known, key=""):
    if isinstance(value, dict) and ("dataset_id" in value or isinstance(value.get("records"), str)):
        value = of_dataset(value)
    if isinstance(value, dict):
        return {k: normal(v, known, k) for k, v in value.items() if k not in UNREAD}
    if isinstance(value, list):
        items = [normal(v, known, key) for v in value]
        # Their order means nothing to a client.
        if key in ("tags", "params", "aliases", "metrics"):
            items.sort(key=lambda v: json.dumps(v, sort_keys=True))
        if key == "latest_versions":
            items.sort(key=lambda v: int(v["version"]))
        return items
    if isinstance(value, int) and not isinstance(value, bool) and abs(value - time.time() * 1000) < 3.6e6:
        return "<now>"
    if isinstance(value, str):
        for name, known_value in known.items():
            if len(known_value) > 8:
                value = value.replace(known_value, f"<{name}>")
        if key == "next_page_token" or key == "page_token":
            return "<token>"
        if key == "message":
            return message(value)
        if NAME.match(value):
            return "<random name>"
        return ID.sub("<id>", value)
    return value


def ask(server, call, known):
    """Status and normalised answer; what the call keeps goes into `known`."""
    body = fill(call.body, known)
    path = fill(call.path, known)
    answer = server.request(call.method, path if path.startswith("/") else "/api/2.0/mlflow/" + path,
                            body, headers=call.headers, raw=isinstance(body, (bytes, str)))
    try:
        found = answer.json
    except ValueError:
        found = "<text>"
    if "get-latest-versions" in path and isinstance(found, dict):  # one per stage, in no order
        found.get("model_versions", []).sort(key=lambda v: int(v["version"]))
    for name, where in call.keep.items():
        try:
            known[name] = str(pick(found, where))
        except (KeyError, IndexError, TypeError):
            known[name] = "<none>"
    return answer.status, normal(found, known)


def differences(left, right, at=""):
    if isinstance(left, dict) and isinstance(right, dict):
        for k in sorted(set(left) | set(right)):
            if k not in left or k not in right:
                if k in EXTRA and k in right and (k != "outputs" or right[k] == {}):
                    continue
                side = "only genuine" if k in left else "only quern"
                yield f"{at}.{k} {side}: {json.dumps(left.get(k, right.get(k)))[:200]}"
            else:
                yield from differences(left[k], right[k], f"{at}.{k}")
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for i, (a, b) in enumerate(zip(left, right)):
            yield from differences(a, b, f"{at}[{i}]")
    elif left != right or type(left) is not type(right):
        yield f"{at or '.'} genuine {json.dumps(left)[:300]}\n{'':24}quern   {json.dumps(right)[:300]}"


def main():
    genuine, quern = Genuine(GENUINE), Server()
    bad, compared, meant = [], 0, {}
    try:
        ours, theirs = {}, {}
        for number, call in enumerate(CALLS):
            if genuine.major < call.since:
                continue
            a, b = ask(genuine.talk, call, theirs), ask(quern, call, ours)
            compared += 1
            found = [] if a[0] == b[0] else [f"status genuine {a[0]}, quern {b[0]}"]
            # A page of text that refuses may be a JSON error of the same status.
            if not (a[0] == b[0] >= 400 and a[1] == "<text>"):
                found += differences(a[1], b[1])
            shown = f"{number} {call.method} {call.path[:90]} {str(call.body)[:120]}"
            if (call.differs or call.may_differ) and found:
                meant[call.differs or call.may_differ] = shown
            elif call.differs and genuine.major == 3:
                bad.append(f"{shown}\n    said to differ ({call.differs}) but does not")
            elif found:
                bad.append(shown + "".join("\n    " + line for line in found))
    finally:
        genuine.stop()
        quern.stop()
    print(f"{compared} calls compared, {len(bad)} differ, {len(meant)} reasons to differ on purpose:")
    for reason, shown in meant.items():
        print(f"  {shown[:70]}: {reason}")
    if bad:
        sys.exit("\n".join(bad))


if __name__ == "__main__":
    if not GENUINE:
        print("skipped: QUERN_GENUINE names no genuine mlflow")
        sys.exit(77)
    main()
