# SPDX-License-Identifier: Apache-2.0
"""The GenAI side doors: what is not there says so in MLflow's form and is never retried; lists are
empty; the questions that MLflow's web page asks at every load have the answers it expects. The page
itself is lent from a folder beneath which alone files are opened."""
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quern import Server  # noqa: E402


def same(got, want, what=""):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def doors(s):
    paths = s.get("/openapi.json").json["paths"]
    refused = empty = 0
    for path, methods in paths.items():
        for method, row in methods.items():
            if not str(row.get("operationId", "")).startswith("side_door."):
                continue
            where = path.replace("{id}", "x1").replace("{key}", "k")
            a = s.request(method.upper(), where, {} if method != "get" else None)
            if "not implemented" in row["summary"]:
                same((a.status, a.json["error_code"]), (501, "NOT_IMPLEMENTED"), where)
                assert a.json["message"].endswith(" is not implemented by this server."), a
                assert not a.json["message"].startswith("This feature"), f"{where}: {a}"
                refused += 1
            elif "Lists nothing" in row["summary"]:
                same((a.status, a.json), (200, {}), where)
                empty += 1
    assert refused > 50 and empty > 10, (refused, empty)


def page_questions(s):
    same(s.get("/ajax-api/3.0/mlflow/ui-telemetry").json,
         {"disable_ui_events": [], "disable_ui_telemetry": True, "ui_rollout_percentage": 0})
    same(s.get("/ajax-api/2.0/mlflow/gateway-proxy?gateway_path=api/2.0/endpoints/").json, {"endpoints": []})
    same(s.get("/ajax-api/3.0/mlflow/assistant/config").json["providers"], {})
    a = s.get("/api/3.0/mlflow/workspaces")
    same(a.status, 503, a)
    assert "X-MLFLOW-WORKSPACE" in a.text, a


def page():
    folder = tempfile.mkdtemp(prefix="quern-page-")
    os.makedirs(folder + "/static/js")
    open(folder + "/index.html", "w").write("<title>lent</title>")
    open(folder + "/static/js/main.js", "w").write("let a = 1")
    outside = tempfile.NamedTemporaryFile("w", suffix=".txt")
    outside.write("secret")
    outside.flush()
    os.symlink(outside.name, folder + "/link.txt")
    with Server(args=["--mlflow.page", folder]) as s:
        html = {"Accept": "text/html"}
        a = s.get("/", headers=html)
        same((a.status, a.text), (200, "<title>lent</title>"))
        assert "export MLFLOW_TRACKING_URI" in s.get("/").text
        assert "Quern" in s.get("/guide", headers=html).text
        a = s.get("/static-files/static/js/main.js")
        same((a.text, a.headers["Content-Type"]), ("let a = 1", "text/javascript; charset=utf-8"))
        assert "immutable" in a.headers["Cache-Control"]
        same(s.get("/static-files/static/js/main.js", headers={"If-None-Match": a.headers["ETag"]}).status, 304)
        for bad in ("link.txt", "static", "none.js", "../index.html", "%2e%2e/x", "..%2fx", "/etc/passwd"):
            got = s.get("/static-files/" + bad)
            assert got.status in (400, 404) and "secret" not in got.text, f"{bad}: {got}"
    with Server() as s:
        assert "<title>Quern</title>" in s.get("/", headers=html).text
        same(s.get("/static-files/index.html").status, 404)
    try:
        Server(args=["--mlflow.page", folder + "/static"])
    except RuntimeError as e:
        assert "holds no index.html" in str(e), e
    else:
        raise AssertionError("a folder without index.html was taken")


def main():
    with Server() as s:
        doors(s)
        page_questions(s)
    page()
    print("side doors: ok")


if __name__ == "__main__":
    main()
