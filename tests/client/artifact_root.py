# SPDX-License-Identifier: Apache-2.0
"""A folder as artifact root: locations are given out below it, the daemon lists and sends from it,
and no URI of a client makes it read anything else. Plain HTTP; the test plays the client that writes
the folder."""
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quern import BIN, Server, free_port  # noqa: E402

SECRET = b"SECRET-51c7"


def check(cond, *seen):
    assert cond, "seen: " + " ".join(repr(x) for x in seen)


def experiment(s, name, **more):
    a = s.mlflow("experiments/create", {"name": name, **more})
    check(a.status == 200, name, a)
    return a.json["experiment_id"]


def location(s, number):
    return s.get(f"/api/2.0/mlflow/experiments/get?experiment_id={number}").json["experiment"]["artifact_location"]


def run(s, number):
    return s.mlflow("runs/create", {"experiment_id": number}).json["run"]["info"]


def write(root, uri, name, body):
    path = os.path.join(urllib.parse.unquote(uri[len("file://"):]), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(body)
    return path


def listed(s, run_id, path=""):
    return s.get("/api/2.0/mlflow/artifacts/list?" + urllib.parse.urlencode({"run_id": run_id, "path": path}))


def got(s, run_id, path):
    return s.get("/get-artifact?" + urllib.parse.urlencode({"run_id": run_id, "path": path}))


def locations(s, root):
    check(location(s, 0) == f"file://{root}/0", location(s, 0))
    number = experiment(s, "plain")
    check(number == "1" and location(s, 1) == f"file://{root}/1", number, location(s, 1))
    info = run(s, "1")
    check(info["artifact_uri"] == f"file://{root}/1/{info['run_id']}/artifacts", info)
    m = s.post("/api/2.0/mlflow/logged-models", {"experiment_id": "1", "name": "m"}).json["model"]["info"]
    check(m["artifact_uri"] == f"file://{root}/1/models/{m['model_id']}/artifacts", m)
    given = experiment(s, "given", artifact_location="s3://bucket/folder?x=1")
    check(location(s, given) == "s3://bucket/folder?x=1", location(s, given))
    relative = experiment(s, "relative", artifact_location="my_location")
    check(location(s, relative) == os.path.join(os.getcwd(), "my_location"), location(s, relative))


def reading(s, root):
    info = run(s, "1")
    check(listed(s, info["run_id"]).json == {"root_uri": info["artifact_uri"]}, listed(s, info["run_id"]))
    write(root, info["artifact_uri"], "a/b.txt", b"hello")
    write(root, info["artifact_uri"], "caf\u00e9 %41.bin", b"x" * 1000)
    write(root, info["artifact_uri"], "empty", b"")
    files = listed(s, info["run_id"]).json["files"]
    check(files == [{"path": "a", "is_dir": True}, {"path": "caf\u00e9 %41.bin", "is_dir": False, "file_size": 1000},
                    {"path": "empty", "is_dir": False}], files)
    check(listed(s, info["run_id"], "a").json["files"] == [{"path": "a/b.txt", "is_dir": False, "file_size": 5}], "a")
    check("files" not in listed(s, info["run_id"], "a/b.txt").json, "a file lists itself")
    a = got(s, info["run_id"], "a/b.txt")
    check(a.status == 200 and a.body == b"hello", a)
    check(a.headers["Content-Type"] == "text/plain" and a.headers["X-Content-Type-Options"] == "nosniff", dict(a.headers))
    check(a.headers["Content-Disposition"].startswith("attachment"), dict(a.headers))
    check(got(s, info["run_id"], "caf\u00e9 %41.bin").body == b"x" * 1000, "percent")
    check(got(s, info["run_id"], "a").status == 400, got(s, info["run_id"], "a"))
    a = got(s, info["run_id"], "none")
    check(a.status == 404 and "No such artifact: 'none'" in a.json["message"], a)
    s3 = run(s, "2")
    a = listed(s, s3["run_id"])
    check(a.status == 400 and "s3://bucket/folder" in a.json["message"], a)


def hostile(s, root, base):
    """Symbolic links, climbing paths, and locations that clients chose."""
    info = run(s, "1")
    other = experiment(s, "other")
    foreign = run(s, other)
    secret = os.path.join(base, "secret")
    with open(secret, "wb") as f:
        f.write(SECRET)
    write(root, foreign["artifact_uri"], "own", SECRET)
    here = os.path.dirname(write(root, info["artifact_uri"], "real", b"real"))
    os.symlink(secret, os.path.join(here, "link"))
    os.symlink(base, os.path.join(here, "folder"))
    os.symlink("/proc/self", os.path.join(here, "magic"))
    os.mkfifo(os.path.join(here, "fifo"))
    names = [f["path"] for f in listed(s, info["run_id"]).json["files"]]
    check(names == ["real"], names)
    tried = ["link", "folder/secret", "magic/environ", "fifo", "../../../secret", "%2e%2e/%2e%2e/%2e%2e/secret",
             "..%2f..%2f..%2fsecret", "%252e%252e%252f%252e%252e%252f%252e%252e%252fsecret", "..\\..\\..\\secret", secret, "file://" + secret,
             "//" + secret, "real/../../../../secret", "real#/../../secret", "./real", "a//b", "C:/secret", "~/secret", "real\x00.txt"]
    for path in tried:
        for a in (got(s, info["run_id"], path), listed(s, info["run_id"], path)):
            check(SECRET not in a.body and b"secret" not in a.body.replace(path.encode(), b"") or a.status >= 400, path, a)
            check(SECRET not in a.body, path, a)
            check(a.status < 500, path, a)
        check(got(s, info["run_id"], path).status in (400, 404), path, got(s, info["run_id"], path))
    # Locations as a client gives them are handed out and never opened, also inside the root.
    for i, uri in enumerate([f"file://{base}", base, "file:///", f"file://{root}", f"file://{root}/{other}", f"file:{base}", f"FILE://{base}",
                             f"file://localhost{base}", f"file://{root}/%2e%2e", f"file://{root}/../", f"file://{root}/{other}/{foreign['run_id']}"]):
        number = experiment(s, f"hostile {i}", artifact_location=uri)
        mine = run(s, number)
        for path in ("secret", "own", f"{other}/{foreign['run_id']}/artifacts/own", f"../../{foreign['run_id']}/artifacts/own"):
            for a in (got(s, mine["run_id"], path), listed(s, mine["run_id"], os.path.dirname(path)), listed(s, mine["run_id"])):
                check(a.status == 400 and SECRET not in a.body, uri, path, a)
        m = s.post("/api/2.0/mlflow/logged-models", {"experiment_id": number, "name": "m"}).json["model"]["info"]
        a = s.get(f"/ajax-api/2.0/mlflow/logged-models/{m['model_id']}/artifacts/files?artifact_file_path=secret")
        check(a.status == 400, uri, a)


def sources(s, root):
    """Model versions from local paths: below the artifact folder of the run that is named, and nowhere else."""
    info = run(s, "1")
    write(root, info["artifact_uri"], "model/MLmodel", b"flavors: {}")
    s.mlflow("registered-models/create", {"name": "m"})
    uri, path, run_id = info["artifact_uri"], urllib.parse.unquote(info["artifact_uri"][len("file://"):]), info["run_id"]

    def create(source, **more):
        return s.mlflow("model-versions/create", {"name": "m", "source": source, **more})

    for source in (uri, uri + "/model", path + "/model", uri + "/model/", path + "//model", uri + "/./model"):
        a = create(source, run_id=run_id)
        check(a.status == 200 and a.json["model_version"]["source"] == source, source, a)
    version = create(uri + "/model", run_id=run_id).json["model_version"]["version"]
    for v in (version, "3"):
        a = s.get(f"/model-versions/get-artifact?name=m&version={v}&path=MLmodel")
        check(a.status == 200 and a.body == b"flavors: {}", v, a)
    other = run(s, "1")
    for source, more in ((uri, {}), (path, {}), ("/tmp", {"run_id": run_id}), (uri, {"run_id": other["run_id"]}), ("file:///", {"run_id": run_id}),
                         ("/", {"run_id": run_id}), (f"file://{root}", {"run_id": run_id}), (uri + "x", {"run_id": run_id}),
                         ("file://1.2.3.4" + path, {"run_id": run_id}), ("model", {"run_id": run_id}), (uri + "/a?b", {"run_id": run_id})):
        a = create(source, **more)
        check(a.status == 400 and "To use a local path as a model version" in a.json["message"], source, a)
    for source in (uri + "/../../x", uri + "/%2e%2e/x", uri + "/model/../..", path + "/%252e%252e/x"):
        a = create(source, run_id=run_id)
        check(a.status == 400 and "Invalid model version source" in a.json["message"], source, a)
    m = s.post("/api/2.0/mlflow/logged-models", {"experiment_id": "1", "name": "m", "source_run_id": run_id}).json["model"]["info"]
    write(root, m["artifact_uri"], "MLmodel", b"logged")
    a = create("models:/" + m["model_id"], model_id=m["model_id"])
    check(a.status == 200, a)
    v = a.json["model_version"]["version"]
    check(s.get(f"/api/2.0/mlflow/model-versions/get-download-uri?name=m&version={v}").json["artifact_uri"] == m["artifact_uri"], m)
    a = s.get(f"/model-versions/get-artifact?name=m&version={v}&path=MLmodel")
    check(a.status == 200 and a.body == b"logged", a)
    a = create(m["artifact_uri"], model_id=m["model_id"])
    check(a.status == 200, a)
    # A location that a client made up passes by its text, but stays unread.
    number = experiment(s, "made up", artifact_location="file:///etc")
    mine = run(s, number)
    a = create(mine["artifact_uri"], run_id=mine["run_id"])
    check(a.status == 200, a)
    v = a.json["model_version"]["version"]
    a = s.get(f"/model-versions/get-artifact?name=m&version={v}&path=passwd")
    check(a.status == 404 and b"root:" not in a.body, a)


def traces(s, root):
    """Spans that an older client wrote beside the runs of an experiment."""
    a = s.mlflow("traces", {"experiment_id": "1", "timestamp_ms": 1, "status": "OK"})
    check(a.status == 200, a)
    info = a.json["trace_info"]
    uri = {t["key"]: t["value"] for t in info["tags"]}["mlflow.artifactLocation"]
    check(uri == f"file://{root}/1/traces/{info['request_id']}/artifacts", uri)
    door = "/ajax-api/2.0/mlflow/get-trace-artifact?request_id=" + info["request_id"]
    check(s.get(door).status == 404, s.get(door))
    write(root, uri, "traces.json", b'{"spans": []}')
    a = s.get(door)
    check(a.status == 200 and a.body == b'{"spans": []}', a)
    for elsewhere in ("file:///etc", f"file://{root}/2/x", "file:///", "s3://b/x", f"file://{root}/1/../2"):
        a = s.request("PATCH", f"/api/2.0/mlflow/traces/{info['request_id']}/tags", {"key": "mlflow.artifactLocation", "value": elsewhere})
        check(a.status == 200, a)
        check(s.get(door).status == 404, elsewhere, s.get(door))


def refused(base):
    """Roots that cannot be."""
    data = os.path.join(base, "refused-data")
    for uri in ("file:///", "relative/folder", "file://host/folder", "file:///a/../b", "file://" + data + "/x", "s3:", "mlflow-artifacts:/?x"):
        p = subprocess.run([BIN, "serve", "--listen", f"127.0.0.1:{free_port()}", "--data", data, "--mlflow-artifact-root", uri],
                           capture_output=True, text=True, timeout=20)
        check(p.returncode not in (0, None) and "mlflow.artifact-root" in p.stderr + p.stdout, uri, p)
    with Server(args=["--mlflow-artifact-root", "s3://bucket/top/"]) as s:
        check(location(s, 0) == "s3://bucket/top/0", location(s, 0))
        check(listed(s, run(s, "0")["run_id"]).status == 400, "s3")


def kept(base):
    """A later change of the root leaves what is there."""
    data = os.path.join(base, "kept-data")
    with Server(data=data) as s:
        check(location(s, 0) == "mlflow-artifacts:/0", location(s, 0))
        info = run(s, "0")
    with Server(data=data, args=["--mlflow-artifact-root", f"file://{base}/later"]) as s:
        check(location(s, 0) == "mlflow-artifacts:/0", location(s, 0))
        check(listed(s, info["run_id"]).status == 200, "old run")
        check(location(s, experiment(s, "new")) == f"file://{base}/later/1", "new experiment")


if __name__ == "__main__":
    top = tempfile.mkdtemp(prefix="quern root-")
    try:
        folder = os.path.join(top, "root")
        with Server(args=["--mlflow-artifact-root", "file://" + urllib.parse.quote(folder)]) as server:
            where = urllib.parse.quote(folder)
            for test, args in ((locations, (where,)), (reading, (where,)), (hostile, (where, top)), (sources, (where,)), (traces, (where,))):
                test(server, *args)
                print("ok", test.__name__)
        for test in (refused, kept):
            test(top)
            print("ok", test.__name__)
    finally:
        shutil.rmtree(top, ignore_errors=True)
