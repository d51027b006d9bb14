# SPDX-License-Identifier: Apache-2.0
"""Evaluation datasets over the wire: what is made, merged, found, paged and refused, who may, and that
all is there after a SIGKILL."""
import base64
import contextlib
import json
import os
import sqlite3
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quern import Server, wait_until  # noqa: E402

ROOT = "/api/3.0/mlflow/datasets"


def same(got, want, what=""):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def ok(answer):
    assert answer.status == 200, answer
    return answer.json


def error(answer, status, part, code):
    assert answer.status == status and part in answer.text and answer.json["error_code"] == code, f"{answer}: want {status} {code} with {part!r}"


def bad(answer, part):
    error(answer, 400, part, "INVALID_PARAMETER_VALUE")


def make(s, name, **more):
    return ok(s.post(f"{ROOT}/create", {"name": name, **more}))["dataset"]


def put(s, d, records):
    return ok(s.post(f"{ROOT}/{d}/records", {"records": json.dumps(records)}))


def records(s, d, query=""):
    return json.loads(ok(s.get(f"{ROOT}/{d}/records{query}"))["records"])


def whole(s):
    exp = ok(s.post("/api/2.0/mlflow/experiments/create", {"name": "e"}))["experiment_id"]
    d = make(s, "qa", experiment_ids=[exp, "0"], tags=json.dumps({"team": "ml", "mlflow.user": "ann", "n": 3, "none": None}))
    same(sorted(d), ["created_by", "created_time", "dataset_id", "digest", "experiment_ids", "last_update_time", "last_updated_by", "name", "tags"])
    assert d["dataset_id"].startswith("d-") and len(d["dataset_id"]) == 34 and len(d["digest"]) == 8, d
    same((json.loads(d["tags"]), d["created_by"], d["experiment_ids"]), ({"team": "ml", "mlflow.user": "ann", "n": "3"}, "ann", [exp, "0"]))
    i = d["dataset_id"]
    same(sorted(ok(s.get(f"{ROOT}/{i}/experiment-ids"))["experiment_ids"]), ["0", exp])
    one = {"inputs": {"q": "why?", "k": 1}, "expectations": {"a": "so", "b": [1]}, "tags": {"t": "1", "mlflow.user": "bob"},
           "source": {"source_type": "human", "source_data": {"source_id": "h1"}}}
    two = {"inputs": {"q": "when?"}, "outputs": None, "source": {"source_type": "TRACE", "source_data": {"trace_id": "tr-1"}}}
    same(put(s, i, [one, two, {**one, "inputs": {"k": 1, "q": "why?"}}]), {"inserted_count": 2, "updated_count": 1})
    a, b = records(s, i)
    same(sorted(a), ["created_by", "created_time", "dataset_id", "dataset_record_id", "expectations", "inputs", "last_update_time", "last_updated_by",
                     "outputs", "source", "source_id", "source_type", "tags"])
    same((a["inputs"], a["outputs"], a["expectations"], a["tags"], a["source"], a["source_id"], a["source_type"], a["created_by"]),
         (one["inputs"], {}, one["expectations"], one["tags"], {"source_type": "HUMAN", "source_data": {"source_id": "h1"}}, "h1", "HUMAN", "bob"))
    same(("outputs" in b, "expectations" in b, b["tags"], b["source_id"], "created_by" in b), (False, False, {}, "tr-1", False))
    same(put(s, i, [{"inputs": one["inputs"], "outputs": "text", "expectations": {"b": None}, "tags": {"u": "2"}, "source": {"source_type": "CODE"}}]),
         {"inserted_count": 0, "updated_count": 1})
    c = records(s, i)[0]
    same((c["outputs"], c["expectations"], c["tags"], c["source"], c["dataset_record_id"], c["created_time"], c["last_updated_by"]),
         ("text", {"a": "so", "b": None}, {"t": "1", "mlflow.user": "bob", "u": "2"}, a["source"], a["dataset_record_id"], a["created_time"], "bob"), "merged")
    got = ok(s.get(f"{ROOT}/{i}"))["dataset"]
    same((json.loads(got["profile"]), json.loads(got["schema"])), (
        {"num_records": 2}, {"inputs": {"q": "string", "k": "integer"}, "outputs": "string", "expectations": {"a": "string", "b": "array"}, "version": "1.0"}))
    assert got["digest"] != d["digest"] and "last_updated_by" not in got and "experiment_ids" not in got, got
    same(ok(s.request("DELETE", f"{ROOT}/{i}/records", {"dataset_record_ids": [a["dataset_record_id"], "dr-none"]})), {"deleted_count": 1})
    same(ok(s.request("DELETE", f"{ROOT}/{i}/records", {"dataset_record_ids": []})), {"deleted_count": 0})
    same([r["inputs"] for r in records(s, i)], [two["inputs"]])
    same(put(s, i, []), {"inserted_count": 0, "updated_count": 0})
    same(ok(s.request("PATCH", f"{ROOT}/{i}/tags", {"tags": json.dumps({"team": "x", "n": None})})), {})
    same(ok(s.request("DELETE", f"{ROOT}/{i}/tags/mlflow.user")), {})
    same(json.loads(ok(s.get(f"{ROOT}/{i}"))["dataset"]["tags"]), {"team": "x", "n": "3"})
    ok(s.post(f"{ROOT}/{i}/remove-experiments", {"experiment_ids": ["0", "x", "77"]}))
    same(ok(s.get(f"{ROOT}/{i}/experiment-ids")), {"experiment_ids": [exp]})
    same(ok(s.post(f"{ROOT}/{i}/add-experiments", {"experiment_ids": [exp, "0"]}))["dataset"]["dataset_id"], i)
    s.kill9()
    s.start()
    same(sorted(ok(s.get(f"{ROOT}/{i}/experiment-ids"))["experiment_ids"]), ["0", exp])
    same([r["inputs"] for r in records(s, i)], [two["inputs"]])
    same(ok(s.request("DELETE", f"{ROOT}/{i}")), {})
    same(ok(s.request("DELETE", f"{ROOT}/{i}")), {}, "again")
    error(s.get(f"{ROOT}/{i}"), 404, f"Evaluation dataset with id '{i}' not found", "RESOURCE_DOES_NOT_EXIST")
    error(s.get(f"{ROOT}/{i}/records"), 404, "not found", "RESOURCE_DOES_NOT_EXIST")


