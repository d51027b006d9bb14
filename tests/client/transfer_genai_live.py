# SPDX-License-Identifier: Apache-2.0
"""Evaluation datasets, scorers and issues of servers that are not as they should be: such as do not know
them, never end, or tell something else."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from transfer import BIN, attempt, everything_same, quern, same, table  # noqa: E402

KINDS = ("evaluation datasets", "scorers", "issues")
ROOT = "/api/3.0/mlflow/"
PAGE = b"<!doctype html><title>?</title>"
EXPERIMENTS = [{"experiment_id": str(i), "name": f"e{i}", "lifecycle_stage": "active"} for i in (1, 2)]
RECORD = {"dataset_record_id": "dr-1", "inputs": {"f": 0.1}, "outputs": [0.1], "tags": {"t": "1"}, "created_time": 1, "last_update_time": 2}
VERSION = {"scorer_id": "s1", "scorer_name": "a/b c", "scorer_version": 1, "experiment_id": 1, "creation_time": 3, "serialized_scorer": '{"f": 0.1}'}
ISSUE = {"issue_id": "iss-1", "experiment_id": "1", "name": "i", "description": "d", "status": "pending", "root_causes": ["r"], "created_timestamp": 4}


def whole():
    """What a server with one of each answers, by the beginning of the path."""
    return {"datasets/search": {"datasets": [{"dataset_id": "d-1"}]},
            "datasets/d-1/records": {"records": json.dumps([RECORD])},
            "datasets/d-1/experiment-ids": {"experiment_ids": ["2", "1", "2"]},
            "datasets/d-1": {"dataset": {"dataset_id": "d-1", "name": "n", "digest": "x", "tags": '{"k": "v"}', "created_time": 1}},
            "scorers/list?experiment_id=1": {"scorers": [VERSION]},
            "scorers/list": {},
            "scorers/versions?experiment_id=1&name=a%2Fb%20c": {"scorers": [{**VERSION, "scorer_version": 2}, VERSION]},
            "issues/search": {"issues": [{"issue_id": "iss-1"}]},
            "issues/iss-1": {"issue": ISSUE}}


class Answers(BaseHTTPRequestHandler):
    """An answer is JSON, or a function of the number of the request, or (status, bytes)."""
    says, n = {}, 0

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        Answers.n += 1
        answer = {"experiments": EXPERIMENTS} if "experiments/search" in self.path else {}
        if self.path.startswith(ROOT):
            answer = next((a for k, a in self.says.items() if self.path.startswith(ROOT + k)), {})
        answer = answer(Answers.n) if callable(answer) else answer
        status, body = answer if isinstance(answer, tuple) else (200, json.dumps(answer).encode())
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


def run(url, data, says):
    Answers.says, Answers.n = says, 0
    p = subprocess.run([BIN, "import", "mlflow", "--from", url, "--data", data], capture_output=True, text=True, timeout=120)
    text = p.stdout + p.stderr
    assert p.returncode in (0, 1) and "AddressSanitizer" not in text and "runtime error" not in text, (p.returncode, text)
    return p.returncode, text


def absent(url, work):
    """No such routes: there are none. But not where the server is only busy, or has answered before."""
    routes = ("datasets/search", "scorers/list", "issues/search")
    for no in ((404, PAGE), (404, b'{"error_code": "ENDPOINT_NOT_FOUND"}'), (405, PAGE), (501, b'{"message": "no"}'), (200, PAGE), (500, PAGE)):
        code, text = run(url, work + "/absent", {r: no for r in routes})
        same((code, [table(text)[k][0] for k in KINDS]), (0, [0, 0, 0]), f"{no}: {text}")
        code, text = run(url, work + f"/absent{no[0]}", {**whole(), "scorers/list?experiment_id=1": no, "scorers/list": (503, PAGE)})
        same((code, [table(text)[k][0] for k in KINDS]), (0, [1, 0, 1]), "the others come")
    for route in routes:
        for no in ((503, b'{"message": "busy"}'), (500, b'{"message": "broken"}'), (403, PAGE)):
            code, text = run(url, work + "/busy", {route: no})
            assert code == 1 and f"{route} with {no[0]}" in text, text
    code, text = run(url, work + "/half", {**whole(), "scorers/list": (404, PAGE)})
    assert code == 1 and "scorers/list with 404" in text, text


def endless(url, work):
    """Ever new pages, with things and without, the same page again, and one that is too long."""
    def more(name, item):
        return lambda n: {name: [item(n * 100 + i) for i in range(100)], "next_page_token": f"t{n}"}

    def empty(name, none):
        return lambda n: {name: none, "next_page_token": f"t{n}"}

    os.environ["QUERN_IMPORT_MOST"] = "950"
    try:
        for route, answer, part in (
                ("datasets/search", more("datasets", lambda i: {"dataset_id": f"d-{i}"}), "more than 950 things in one list"),
                ("datasets/search", empty("datasets", []), "1000 pages with nothing"),
                ("issues/search", more("issues", lambda i: {"issue_id": f"iss-{i}"}), "more than 950 things in one list"),
                ("issues/search", {"issues": [], "next_page_token": "t"}, "the same page for ever"),
                ("scorers/list", {"scorers": [{**VERSION, "scorer_id": f"s{i}"} for i in range(1000)]}, "more than 950 things in one list"),
                ("datasets/d-1/records", lambda n: {"records": json.dumps([{**RECORD, "dataset_record_id": f"{n}-{i}"} for i in range(100)]),
                                                    "next_page_token": f"t{n}"}, "more than 950 things in one list"),
                ("datasets/d-1/records", empty("records", "[]"), "1000 pages with nothing"),
                ("datasets/d-1/records", {"records": "[]", "next_page_token": "t"}, "the same page for ever")):
            says = {**({} if route in ("datasets/search", "issues/search", "scorers/list") else {"datasets/search": whole()["datasets/search"]}), route: answer}
            Answers.says, Answers.n = {**whole(), **says}, 0
            if route == "scorers/list":
                Answers.says["scorers/list?experiment_id=1"] = answer
            said = attempt("--from", url, "--data", work + "/endless")
            assert part in said, (route, said)
    finally:
        del os.environ["QUERN_IMPORT_MOST"]


def odd(url, work):
    """Things of other types are told, and the others come."""
    def dataset(**more):
        return {"dataset": {**whole()["datasets/d-1"]["dataset"], **more}}

    def records(*list_):
        return {"records": json.dumps(list_)}

    def version(**more):
        return {"scorers": [{**VERSION, **more}]}

    def issue(**more):
        return {"issue": {**ISSUE, **more}}

    texts = whole()
    versions = next(k for k in texts if k.startswith("scorers/versions"))
    for route, kind, answers in (
            ("datasets/d-1", 0, ({}, {"dataset": []}, dataset(dataset_id=7), dataset(tags="[1]"), dataset(tags="{"))),
            ("datasets/d-1/experiment-ids", 0, ({"experiment_ids": [1]}, {"experiment_ids": ["x"]}, {"experiment_ids": ["99"]})),
            ("datasets/d-1/records", 0, ({}, {"records": [RECORD]}, {"records": "{}"}, {"records": "[NaN]"}, records(1), records({}),
                                         records({**RECORD, "inputs": [1]}), records({**RECORD, "tags": "t"}), records({**RECORD, "source": 1}),
                                         records(RECORD, RECORD))),
            (versions, 1, ({}, {"scorers": {}}, {"scorers": [1]}, version(scorer_id="s2"), version(serialized_scorer=None),
                           version(serialized_scorer="[]"), version(serialized_scorer="{"), {"scorers": [VERSION, VERSION]}, (404, PAGE))),
            ("issues/iss-1", 2, ({}, {"issue": 1}, issue(issue_id="iss-2"), issue(status="odd"), issue(severity="odd"), issue(root_causes="x"),
                                 issue(categories={"a": 1}), issue(experiment_id="x"), issue(source_run_id="gone"), (404, PAGE)))):
        for answer in answers:
            code, text = run(url, work + "/odd", {**texts, route: answer})
            same((code, [table(text)[k][0] for k in KINDS], [table(text)[k][-1] for k in KINDS]), (1, [1, 1, 1], [int(i == kind) for i in range(3)]),
                 f"{route} {answer}: {text}")
    for route, part in (("datasets/search", {"datasets": [1]}), ("scorers/list?experiment_id=1", {"scorers": [{"scorer_id": 1, "scorer_name": "s"}]}),
                        ("issues/search", {"issues": [{}]})):
        code, text = run(url, work + "/odd", {**texts, route: part})
        assert code == 1 and "without an id" in text, text


def work_in(work):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        absent(url, work)
        endless(url, work)
        odd(url, work)
        Answers.says = whole()
        everything_same(quern("import", "mlflow", "--from", url, "--data", work + "/odd"))
        for content, changed in (('{ "f" : 1e-1 }', 0), ('{"f": 0.2}', 1)):
            Answers.says[next(k for k in Answers.says if k.startswith("scorers/versions"))] = {"scorers": [{**VERSION, "serialized_scorer": content, "scorer_version": v} for v in (2, 1)]}
            text = quern("import", "mlflow", "--from", url, "--data", work + "/odd")
            same(table(text)["scorers"][:4], [1, 0, changed, 1 - changed], f"{content}: {text}")
    finally:
        server.shutdown()
        server.server_close()


def main():
    work = os.path.realpath(tempfile.mkdtemp(prefix="quern-transfer-"))
    try:
        work_in(work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print("transfer of evaluation datasets, scorers and issues from odd servers: ok")


if __name__ == "__main__":
    main()
