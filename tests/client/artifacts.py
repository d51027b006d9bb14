# SPDX-License-Identifier: Apache-2.0
"""Artifacts through the genuine MLflow client, whichever version runs this."""
import hashlib
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quern import Server  # noqa: E402

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


def multipart_falls_back(client, run_id, server):
    """A client told to upload in parts hears 501 and sends the file whole."""
    os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD"] = "true"
    os.environ["MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE"] = str(6 << 20)
    os.environ["MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE"] = str(5 << 20)
    try:
        with tempfile.TemporaryDirectory() as src:
            path = os.path.join(src, "parts.bin")
            with open(path, "wb") as f:
                f.write(os.urandom(12 << 20))
            client.log_artifact(run_id, path, "multi")
            got = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="multi/parts.bin", dst_path=src + "/x")
            check(digest(got) == digest(path), "differ")
            check("/mpu/create/" in server.log_text(1 << 20), "the client never tried parts")
    finally:
        for k in ("UPLOAD", "UPLOAD_MINIMUM_FILE_SIZE", "UPLOAD_CHUNK_SIZE"):
            os.environ.pop("MLFLOW_ENABLE_PROXY_MULTIPART_" + k, None)
            os.environ.pop("MLFLOW_MULTIPART_" + k, None)


def main():
    with Server() as s:
        mlflow.set_tracking_uri(s.url)
        client = MlflowClient(s.url)
        experiment = client.create_experiment("artifacts of " + mlflow.__version__)
        run_id = client.create_run(experiment).info.run_id
        for test in (single_files, whole_tree, big_file):
            test(client, run_id)
            print("ok", test.__name__)
        multipart_falls_back(client, run_id, s)
        print("ok multipart_falls_back")
    print("mlflow", mlflow.__version__)


if __name__ == "__main__":
    main()