def paged(s):
    i = make(s, "pages")["dataset_id"]
    same(put(s, i, [{"inputs": {"n": n}} for n in range(2345)]), {"inserted_count": 2345, "updated_count": 0})
    for query, most in (("?max_results=1000", 1000), ("?", 1000), ("?max_results=782", 782)):
        seen, token = [], ""
        while token is not None:
            a = ok(s.get(f"{ROOT}/{i}/records{query}" + (f"&page_token={token}" if token else "")))
            page = json.loads(a["records"])
            assert len(page) <= most and (page or not seen), (len(page), most)
            seen += [r["inputs"]["n"] for r in page]
            token = a.get("next_page_token")
        same(seen, list(range(2345)), query)


def found(s, **ask):
    a = ok(s.post(f"{ROOT}/search", ask))
    return [d["name"] for d in a.get("datasets", [])]


def searching(s):
    exp = [ok(s.post("/api/2.0/mlflow/experiments/create", {"name": f"s{i}"}))["experiment_id"] for i in range(2)]
    for n in range(5):
        make(s, f"s-{n}", experiment_ids=exp[:1 + n % 2], tags=json.dumps({"half": str(n % 2), "mlflow.user": f"u{n}"}))
    every = {"experiment_ids": exp}
    order = {**every, "order_by": ["name"]}
    same(sorted(found(s, **every)), [f"s-{n}" for n in range(5)])
    same(found(s, experiment_ids=exp[1:], order_by=["name DESC"]), ["s-3", "s-1"])
    same(found(s, experiment_ids=["77", "x"]), [])
    for text, want in (("name = 's-1'", [1]), ("name != 's-1'", [0, 2, 3, 4]), ("name LIKE 's-%'", range(5)), ("name ILIKE 'S-4'", [4]),
                       ("name IN ('s-0', 's-3', 'x')", [0, 3]), ("tags.half = '1' AND name != 's-3'", [1]), ("tags.half != '1'", [0, 2, 4]),
                       ("created_by = 'u2'", [2]), ("last_updated_by LIKE 'u%'", range(5)), ("created_time > 0", range(5)), ("last_update_time < 5", [])):
        same(found(s, **order, filter_string=text), [f"s-{n}" for n in want], text)
    for text, part in (("digest = 'x'", "Invalid attribute key 'digest' specified. Valid keys are: {"), ("name > 'x'", "Invalid comparator for string attribute: >"),
                       ("created_time LIKE 'x'", "Invalid comparator for numeric attribute: LIKE"), ("created_time > 1.5", "Invalid value for numeric attribute"),
                       ("created_time > 'x'", "Invalid value for numeric attribute 'created_time': 'x'"), ("tags.a > 'x'", "Invalid comparator for tag: >"),
                       ("foo.a = 'x'", "Invalid identifier token 'foo' specified"), ("name = 5", "name"), ("name = 'a' OR name = 'b'", "Invalid clause")):
        bad(s.post(f"{ROOT}/search", {**every, "filter_string": text}), part)
    for key, part in (("digest", "Invalid attribute key 'digest'"), ("tags.a", "Invalid identifier token"), ("name UP", "order")):
        bad(s.post(f"{ROOT}/search", {"order_by": [key]}), part)
    seen, token = [], None
    while True:
        a = ok(s.post(f"{ROOT}/search", {**order, "max_results": 2, **({"page_token": token} if token else {})}))
        seen += [d["name"] for d in a["datasets"]]
        token = a.get("next_page_token")
        if not token:
            break
    same(seen, [f"s-{n}" for n in range(5)])
    same(len(ok(s.get(f"{ROOT}/search?experiment_ids={exp[0]}&experiment_ids={exp[1]}&max_results=3"))["datasets"]), 3)
    same(len(records(s, make(s, 'none')['dataset_id'], '?max_results=0')), 0)
    for most in (-1, 0, 50001):
        bad(s.post(f"{ROOT}/search", {"max_results": most}), "max_results")
    bad(s.post(f"{ROOT}/search", {"page_token": "x"}), "page")


