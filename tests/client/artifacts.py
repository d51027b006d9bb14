# SPDX-License-Identifier: Apache-2.0
"""Artifacts through the genuine MLflow client, whichever version runs this."""
import hashlib
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quern import Server, wait_until  # noqa: E402

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
import mlflow  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402

FILES = {
    "plain.txt": b"hello",
    "with blank.txt": b"blank",
    "caf\u00e9.txt": "\u00e9".encode(),
    "\u65e5\u672c\u8a9e.csv": b"a,b\n1,2\n",
    "100%.txt": b"percent",
    "plus+and&more=.txt": b"signs",
    "zero.bin": b"",
    "sub/deeper/deepest/file.bin": os.urandom(100_000),
    "sub/deeper/other": b"x",
    "sub/zero": b"",
}


def check(cond, *seen):
    assert cond, "seen: " + " ".join(repr(x) for x in seen)


def digest(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        while part := f.read(1 << 20):
            h.update(part)
    return h.hexdigest()


def tree(root):
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, root)] = digest(path)
    return found


def listed(client, run_id, path=None):
    """Everything below path: name to size, None for folders."""
    out = {}
    for f in client.list_artifacts(run_id, path):
        out[f.path] = None if f.is_dir else f.file_size
        if f.is_dir:
            out.update(listed(client, run_id, f.path))
    return out


def whole_tree(client, run_id):
    with tempfile.TemporaryDirectory() as src, tempfile.TemporaryDirectory() as dst:
        for name, body in FILES.items():
            os.makedirs(os.path.dirname(os.path.join(src, name)), exist_ok=True)
            with open(os.path.join(src, name), "wb") as f:
                f.write(body)
        client.log_artifacts(run_id, src, "tree")
        got = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="tree", dst_path=dst)
        check(tree(got) == tree(src), tree(got), tree(src))
        seen = listed(client, run_id, "tree")
        for name, body in FILES.items():
            # The wire has no size for an empty file, so a client shows none or zero.
            check((seen.get("tree/" + name, "absent") or 0) == len(body), name, seen)
        check(seen["tree/sub"] is None and seen["tree/sub/deeper/deepest"] is None, seen)
        for name, body in FILES.items():
            one = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="tree/" + name,
                                                      dst_path=tempfile.mkdtemp(dir=dst))
            with open(one, "rb") as f:
                check(f.read() == body, name)


def single_files(client, run_id):
    client.log_text(run_id, "text \u00e9", "notes/readme.md")
    client.log_dict(run_id, {"a": [1, 2]}, "notes/conf.json")
    check(mlflow.artifacts.load_text(f"runs:/{run_id}/notes/readme.md") == "text \u00e9", "text")
    check(mlflow.artifacts.load_dict(f"runs:/{run_id}/notes/conf.json") == {"a": [1, 2]}, "dict")
    client.log_text(run_id, "again", "notes/readme.md")
    check(mlflow.artifacts.load_text(f"runs:/{run_id}/notes/readme.md") == "again", "not replaced")
    check(client.list_artifacts(run_id, "notes/readme.md") == [], "a file lists itself")
    check(client.list_artifacts(run_id, "nothing/here") == [], "a missing folder lists something")
    try:
        mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="nothing/here")
        check(False, "a missing artifact was downloaded")
    except (MlflowException, OSError) as e:
        check("here" in str(e), str(e))


def big_file(client, run_id):
    with tempfile.TemporaryDirectory() as src, tempfile.TemporaryDirectory() as dst:
        path = os.path.join(src, "fifty mebibytes.bin")
        with open(path, "wb") as f:
            for _ in range(50):
                f.write(os.urandom(1 << 20))
        client.log_artifact(run_id, path, "big")
        got = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="big/fifty mebibytes.bin", dst_path=dst)
        check(digest(got) == digest(path), "50 MiB differ")
        check([f.file_size for f in client.list_artifacts(run_id, "big")] == [50 << 20], client.list_artifacts(run_id, "big"))
        return path


def with_env(**values):
    """Settings of the client for one test; some lines read them at each use."""
    class Env:
        def __enter__(self):
            self.before = {k: os.environ.get(k) for k in values}
            os.environ.update(values)

        def __exit__(self, *_):
            for k, v in self.before.items():
                os.environ.pop(k) if v is None else os.environ.__setitem__(k, v)
    return Env()


PARTS = {"MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": str(6 << 20), "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": str(5 << 20),
         "MLFLOW_MULTIPART_DOWNLOAD_MINIMUM_FILE_SIZE": str(6 << 20), "MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE": str(5 << 20)}


def log_of(server, word):
    return server.log_text(1 << 24).count(word)


def logged(server, word, times):
    """A request's line comes after its answer."""
    try:
        wait_until(word, lambda: log_of(server, word) >= times, 5)
    except AssertionError:
        pass
    check(log_of(server, word) == times, word, log_of(server, word), times)