def refused(s):
    i = make(s, "bad")["dataset_id"]
    bad(s.post(f"{ROOT}/create", {}), "Missing value for required parameter 'name'")
    bad(s.post(f"{ROOT}/create", {"name": "n" * 256}), "'name'")
    for tags in ("{bad", "[]", json.dumps({"k" * 256: "v"}), json.dumps({"": "v"}), json.dumps({"k": "v" * 5001}), "1"):
        bad(s.post(f"{ROOT}/create", {"name": "t", "tags": tags}), "'tags'")
        bad(s.request("PATCH", f"{ROOT}/{i}/tags", {"tags": tags}), "'tags'")
    bad(s.request("PATCH", f"{ROOT}/{i}/tags", {}), "'tags'")
    bad(s.post(f"{ROOT}/create", {"name": "t", "tags": {"a": "b"}}), "tags")
    error(s.post(f"{ROOT}/create", {"name": "t", "experiment_ids": ["77"]}), 404, "77", "RESOURCE_DOES_NOT_EXIST")
    error(s.post(f"{ROOT}/{i}/add-experiments", {"experiment_ids": ["77"]}), 404, "77", "RESOURCE_DOES_NOT_EXIST")
    gone = ok(s.post("/api/2.0/mlflow/experiments/create", {"name": "gone"}))["experiment_id"]
    ok(s.post("/api/2.0/mlflow/experiments/delete", {"experiment_id": gone}))
    assert s.post(f"{ROOT}/{i}/add-experiments", {"experiment_ids": [gone]}).status in (400, 404)
    for text, part in (("{bad", "'records'"), ("{}", "'records'"), ("", "'records'"), ('[{"inputs": {"a": 1}}, 5]', "[1] must be an object"),
                       ('[{"inputs": [1]}]', "[0].inputs must be an object"), ('[{"expectations": "x"}]', "[0].expectations"), ('[{"tags": 1}]', "[0].tags"),
                       ('[{"source": "x"}]', "[0].source"), ('[{"source": {"source_type": "MOON"}}]', "Invalid dataset record source type: MOON"),
                       ('[{"source": {"source_type": "CODE", "source_data": 4}}]', "source_data"), ("[" * 200 + "]" * 200, "'records'")):
        bad(s.post(f"{ROOT}/{i}/records", {"records": text}), part)
    bad(s.post(f"{ROOT}/{i}/records", {"records": [{"inputs": {}}]}), "records")
    same(records(s, i), [], "nothing of a refused list is there")
    for query in ("?max_results=-1", "?max_results=50001", "?max_results=x", "?page_token=x", "?page_token=" + base64.b64encode(b'{"offset": -1}').decode()):
        assert s.get(f"{ROOT}/{i}/records{query}").status == 400, query
    for method, path, body in (("POST", "records", {"records": "[]"}), ("POST", "add-experiments", {"experiment_ids": []}), ("PATCH", "tags", {"tags": "{}"}),
                               ("GET", "experiment-ids", None), ("DELETE", "records", {"dataset_record_ids": []})):
        error(s.request(method, f"{ROOT}/d-none/{path}", body), 404, "d-none", "RESOURCE_DOES_NOT_EXIST")