def in_parts(client, run_id, server):
    """Told to, the client sends a file in parts, and fetches it by ranges of a signed URL."""
    with with_env(MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD="true", MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD="true", **PARTS), \
            tempfile.TemporaryDirectory() as src:
        path = os.path.join(src, "parts \u00e9%.bin")
        with open(path, "wb") as f:
            f.write(os.urandom((37 << 20) + 12345))
        client.log_artifact(run_id, path, "multi")
        logged(server, "/mpu/create/", 1)
        logged(server, "PUT /api/2.0/mlflow-artifacts/parts/", 8)
        logged(server, "/mpu/complete/", 1)
        got = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="multi/parts \u00e9%.bin", dst_path=src + "/x")
        check(digest(got) == digest(path), "differ")
        if int(mlflow.__version__.split(".")[0]) >= 3:
            wait_until("signed URLs", lambda: log_of(server, "GET /api/2.0/mlflow-artifacts/signed/") >= 8, 5)
        small = os.path.join(src, "small.txt")
        with open(small, "w") as f:
            f.write("small")
        client.log_artifact(run_id, small, "multi")
        got = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="multi", dst_path=src + "/y")
        check(sorted(tree(got)) == ["parts \u00e9%.bin", "small.txt"], tree(got))
        check("signature=" not in server.log_text(1 << 24), "a signature is in the log")
        check(os.listdir(os.path.join(server.data, "uploads")) == [], os.listdir(os.path.join(server.data, "uploads")))


def part_fails(client, run_id, server):
    """A client that cannot send a part aborts, and nothing of it is left."""
    import requests
    genuine, calls = requests.put, []

    def put(url, *a, **kw):
        calls.append(url)
        if "/parts/" in url and len(calls) == 3:
            raise requests.ConnectionError("cut")
        return genuine(url, *a, **kw)

    with with_env(MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD="true", **PARTS), tempfile.TemporaryDirectory() as src:
        path = os.path.join(src, "cut.bin")
        with open(path, "wb") as f:
            f.write(os.urandom(20 << 20))
        requests.put = put
        try:
            client.log_artifact(run_id, path, "cut")
            check(False, "the upload went on without a part")
        except Exception as e:
            check("part" in str(e), e)
        finally:
            requests.put = genuine
        check(len(calls) >= 3, calls)
        logged(server, "/mpu/abort/", 1)
        check(client.list_artifacts(run_id, "cut") == [], "there")
        check(os.listdir(os.path.join(server.data, "uploads")) == [], os.listdir(os.path.join(server.data, "uploads")))


def asked_by_itself(client, run_id, server):
    """The newest line asks server-info and then fetches by signed URLs without being told."""
    with tempfile.TemporaryDirectory() as dst:
        before = log_of(server, "/mlflow-artifacts/presigned/")
        client.log_text(run_id, "by itself", "itself.txt")
        got = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="itself.txt", dst_path=dst)
        with open(got) as f:
            check(f.read() == "by itself", "differs")
        print("signed by itself:", log_of(server, "/mlflow-artifacts/presigned/") - before)


def file_root():
    """A folder as root: the client reads and writes it, the server reads it."""
    with tempfile.TemporaryDirectory() as root, Server(args=["--mlflow-artifact-root", "file://" + root]) as s:
        mlflow.set_tracking_uri(s.url)
        client = MlflowClient(s.url)
        run = client.create_run(client.create_experiment("shared folder"))
        run_id, uri = run.info.run_id, run.info.artifact_uri
        check(uri == f"file://{root}/1/{run_id}/artifacts", uri)
        client.log_text(run_id, "text", "a/b.txt")
        check(os.path.exists(f"{root}/1/{run_id}/artifacts/a/b.txt"), "not in the folder")
        check([f.path for f in client.list_artifacts(run_id, "a")] == ["a/b.txt"], client.list_artifacts(run_id, "a"))
        check(mlflow.artifacts.load_text(f"runs:/{run_id}/a/b.txt") == "text", "text")
        check(s.get(f"/get-artifact?run_id={run_id}&path=a/b.txt").body == b"text", "the server does not send it")
        client.create_registered_model("m")
        v = client.create_model_version("m", uri + "/a", run_id)
        check(client.get_model_version_download_uri("m", v.version) == uri + "/a", v)
        check(s.get("/model-versions/get-artifact?name=m&version=1&path=b.txt").body == b"text", "model version")


def main():
    with Server() as s:
        mlflow.set_tracking_uri(s.url)
        client = MlflowClient(s.url)
        experiment = client.create_experiment("artifacts of " + mlflow.__version__)
        run_id = client.create_run(experiment).info.run_id
        for test in (single_files, whole_tree, big_file):
            test(client, run_id)
            print("ok", test.__name__)
        for test in (in_parts, part_fails, asked_by_itself):
            test(client, run_id, s)
            print("ok", test.__name__)
    file_root()
    print("ok file_root")
    print("mlflow", mlflow.__version__)


if __name__ == "__main__":
    main()