def kept_as_it_came(s):
    """Numbers and the order of members, in what is stored, merged and told; every change has its digest."""
    i = make(s, "exact", tags='{"f": 1.1, "g": [0.1, 2]}')["dataset_id"]
    same(json.loads(ok(s.get(f"{ROOT}/{i}"))["dataset"]["tags"]), {"f": "1.1", "g": "[0.1, 2]"})
    text = '[{"inputs": {"z": 1.1, "a": {"y": 0.1, "b": 1e-07}}, "outputs": [2.3, 1.0, 100], "expectations": {"x": 0.7}, "tags": {"t": 4.4}, ' \
           '"source": {"source_type": "CODE", "source_data": {"f": 5.1}}}]'
    ok(s.post(f"{ROOT}/{i}/records", {"records": text}))
    ok(s.post(f"{ROOT}/{i}/records", {"records": '[{"inputs": {"a": {"b": 1e-07, "y": 0.1}, "z": 1.1}, "expectations": {"n": 3.3}, "tags": {"u": 6.6}}]'}))
    told = ok(s.get(f"{ROOT}/{i}/records"))["records"].replace(" ", "")
    for part in ('"inputs":{"z":1.1,"a":{"y":0.1,"b":1e-07}}', '"outputs":[2.3,1.0,100]', '"expectations":{"x":0.7,"n":3.3}', '"tags":{"t":4.4,"u":6.6}', '"source_data":{"f":5.1}'):
        assert part in told, f"{part} is not in {told}"
    same(len(records(s, i)), 1, "inputs in another order are the same")
    seen = set()
    for n in range(60):
        put(s, i, [{"inputs": {"n": n % 3}}])
        seen.add(ok(s.get(f"{ROOT}/{i}"))["dataset"]["digest"])
    same(len(seen), 60, "digests of 60 changes")
    same(json.loads(ok(s.get(f"{ROOT}/{i}"))["dataset"]["profile"]), {"num_records": 4})
    for text, part in (('[{"inputs": {"n": NaN}}]', "; it is not valid JSON (line 1, column "), ('[{"inputs": {"n": 1, "n": 2}}]', "the same key twice"),
                       ('[{"inputs": {"n": 123456789012345678901}}]', "a number that fits no 64-bit integer"), ('[{"inputs": {"n": "a\\u0000b"}}]', "NUL")):
        bad(s.post(f"{ROOT}/{i}/records", {"records": text}), part)


def rows(s, sql):
    with contextlib.closing(sqlite3.connect(f"file:{os.path.join(s.data, 'quern.db')}?mode=ro", uri=True)) as d:
        return d.execute(sql).fetchone()[0]


def many(s):
    """A long list holds nobody else up; pages end where they become large, and no list of fields grows without end."""
    i, other = make(s, "many")["dataset_id"], make(s, "other")["dataset_id"]
    worst, done = [0.0], threading.Event()

    def others():
        while not done.is_set():
            start = time.monotonic()
            ok(s.request("PATCH", f"{ROOT}/{other}/tags", {"tags": '{"a": "b"}'}))
            worst[0] = max(worst[0], time.monotonic() - start)

    thread = threading.Thread(target=others)
    thread.start()
    try:
        n = 60000
        start = time.monotonic()
        same(put(s, i, [{"inputs": {"n": k}} for k in range(n)]), {"inserted_count": n, "updated_count": 0})
        whole = time.monotonic() - start
        same(put(s, i, [{"inputs": {"n": k}, "outputs": k} for k in range(0, n, 2)]), {"inserted_count": 0, "updated_count": n // 2})
        same(ok(s.get(f"{ROOT}/{i}"))["dataset"]["profile"], '{"num_records": %d}' % n)
        ids = [r["dataset_record_id"] for r in records(s, i, "?max_results=5000")]
        same(ok(s.request("DELETE", f"{ROOT}/{i}/records", {"dataset_record_ids": ids + ids})), {"deleted_count": 5000})
        same(ok(s.get(f"{ROOT}/{i}"))["dataset"]["profile"], '{"num_records": %d}' % (n - 5000))
        same(ok(s.request("DELETE", f"{ROOT}/{i}")), {})
        error(s.get(f"{ROOT}/{i}"), 404, i, "RESOURCE_DOES_NOT_EXIST")
    finally:
        done.set()
        thread.join()
    assert worst[0] < whole / 2, f"others waited {worst[0]:.2f} s while a list was written, all of which took {whole:.2f} s"
    same([d["name"] for d in ok(s.post(f"{ROOT}/search", {"filter_string": "name = 'many'"})).get("datasets", [])], [])
    assert rows(s, "SELECT count(*) FROM evaluation_record") > 0, "what is long goes in the background"
    s.stop()
    s.start()
    wait_until("the records of a deleted dataset to be erased", lambda: rows(s, "SELECT count(*) FROM evaluation_dataset WHERE name = 'many'") == 0, 60)
    same(rows(s, "SELECT count(*) FROM evaluation_record r WHERE NOT EXISTS (SELECT 1 FROM evaluation_dataset d WHERE d.id = r.dataset AND d.gone = 0)"), 0)
    i = make(s, "wide")["dataset_id"]
    for k in range(3):
        put(s, i, [{"inputs": {"k": k, "text": chr(97 + k) * (5 << 20)}}])
    first = ok(s.get(f"{ROOT}/{i}/records"))
    same([r["inputs"]["k"] for r in json.loads(first["records"])], [0, 1], "a page ends behind the record that fills it")
    rest = ok(s.get(f"{ROOT}/{i}/records?page_token={first['next_page_token']}"))
    same(([r["inputs"]["k"] for r in json.loads(rest["records"])], "next_page_token" in rest), ([2], False))
    put(s, i, [{"inputs": {f"{k}-{m}": 1 for m in range(100)}, "expectations": {"n" * 256: 1, "m": 1}} for k in range(30)])
    schema = json.loads(ok(s.get(f"{ROOT}/{i}"))["dataset"]["schema"])
    same((len(schema["inputs"]), schema["expectations"]), (1000, {"m": "integer"}))
    bad(s.post(f"{ROOT}/{i}/add-experiments", {"experiment_ids": ["0"] * 10001}), "experiment_ids")
    a = s.post(f"{ROOT}/{i}/records", {"records": "[" + "{}," * 100000 + "{}]"})
    assert a.status == 413 and "at most 100000 are allowed at once" in a.text, a
    bad(s.post(f"{ROOT}/{i}/remove-experiments", {"experiment_ids": ["0"] * 10001}), "experiment_ids")
    with_tags = [make(s, f"tagged-{k}", tags=json.dumps({f"t{m}": chr(97 + k) * 5000 for m in range(700)}))["name"] for k in range(5)]
    seen, token, pages = [], None, 0
    while pages < 9:
        a = ok(s.post(f"{ROOT}/search", {"filter_string": "name LIKE 'tagged-%'", "order_by": ["name"], **({"page_token": token} if token else {})}))
        seen, token, pages = seen + [d["name"] for d in a["datasets"]], a.get("next_page_token"), pages + 1
        if not token:
            break
    same((seen, pages), (with_tags, 2), "a page of datasets ends where their tags fill it")


def main():
    with Server() as s:
        kept_as_it_came(s)
        many(s)
        whole(s)
        paged(s)
        searching(s)
        refused(s)
    print("evaluation datasets: ok")


if __name__ == "__main__":
    main()
