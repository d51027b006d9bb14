# SPDX-License-Identifier: Apache-2.0
"""Traces on the wire: OpenTelemetry in protobuf (written here byte by byte) and JSON, compressed or
not, in pieces and out of order; both lines' descriptions; filters; what is refused and how."""
import base64
import gzip
import json
import os
import struct
import sys
import tempfile
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import old_database  # noqa: E402
from quern import Server  # noqa: E402

JSON = {"Content-Type": "application/json"}
PROTO = {"Content-Type": "application/x-protobuf"}
T0 = 1_700_000_000_000_000_000


def same(got, want, what=""):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def ok(answer):
    assert answer.status == 200, answer
    return answer.json


def error(answer, status, part, code=None):
    assert answer.status == status and part in answer.text, f"{answer}: want {status} with {part!r}"
    if code:
        same(answer.json["error_code"], code, answer)


# ---------------------------------------------------------------- protobuf


def varint(n):
    n &= (1 << 64) - 1
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def value(v):
    if isinstance(v, bool):
        return varint(2 << 3) + varint(int(v))
    if isinstance(v, int):
        return varint(3 << 3) + varint(v)
    if isinstance(v, float):
        return varint(4 << 3 | 1) + struct.pack("<d", v)
    if isinstance(v, str):
        return field(1, v.encode())
    if isinstance(v, bytes):
        return field(7, v)
    if isinstance(v, list):
        return field(5, b"".join(field(1, value(x)) for x in v))
    return field(6, b"".join(field(1, pair(k, x)) for k, x in v.items()))


def pair(k, v):
    return field(1, k.encode()) + field(2, value(v))


def span(trace, sid, parent=None, name="s", start=T0, end=T0 + 5_000_000, attributes=(), code=1, extra=b""):
    out = field(1, trace) + field(2, sid) + (field(4, parent) if parent else b"") + field(5, name.encode())
    out += varint(6 << 3) + varint(3) + varint(7 << 3 | 1) + struct.pack("<Q", start)
    out += varint(8 << 3 | 1) + struct.pack("<Q", end)
    for k, v in dict(attributes).items():
        out += field(9, pair(k, v))
    return out + field(15, varint(3 << 3) + varint(code)) + extra


def request(*spans):
    return field(1, field(1, field(1, pair("service.name", "svc"))) + field(2, b"".join(field(2, s) for s in spans)))


def send(s, body, experiment="0", headers=PROTO, **more):
    h = {**headers, **more}
    if experiment is not None:
        h["x-mlflow-experiment-id"] = experiment
    return s.request("POST", "/v1/traces", body, h, raw=True)


def get(s, tid):
    return ok(s.get(f"/api/3.0/mlflow/traces/get?trace_id={tid}"))["trace"]


def ids(n):
    return bytes([n] * 16), "tr-" + bytes([n] * 16).hex()


# ---------------------------------------------------------------- tests


def protobuf(s):
    raw, tid = ids(1)
    root, child = b"\x01" * 8, b"\x02" * 8
    every = {"t": "ü", "b": True, "i": -7, "d": 0.5, "nan": float("nan"), "l": [1, "x"], "m": {"a": {"b": 2}}, "y": b"\0\1",
             "mlflow.spanType": "CHAT_MODEL", "mlflow.chat.tokenUsage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}}
    event = field(11, varint(1 << 3 | 1) + struct.pack("<Q", T0 + 1) + field(2, b"ev") + field(3, pair("a", 1)))
    link = field(13, field(1, ids(9)[0]) + field(2, root))
    newer = varint(99 << 3) + varint(5)  # a field that this reader does not know
    # The child first: the trace is under way until its root comes.
    a = send(s, request(span(raw, child, root, "child", T0 + 1_000_000, attributes=every, extra=event + link + newer)))
    same((a.status, a.headers["Content-Type"], a.body), (200, "application/x-protobuf", b""))
    t = get(s, tid)
    same((t["trace_info"]["state"], len(t["spans"])), ("IN_PROGRESS", 1))
    got = t["spans"][0]
    same(base64.b64decode(got["trace_id"]), raw)
    same((base64.b64decode(got["span_id"]), base64.b64decode(got["parent_span_id"])), (child, root))
    values = {x["key"]: x["value"] for x in got["attributes"]}
    same(values["t"], {"string_value": "ü"})
    same((values["b"], values["i"], values["d"]), ({"bool_value": True}, {"int_value": -7}, {"double_value": 0.5}))
    same(values["nan"], {"double_value": "NaN"})
    same(values["l"], {"array_value": {"values": [{"int_value": 1}, {"string_value": "x"}]}})
    same(values["m"]["kvlist_value"]["values"][0]["value"]["kvlist_value"]["values"][0],
         {"key": "b", "value": {"int_value": 2}})
    same(values["y"], {"bytes_value": "AAE="})
    same(got["events"], [{"time_unix_nano": T0 + 1, "name": "ev", "attributes": [{"key": "a", "value": {"int_value": 1}}]}])
    same(got["kind"], "SPAN_KIND_CLIENT")
    same(base64.b64decode(got["links"][0]["trace_id"]), ids(9)[0])
    ends = {"mlflow.spanInputs": {"q": "hi"}, "mlflow.spanOutputs": "plain"}
    send(s, request(span(raw, root, None, "root", T0, T0 + 9_000_000, ends, code=2)))
    for _ in range(2):  # a repeat changes nothing
        send(s, request(span(raw, root, None, "root", T0, T0 + 9_000_000, ends, code=2)))
        t = get(s, tid)
        info = t["trace_info"]
        same([x["name"] for x in t["spans"]], ["root", "child"])
        same((info["state"], info["request_time"], info["execution_duration"]),
             ("ERROR", "2023-11-14T22:13:20Z", "0.009s"))
        same((info["request_preview"], info["response_preview"]), ('{"q": "hi"}', '"plain"'))
        same(info["tags"]["mlflow.traceName"], "root")
        same(info["tags"]["mlflow.trace.spansLocation"], "TRACKING_STORE")
        same(info["trace_metadata"]["mlflow.trace.tokenUsage"],
             '{"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}')
    same(info["trace_location"], {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}})
    a = s.get(f"/ajax-api/3.0/mlflow/get-trace-artifact?request_id={tid}")
    same((len(a.json["spans"]), "attachment" in a.headers["Content-Disposition"]), (2, True))


def sums(s):
    """A span's sum speaks for all below it, in whatever order the spans come."""
    def usage(i, o, **more):
        return {"mlflow.chat.tokenUsage": json.dumps({"input_tokens": i, "output_tokens": o, "total_tokens": i + o, **more}),
                "mlflow.llm.cost": {"input_cost": i / 10, "output_cost": o / 5, "total_cost": i / 10 + o / 5}}

    def metadata(n):
        return ok(s.get(f"/api/3.0/mlflow/traces/{ids(n)[1]}"))["trace"]["trace_info"].get("trace_metadata", {})

    a, b, c, d = (bytes([i] * 8) for i in range(1, 5))
    want = {"input_tokens": 10, "output_tokens": 20, "total_tokens": 30}
    rows = {"root": (a, None, {}), "agent": (b, a, usage(10, 20)), "step": (c, b, {}), "call": (d, c, usage(4, 8))}
    for n, order in ((30, ("root", "agent", "step", "call")), (31, ("call", "step", "agent", "root")), (32, ("step call", "agent root")), (42, ("call", "root", "agent", "step"))):
        for names in order:
            body = request(*[span(ids(n)[0], rows[k][0], rows[k][1], k, attributes=rows[k][2]) for k in names.split()])
            for _ in range(2):  # again: nothing is counted twice
                same(send(s, body).status, 200)
        same(json.loads(metadata(n)["mlflow.trace.tokenUsage"]), want, order)
        same(metadata(n)["mlflow.trace.cost"], '{"input_cost": 1.0, "output_cost": 4.0, "total_cost": 5.0}', order)
    raw = ids(33)[0]
    send(s, request(span(raw, b, a, attributes=usage(1, 2, cache_read_input_tokens=3))))
    same(json.loads(metadata(33)["mlflow.trace.tokenUsage"])["cache_read_input_tokens"], 3)
    send(s, request(span(raw, c, a, attributes=usage(10, 20))))
    same(json.loads(metadata(33)["mlflow.trace.tokenUsage"]),
         {"input_tokens": 11, "output_tokens": 22, "total_tokens": 33, "cache_read_input_tokens": 3}, "brothers are added")
    raw = ids(34)[0]  # a ring of parents ends, too
    same(send(s, request(span(raw, a, b, attributes=usage(1, 1)), span(raw, b, a), span(raw, c, None, attributes=usage(2, 2)))).status, 200)
    same(json.loads(metadata(34)["mlflow.trace.tokenUsage"])["total_tokens"], 4)
    chain = [span(ids(35)[0], struct.pack(">Q", i + 1), struct.pack(">Q", i) if i else None, attributes=usage(1, 1)) for i in range(5000)]
    same(send(s, request(*chain)).status, 200)
    same(json.loads(metadata(35)["mlflow.trace.tokenUsage"])["total_tokens"], 2, "the root's")
    raw = ids(43)[0]  # a long one waits for its root, and is whole then
    for first in range(2, 2402, 400):
        send(s, request(*[span(raw, struct.pack(">Q", first + i), struct.pack(">Q", 1), attributes=usage(1, 2)) for i in range(400)]))
    send(s, request(span(raw, struct.pack(">Q", 1))))
    same(json.loads(metadata(43)["mlflow.trace.tokenUsage"]), {"input_tokens": 2400, "output_tokens": 4800, "total_tokens": 7200})
    raw = ids(44)[0]
    send(s, request(*[span(raw, struct.pack(">Q", 2 + i), struct.pack(">Q", 1), attributes=usage(1, 2)) for i in range(1500)]))
    assert "mlflow.trace.tokenUsage" not in metadata(44), metadata(44)
    send(s, request(span(raw, struct.pack(">Q", 1))))
    same(json.loads(metadata(44)["mlflow.trace.tokenUsage"])["input_tokens"], 1500)
    where = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
    told = {"mlflow.trace.tokenUsage": '{"total_tokens": 1}'}
    for n, more in ((36, told), (37, {})):  # a client's word stands, its silence is filled
        ok(s.post("/api/3.0/mlflow/traces", {"trace": {"trace_info": {"trace_id": ids(n)[1], "trace_location": where, "trace_metadata": more}}}))
        send(s, request(span(ids(n)[0], a, attributes=usage(10, 20))))
        same(json.loads(metadata(n)["mlflow.trace.tokenUsage"]), json.loads(told["mlflow.trace.tokenUsage"]) if more else want)


def described_by_spans(s):
    raw, tid = ids(40)
    at = {"session.id": "s1", "user.id": "u1"}
    send(s, request(span(raw, b"\x02" * 8, b"\x01" * 8, start=T0 + 1_000_000, end=T0 + 9_000_000, attributes=at)))
    info = get(s, tid)["trace_info"]
    same((info["state"], info["execution_duration"]), ("IN_PROGRESS", "0.008s"), "as far as is known")
    tags = {"mlflow.traceTag.team": "blue", "mlflow.traceTag.mlflow.traceName": "given", "mlflow.traceTag.": "x", "mlflow.traceTag." + "k" * 251: "x",
            "session.id": "s2"}
    send(s, request(span(raw, b"\x01" * 8, None, "root", T0, T0 + 5_000_000, tags)))
    info = get(s, tid)["trace_info"]
    same((info["state"], info["request_time"], info["execution_duration"]), ("OK", "2023-11-14T22:13:20Z", "0.009s"))
    same({k: v for k, v in info["tags"].items() if not k.startswith("mlflow.") or k == "mlflow.traceName"},
         {"team": "blue", "mlflow.traceName": "given", "service.name": "svc"})
    same((info["trace_metadata"]["mlflow.trace.session"], info["trace_metadata"]["mlflow.trace.user"]), ("s1", "u1"))
    raw, tid = ids(41)
    event = field(11, varint(1 << 3 | 1) + struct.pack("<Q", T0 + 1) + field(2, b"ev") + field(3, pair("a", 1)))
    link = field(13, field(1, ids(9)[0]) + field(2, b"\x01" * 8) + field(4, pair("k", "v")))
    at = {"t": "\u00fc", "b": True, "l": [1, "x"], "m": {"a": 2}, "json": '{"a":1}', "n": "5"}
    send(s, request(span(raw, b"\x01" * 8, None, "root", attributes=at, extra=event + link)))
    file = s.get(f"/ajax-api/3.0/mlflow/get-trace-artifact?request_id={tid}").json["spans"]
    same(file, [{"trace_id": base64.b64encode(raw).decode(), "span_id": "AQEBAQEBAQE=", "parent_span_id": None, "name": "root",
                 "start_time_unix_nano": T0, "end_time_unix_nano": T0 + 5_000_000, "status": {"code": "STATUS_CODE_OK", "message": ""},
                 "events": [{"name": "ev", "time_unix_nano": T0 + 1, "attributes": {"a": 1}}],
                 "links": [{"trace_id": ids(9)[1], "span_id": "01" * 8, "attributes": {"k": "v"}}],
                 "attributes": {"t": '"\u00fc"', "b": "true", "l": '[1, "x"]', "m": '{"a": 2}', "json": '{"a":1}', "n": '"5"',
                                "mlflow.traceRequestId": f'"{tid}"'}}])


# What instrumentation of other makers says, and what of MLflow's is made of it.
CONVENTIONS = [
    ({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m-1", "gen_ai.response.model": "m-2", "gen_ai.provider.name": "maker",
      "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 5, "gen_ai.usage.cache_read.input_tokens": 2,
      "gen_ai.input.messages": '[{"role": "user", "parts": []}]', "gen_ai.output.messages": '[{"role": "assistant"}]',
      "gen_ai.tool.definitions": '[{"name": "t"}]'},
     {"mlflow.spanType": "CHAT_MODEL", "mlflow.llm.model": "m-2", "mlflow.llm.provider": "maker",
      "mlflow.chat.tokenUsage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "cache_read_input_tokens": 2},
      "mlflow.spanInputs": [{"role": "user", "parts": []}], "mlflow.spanOutputs": [{"role": "assistant"}], "mlflow.chat.tools": [{"name": "t"}]}),
    ({"openinference.span.kind": "RETRIEVER", "input.value": "where?", "output.value": '{"docs": [1.1], "model": "inner"}',
      "llm.token_count.prompt": 3, "llm.token_count.total": 9, "gen_ai.usage.input_tokens": 77},
     {"mlflow.spanType": "RETRIEVER", "mlflow.spanInputs": "where?", "mlflow.spanOutputs": {"docs": [1.1], "model": "inner"},
      "mlflow.chat.tokenUsage": {"input_tokens": 3, "total_tokens": 9}, "mlflow.llm.model": "inner"}),
    ({"traceloop.span.kind": "workflow", "gen_ai.prompt.0.content": "hello", "gen_ai.completion.12.content": "bye", "gen_ai.system": "maker",
      "gen_ai.usage.prompt_tokens": "4", "gen_ai.usage.completion_tokens": "6"},
     {"mlflow.spanType": "WORKFLOW", "mlflow.spanInputs": "hello", "mlflow.spanOutputs": "bye", "mlflow.llm.provider": "maker",
      "mlflow.chat.tokenUsage": {"input_tokens": 4, "output_tokens": 6, "total_tokens": 10}}),
    ({"lmnr.span.type": "EXECUTOR", "lmnr.span.input": "[]", "lmnr.span.output": "7"}, {"mlflow.spanType": "AGENT", "mlflow.spanOutputs": "7"}),
    ({"langfuse.observation.type": "tool", "langfuse.observation.input": '{"a": 1}'}, {"mlflow.spanType": "TOOL", "mlflow.spanInputs": {"a": 1}}),
    ({"gcp.vertex.agent.llm_request": '{"model": "gem"}'}, {"mlflow.spanInputs": {"model": "gem"}, "mlflow.llm.model": "gem"}),
    # MLflow's own words count.
    ({"mlflow.spanType": "UNKNOWN", "gen_ai.operation.name": "execute_tool", "mlflow.spanInputs": '{"model": "x"}', "input.value": "no",
      "mlflow.llm.model": "own", "mlflow.chat.tokenUsage": '{"total_tokens": 1}', "gen_ai.usage.input_tokens": 10},
     {"mlflow.spanType": "TOOL", "mlflow.spanInputs": {"model": "x"}, "mlflow.llm.model": "own", "mlflow.chat.tokenUsage": {"total_tokens": 1}}),
    ({"mlflow.spanType": "LLM", "openinference.span.kind": "TOOL", "output.value": "", "gen_ai.request.model": ""}, {"mlflow.spanType": "LLM"}),
    ({"gen_ai.operation.name": "new_one", "gen_ai.prompt.x.content": "no", "gen_ai.usage.input_tokens": "many"}, {}),
]


def told_in(file):
    """Of a span of traces.json what these conventions can tell."""
    names = {k for _, want in CONVENTIONS for k in want}

    def unwrapped(text):
        try:
            return json.loads(text)
        except ValueError:
            return text
    out = {k: unwrapped(v) for k, v in file["attributes"].items() if k in names}
    return {k: v for k, v in out.items() if (k, v) != ("mlflow.spanType", "UNKNOWN")}


def conventions(s):
    for n, (said, want) in enumerate(CONVENTIONS, 100):
        raw, tid = ids(n)
        same(send(s, request(span(raw, b"\x01" * 8, attributes=said))).status, 200)
        file = s.get(f"/ajax-api/3.0/mlflow/get-trace-artifact?request_id={tid}").json["spans"][0]
        same(told_in(file), want, said)
        same({k for k in said if k not in file["attributes"]}, set(), "what came stays")
    info = get(s, ids(100)[1])["trace_info"]
    same((info["request_preview"], json.loads(info["trace_metadata"]["mlflow.trace.tokenUsage"])["total_tokens"]), ('[{"role": "user", "parts": []}]', 15))
    raw, tid = ids(120)
    event = [field(11, varint(1 << 3 | 1) + struct.pack("<Q", T0) + field(2, b"gen_ai." + name) + b"".join(field(3, pair(k, v)) for k, v in at.items()))
             for name, at in ((b"system.message", {"content": "be kind"}), (b"user.message", {"content": '[{"t": 1}]'}), (b"user.message", {"content": ""}),
                              (b"choice", {"content": "yes", "role": "bot"}), (b"choice", {"content": "no"}))]
    send(s, request(span(raw, b"\x01" * 8, extra=b"".join(event))))
    same(told_in(s.get(f"/ajax-api/3.0/mlflow/get-trace-artifact?request_id={tid}").json["spans"][0]),
         {"mlflow.spanInputs": [{"role": "system", "content": "be kind"}, {"role": "user", "content": [{"t": 1}]}],
          "mlflow.spanOutputs": [{"role": "bot", "content": "yes"}, {"role": "assistant", "content": "no"}]})


def senders(s):
    """The resource of spans: tags of their trace, wherever it stands in the request."""
    at = {"service.name": "shop", "telemetry.sdk.name": "x", "mlflow.traceName": "no", "mlflow.trace.spansLocation": "no", "": "no", "k" * 251: "no",
          "replicas": 3, "zones": ["a", "b"], "team": "resource"}
    resource = field(1, b"".join(field(1, pair(k, v)) for k, v in at.items()))
    raw, tid = ids(130)
    spans = field(2, field(2, span(raw, b"\x01" * 8, name="root", attributes={"mlflow.traceTag.team": "root"})))
    for body in (resource + spans, spans + resource):
        same(send(s, field(1, body)).status, 200)
        tags = get(s, tid)["trace_info"]["tags"]
        same({k: v for k, v in tags.items() if not k.startswith("mlflow.artifact")},
             {"service.name": "shop", "replicas": "3", "zones": '["a", "b"]', "team": "root", "mlflow.traceName": "root",
              "mlflow.trace.spansLocation": "TRACKING_STORE"})
        ok(s.request("DELETE", f"/api/3.0/mlflow/traces/{tid}/tags", {"key": "service.name"}))
    sent = {"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "json"}}]}, "scopeSpans": [{"spans": [
        {"traceId": ids(131)[0].hex(), "spanId": "01" * 8, "name": "j", "startTimeUnixNano": "1"}]}]}]}
    same(send(s, json.dumps(sent).encode(), headers=JSON).status, 200)
    same(get(s, ids(131)[1])["trace_info"]["tags"]["service.name"], "json")
    same(send(s, field(1, resource)).status, 200, "a sender without spans")
    same(send(s, b'{"resourceSpans":[{}]}', headers=JSON).status, 200)
    error(send(s, b'{"resourceSpans":[]}', headers=JSON), 400, "no spans found")
    run = ok(s.post("/api/2.0/mlflow/runs/create", {"experiment_id": "0"}))["run"]["info"]["run_id"]
    where = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}]

    def of_run():
        found = ok(s.post("/api/3.0/mlflow/traces/search", {"locations": where, "filter": f"attributes.run_id = '{run}'"}))
        return [t["trace_id"] for t in found.get("traces", [])]
    raw, tid = ids(132)
    send(s, request(span(raw, b"\x02" * 8, b"\x01" * 8)), **{"x-mlflow-run-id": run})
    same(of_run(), [], "its root has not come")
    for odd in ("r" * 65, "a b", "\u00fc"):
        error(send(s, request(span(raw, b"\x02" * 8, b"\x01" * 8)), **{"x-mlflow-run-id": odd}), 400, "x-mlflow-run-id must be a run's id")
    send(s, request(span(raw, b"\x01" * 8)), **{"x-mlflow-run-id": run})
    same(of_run(), [tid])


def resources_bounded(s):
    """A request says its resource once for many traces; what it would grow to is bounded, and read once."""
    def body(attributes, traces, first):
        resource = field(1, b"".join(field(1, pair(k, v)) for k, v in attributes.items()))
        return field(1, resource + field(2, b"".join(field(2, span(struct.pack(">QQ", 7, first + i), b"\x01" * 8)) for i in range(traces))))
    at = {"long": "\u00fc" * (1 << 20), "n": 1.1, "list": [0.1, "x"]}
    same(send(s, body(at, 400, 0)).status, 200)
    tags = get(s, "tr-" + struct.pack(">QQ", 7, 399).hex())["trace_info"]["tags"]
    same((len(tags["long"]), tags["n"], tags["list"]), (8000, "1.1", '[0.1, "x"]'))
    with open(f"/proc/{s.process.pid}/status", encoding="utf-8") as f:
        peak = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
    assert peak < 600_000, f"{peak} KiB for 400 traces of a resource of 2 MiB"
    error(send(s, body(at, 5000, 10_000)), 413, "Send fewer traces at once")
    error(send(s, body({f"k{i}": i for i in range(500)}, 500, 20_000)), 413, "Send fewer traces at once")
    error(s.get("/api/3.0/mlflow/traces/get?trace_id=tr-" + struct.pack(">QQ", 7, 20_000).hex()), 404, "tr-")


def numbers(s):
    """1.1 stays 1.1 in attributes, previews, tags and sums."""
    raw, tid = ids(140)
    at = {"d": 1.1, "l": [0.1, {"x": 2.3}], "e": 1e22, "mlflow.spanInputs": {"t": 0.7}, "mlflow.spanOutputs": 2.2, "mlflow.traceTag.rate": 0.3, "input.value": 0.1,
          "llm.token_count.prompt": 3.0, "mlflow.llm.cost": {"input_cost": 0.1, "output_cost": 0.2, "total_cost": 0.3}}
    send(s, request(span(raw, b"\x01" * 8, attributes=at)))
    info = get(s, tid)["trace_info"]
    same((info["request_preview"], info["response_preview"], info["tags"]["rate"]), ('{"t": 0.7}', "2.2", "0.3"))
    same((info["trace_metadata"]["mlflow.trace.cost"], json.loads(info["trace_metadata"]["mlflow.trace.tokenUsage"])["input_tokens"]),
         ('{"input_cost": 0.1, "output_cost": 0.2, "total_cost": 0.3}', 3))
    told = s.get(f"/ajax-api/3.0/mlflow/get-trace-artifact?request_id={tid}").json["spans"][0]["attributes"]
    same((told["d"], told["l"], told["e"], told["mlflow.spanOutputs"]), ("1.1", '[0.1, {"x": 2.3}]', "1e+22", "2.2"))
    raw, tid = ids(141)
    send(s, request(span(raw, b"\x01" * 8, attributes={"input.value": 0.1, "output.value": 1.1})))
    told = s.get(f"/ajax-api/3.0/mlflow/get-trace-artifact?request_id={tid}").json["spans"][0]["attributes"]
    same((told["mlflow.spanInputs"], told["mlflow.spanOutputs"]), ('"0.1"', '"1.1"'), "by convention")
    rated = {"assessment_name": "rate", "source": {"source_type": "HUMAN", "source_id": "me"}, "expectation": {"value": {"x": 0.1, "l": [1.1]}}}
    a = ok(s.post(f"/api/3.0/mlflow/traces/{tid}/assessments", {"assessment": rated}))["assessment"]
    same(a["expectation"]["serialized_value"]["value"], '{"x": 0.1, "l": [1.1]}')


def otlp_json(s):
    raw, tid = ids(2)
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [{
        "traceId": raw.hex(), "spanId": "01" * 8, "name": "j", "kind": 1, "startTimeUnixNano": str(T0),
        "endTimeUnixNano": T0 + 2_000_000, "status": {"code": 1},
        "attributes": [{"key": "n", "value": {"intValue": "12"}}, {"key": "s", "value": {"stringValue": "x"}},
                       {"key": "d", "value": {"doubleValue": "0.1"}}, {"key": "nan", "value": {"doubleValue": "NaN"}},
                       {"key": "a", "value": {"arrayValue": {"values": [{"boolValue": True}]}}}],
        "events": [{"timeUnixNano": str(T0), "name": "e"}]}]}]}]}
    a = send(s, json.dumps(body).encode(), headers=JSON)
    same((a.status, a.json), (200, {}))
    got = get(s, tid)["spans"][0]
    same({x["key"]: x["value"] for x in got["attributes"]},
         {"n": {"int_value": 12}, "s": {"string_value": "x"}, "d": {"double_value": 0.1}, "nan": {"double_value": "NaN"},
          "a": {"array_value": {"values": [{"bool_value": True}]}}})
    same((got["start_time_unix_nano"], got["status"]), (T0, {"code": "STATUS_CODE_OK"}))
    for bad, part in (({"traceId": "xyz"}, "trace_id must have 16 bytes"), ({"spanId": ""}, "span_id must have 8 bytes"),
                      ({"startTimeUnixNano": "soon"}, "a time is no number of nanoseconds"),
                      ({"attributes": [{"key": "a", "value": {"intValue": "x"}}]}, "an intValue is no whole number"),
                      ({"attributes": [{"key": "a", "value": {"doubleValue": {"any": ["thing"]}}}]}, "a doubleValue is no number"),
                      ({"attributes": [{"key": "a", "value": {"doubleValue": "x"}}]}, "a doubleValue is no number")):
        one = dict(body["resourceSpans"][0]["scopeSpans"][0]["spans"][0], **bad)
        error(send(s, json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [one]}]}]}).encode(), headers=JSON), 400, part)
    error(send(s, b"{", headers=JSON), 400, "detail")


def packed(s):
    for n, encode, name in ((3, gzip.compress, "gzip"), (4, zlib.compress, "deflate")):
        raw, tid = ids(n)
        a = send(s, encode(request(span(raw, b"\x01" * 8, name="z"))), **{"Content-Encoding": name})
        same(a.status, 200, a)
        same(get(s, tid)["spans"][0]["name"], "z")
    raw, tid = ids(5)
    body = request(span(raw, b"\x01" * 8, name="z"))
    bare = zlib.compressobj(wbits=-15)
    for name, data in (("deflate", bare.compress(body) + bare.flush()), ("gzip", gzip.compress(body[:7]) + gzip.compress(body[7:]) + b"\0\0")):
        same(send(s, data, **{"Content-Encoding": name}).status, 200, name)
        same(get(s, tid)["spans"][0]["name"], "z")
        error(send(s, data[:-9] if name == "gzip" else data[:-3], **{"Content-Encoding": name}), 400, f"Failed to decompress {name} payload")
    error(send(s, gzip.compress(b"\0" * (40 << 20)) * 2, **{"Content-Encoding": "gzip"}), 413, "larger than 64 MiB")
    error(send(s, b"not gzip", **{"Content-Encoding": "gzip"}), 400, "decompress")
    error(send(s, gzip.compress(request(span(*[ids(5)[0]], b"\x01" * 8)))[:-6], **{"Content-Encoding": "gzip"}), 400,
          "decompress")
    error(send(s, b"x", **{"Content-Encoding": "br"}), 400, "gzip or deflate")
    error(send(s, gzip.compress(b"\0" * (65 << 20)), **{"Content-Encoding": "gzip"}), 413, "larger than 64 MiB")


def refused(s):
    good = request(span(ids(6)[0], b"\x01" * 8))
    a = send(s, good, experiment=None)
    same((a.status, a.json["detail"][0]["loc"]), (422, ["header", "x-mlflow-experiment-id"]))
    error(send(s, good, headers={"Content-Type": "text/plain"}), 400, "Invalid Content-Type: text/plain. Expected")
    error(send(s, b""), 400, "Invalid OpenTelemetry format - no spans found")
    error(send(s, b"\xff\xff\xff"), 400, "Invalid OpenTelemetry protobuf format")
    for cut in range(1, len(good)):
        a = send(s, good[:cut])
        assert a.status in (200, 400), a  # never 5xx, whatever the cut
    error(send(s, good, experiment="77"), 404, "No Experiment with id=77 exists", "RESOURCE_DOES_NOT_EXIST")
    deep = {}
    for _ in range(40):
        deep = {"d": deep}
    error(send(s, request(span(ids(6)[0], b"\x01" * 8, attributes=deep))), 400, "nested too deeply")
    error(send(s, request(span(b"\0" * 16, b"\x01" * 8))), 400, "trace_id must have 16 bytes")
    error(send(s, request(span(ids(6)[0], b"\x01" * 8), span(ids(7)[0], b"\0" * 8))), 400, "span_id must have 8 bytes")
    same(s.get(f"/api/3.0/mlflow/traces/{ids(7)[1]}").status, 404, "a request is taken whole or not at all")
    e2 = ok(s.mlflow("experiments/create", {"name": "other"}))["experiment_id"]
    send(s, good)
    error(send(s, good, experiment=e2), 400, "belongs to experiment 0")
    ok(s.mlflow("experiments/delete", {"experiment_id": e2}))
    error(send(s, request(span(ids(8)[0], b"\x01" * 8)), experiment=e2), 400, "must be in the 'active' state")


def describe(s):
    where = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
    body = {"trace": {"trace_info": {
        "trace_id": "tr-abc", "trace_location": where, "request_time": "2026-01-02T03:04:05.678Z",
        "execution_duration": "1.250s", "state": "OK", "trace_metadata": {"m": "1"}, "tags": {"mlflow.traceName": "n"},
        "request_preview": "q", "client_request_id": "c1"}}}
    info = ok(s.post("/api/3.0/mlflow/traces", body))["trace"]["trace_info"]
    same(info["tags"], {"mlflow.traceName": "n", "mlflow.artifactLocation": "mlflow-artifacts:/0/traces/tr-abc/artifacts"})
    same(info["trace_metadata"], {"m": "1", "mlflow.trace.infoFinalized": "true"})
    same((info["request_time"], info["execution_duration"], info["client_request_id"], info["request_preview"]),
         ("2026-01-02T03:04:05.678Z", "1.250s", "c1", "q"))
    assert "response_preview" not in info and "assessments" not in info, info
    newer = ok(s.request("POST", "/api/3.0/mlflow/traces", {"trace": {"trace_info": {
        "trace_id": "tr-abc", "trace_location": where, "tags": {"b": "2"}, "response_preview": "a"}}},
        {"X-MLflow-Client-Version": "3.17.2"}))["trace"]["trace_info"]
    same((newer["tags"]["b"], newer["tags"]["mlflow.traceName"], newer["state"]), ("2", "n", "OK"), "merged")
    same(newer["tags"]["mlflow.trace.spansLocation"], "TRACKING_STORE", "spans are promised")
    assert "mlflow.trace.spansLocation" not in ok(s.get("/api/3.0/mlflow/traces/tr-abc"))["trace"]["trace_info"]["tags"]
    error(s.get("/api/3.0/mlflow/traces/get?trace_id=tr-abc"), 404, "Trace data not stored in tracking store")
    error(s.get("/api/3.0/mlflow/traces/get?trace_id=none"), 404, "Trace with ID none is not found.", "RESOURCE_DOES_NOT_EXIST")
    error(s.get("/api/3.0/mlflow/traces/none"), 404, "Trace with ID 'none' not found.")
    for change, part in (({"trace_id": ""}, "Invalid trace ID"), ({"trace_id": "a/b"}, "Invalid trace ID"),
                         ({"request_time": "yesterday"}, "request_time"), ({"execution_duration": "1"}, "execution_duration"),
                         ({"trace_location": None}, "experiment_id"), ({"state": "FINE"}, "state"),
                         ({"tags": {"k" * 251: "v"}}, "exceeds the maximum length of 250")):
        bad = {"trace": {"trace_info": {**body["trace"]["trace_info"], **change}}}
        error(s.post("/api/3.0/mlflow/traces", bad), 400, part, "INVALID_PARAMETER_VALUE")
    error(s.request("DELETE", "/api/3.0/mlflow/traces/tr-abc/tags", {"key": "none"}), 404,
          "No trace tag with key 'none' for trace with ID 'tr-abc'")
    infos = ok(s.post("/api/3.0/mlflow/traces/batchGetInfos", {"trace_ids": ["none", "tr-abc", ids(1)[1]]}))["trace_infos"]
    same([i["trace_id"] for i in infos], ["tr-abc", ids(1)[1]])
    both = ok(s.get(f"/api/3.0/mlflow/traces/batchGet?trace_ids=tr-abc&trace_ids={ids(1)[1]}"))["traces"]
    same([t["trace_info"]["trace_id"] for t in both], [ids(1)[1]], "spans in files are left out")
    for path in ("unified-traces", "get-online-trace-details"):
        same((s.get(f"/api/2.0/mlflow/{path}").status, s.get(f"/api/2.0/mlflow/{path}").body), (404, b""))


def older(s):
    a = ok(s.mlflow("traces", {"experiment_id": "0", "timestamp_ms": 1000, "request_metadata": [{"key": "m", "value": "x" * 300}],
                               "tags": [{"key": "t", "value": "y" * 5000}]}))["trace_info"]
    rid = a["request_id"]
    same((len(rid), a["status"], a["execution_time_ms"], a["timestamp_ms"]), (32, "IN_PROGRESS", 0, 1000))
    same(len(a["request_metadata"][0]["value"]), 250, "answers of this line are cut")
    b = ok(s.request("PATCH", f"/api/2.0/mlflow/traces/{rid}", {"timestamp_ms": 1500, "status": "OK",
                                                                "tags": [{"key": "u", "value": "z"}]}))["trace_info"]
    same((b["status"], b["execution_time_ms"]), ("OK", 500))
    tags = {t["key"]: len(t["value"]) for t in ok(s.get(f"/api/2.0/mlflow/traces/{rid}/info"))["trace_info"]["tags"]}
    same((tags["t"], tags["u"]), (4096, 1))
    same(ok(s.get(f"/api/2.0/mlflow/traces/{rid}"))["trace"]["trace_info"]["execution_duration"], "0.500s")
    page = ok(s.get("/api/2.0/mlflow/traces?experiment_ids=0&filter=execution_time_ms%20%3D%20500"))
    same([t["request_id"] for t in page["traces"]], [rid])
    ok(s.request("PUT", f"/api/2.0/mlflow-artifacts/artifacts/0/traces/{rid}/artifacts/traces.json", b'{"spans":[]}', raw=True))
    same(s.get(f"/ajax-api/2.0/mlflow/get-trace-artifact?request_id={rid}").json, {"spans": []})


FILTERS = [
    ("", "abc"), ("status = 'OK'", "ac"), ("state != 'OK'", "b"), ("status IN ('ERROR', 'OK')", "abc"),
    ("status NOT IN ('ERROR')", "ac"), ("trace.status = 'ERROR'", "b"), ("attribute.name = 'alpha'", "a"),
    ("name != 'alpha'", "b"), ("name LIKE 'A%'", ""), ("name ILIKE 'A%'", "a"), ("name RLIKE 'lph|bet'", "ab"),
    ("timestamp_ms > 1500", "bc"), ("timestamp = 1000", "a"), ("timestamp_ms >= 1000 AND timestamp_ms < 3000", "ab"),
    ("execution_time_ms < 25", "ab"), ("execution_time != 10", "bc"), ("end_time > 3000", "c"), ("end_time_ms = 1010", "a"),
    ("request_id = 'tr-a'", "a"), ("request_id IN ('tr-a', 'tr-c')", "ac"), ("client_request_id = 'cb'", "b"),
    ("tags.team = 'x'", "ab"), ("tag.team != 'x'", "c"), ("tags.none != 'x'", ""), ("tags.color IS NULL", "bc"),
    ("tag.color IS NOT NULL", "a"), ("tag.`a b` = 'q'", "c"), ("tags.team LIKE 'x%' AND tags.color = 'red'", "a"),
    ("metadata.size = '2'", "b"), ("request_metadata.size RLIKE '^[12]$'", "ab"), ("metadata.size IS NULL", ""),
    ("run_id = 'r1'", "a"), ("run_id IN ('r1', 'r2')", "ab"), ("run_id = 'r2'", "b"),
    ("feedback.good = 'true'", "a"), ("feedback.good != 'true'", "b"), ("feedback.score = 0.5", "c"),
    ("feedback.word LIKE 'ye%'", "b"), ("expectation.want IS NOT NULL", "a"), ("feedback.good IS NULL", "c"),
    ("prompt = 'p/2'", "b"), ("prompt = 'p/3'", ""), ("issue.id = 'iss-1'", "c"),
]
SPAN_FILTERS = [
    ("span.name = 'root'", "ab"), ("span.name IN ('leaf', 'none')", "a"), ("span.type = 'LLM'", "a"),
    ("span.name = 'leaf' AND span.type = 'LLM'", "a"), ("span.name = 'root' AND span.type = 'LLM'", ""),
    ("span.status = 'ERROR'", "b"), ("span.content LIKE '%needle%'", "b"), ("span.content ILIKE '%NEEDLE%'", "b"),
    ("span.attributes.model = 'm-1'", "a"), ("span.attributes.`model` LIKE 'm%'", "a"), ("span.attributes.n = '5'", "a"),
    ("span.attributes.n != '5'", ""), ("trace.text LIKE '%needle%'", "b"), ("trace.text LIKE '%needle%' AND span.name = 'root'", "b"),
    ("span.name = 'root' AND status = 'OK' AND tags.team = 'x' AND timestamp_ms > 0", "a"),
    ("status = 'ERROR' AND span.name = 'root'", "b"), ("span.name = 'root' AND tags.team = 'y'", ""),
]
WRONG = [
    ("foo.bar = 'x'", "Invalid entity type 'foo'"), ("nothing = 'x'", "Invalid attribute key 'nothing'"),
    ("status > 'x'", "Invalid comparator"), ("status = OK", "not quoted"), ("timestamp_ms = 'x'", "Expected numeric value"),
    ("timestamp_ms LIKE 'x'", "Invalid comparator"), ("status = 'a' OR status = 'b'", "Invalid clause(s)"),
    ("prompt = 'p'", "name/version"), ("prompt LIKE 'p/2'", "only = is supported"), ("span.depth = 'x'", "Invalid span attribute"),
    ("span.content = 'x'", "Invalid comparator"), ("tags.a IN ('x')", "Invalid comparator"), ("issue.name = 'x'", "issue.id"),
    ("name RLIKE '('", "Invalid regular expression"),
]
ORDERS = [
    ([], "cba"), (["timestamp_ms ASC"], "abc"), (["timestamp DESC"], "cba"), (["execution_time_ms"], "abc"),
    (["name"], "abc"), (["name DESC"], "bac"), (["status", "timestamp ASC"], "bac"), (["tags.color"], "acb"),
    (["tags.color DESC"], "acb"), (["metadata.size DESC"], "cba"), (["run_id DESC"], "acb"), (["end_time DESC"], "cba"),
    (["request_id"], "abc"), (["experiment_id"], "cba"),
]


def searching(s):
    e = ok(s.mlflow("experiments/create", {"name": "searched"}))["experiment_id"]
    where = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": e}}
    things = {
        "a": (1000, "0.010s", "OK", {"mlflow.traceName": "alpha", "team": "x", "color": "red"}, {"size": "1", "mlflow.sourceRun": "r1"}, "ca"),
        "b": (2000, "0.020s", "ERROR", {"mlflow.traceName": "beta", "team": "x"}, {"size": "2"}, "cb"),
        "c": (3000, "0.030s", "OK", {"team": "y", "a b": "q"}, {"size": "3"}, None)}
    for k, (ms, took, state, tags, meta, cid) in things.items():
        ok(s.post("/api/3.0/mlflow/traces", {"trace": {"trace_info": {
            "trace_id": f"tr-{k}", "trace_location": where, "request_time": f"1970-01-01T00:00:0{ms // 1000}Z",
            "execution_duration": took, "state": state, "tags": tags, "trace_metadata": meta,
            **({"client_request_id": cid} if cid else {})}}}))
    ok(s.mlflow("traces/link-to-run", {"trace_ids": ["tr-b", "tr-none"], "run_id": "r2"}))
    ok(s.mlflow("traces/link-prompts", {"trace_id": "tr-b", "prompt_versions": [{"name": "p", "version": "2"}]}))

    def judge(k, name, kind, value):
        return ok(s.post(f"/api/3.0/mlflow/traces/tr-{k}/assessments", {"assessment": {
            "assessment_name": name, "source": {"source_type": "HUMAN", "source_id": "me"}, kind: value}}))["assessment"]

    judge("a", "good", "feedback", {"value": True})
    judge("b", "good", "feedback", {"value": False})
    judge("b", "word", "feedback", {"value": "yes"})
    judge("c", "score", "feedback", {"value": 0.5})
    judge("a", "want", "expectation", {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": '{"x": 1}'}})
    judge("c", "iss-1", "issue", {})
    e2 = ok(s.mlflow("experiments/create", {"name": "searched spans"}))["experiment_id"]
    spans = {10: [("root", None, {}, 1), ("leaf", b"\x01" * 8, {"mlflow.spanType": "LLM", "model": "m-1", "n": 5}, 1)],
             11: [("root", None, {"deep": "a needle here"}, 2)]}
    for n, rows in spans.items():
        send(s, request(*[span(ids(n)[0], bytes([i + 1] * 8), parent, name, attributes=at, code=code)
                          for i, (name, parent, at, code) in enumerate(rows)]), experiment=e2)
    ok(s.request("PATCH", f"/api/3.0/mlflow/traces/{ids(10)[1]}/tags", {"key": "team", "value": "x"}))
    letters = {**{f"tr-{k}": k for k in things}, ids(10)[1]: "a", ids(11)[1]: "b"}
    where2 = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": e2}}

    def found(text, orders=(), place=where, **more):
        a = ok(s.post("/api/3.0/mlflow/traces/search", {"locations": [place], "filter": text, "order_by": list(orders), **more}))
        return "".join(letters[t["trace_id"]] for t in a.get("traces", [])), a.get("next_page_token")

    for table, place in ((FILTERS, where), (SPAN_FILTERS, where2)):
        for text, want in table:
            same("".join(sorted(found(text, place=place)[0])), want, text)
    same(len(ok(s.post("/api/3.0/mlflow/traces/search", {"locations": [where, where2]}))["traces"]), 5, "two experiments")
    for text, part in WRONG:
        error(s.post("/api/3.0/mlflow/traces/search", {"locations": [where], "filter": text}), 400, part, "INVALID_PARAMETER_VALUE")
    for orders, want in ORDERS:
        same(found("", orders)[0], want, orders)
    first, token = found("", max_results=2)
    rest, end = found("", max_results=2, page_token=token)
    same((first, rest, end), ("cb", "a", None))
    for n, part in ((501, "Invalid value 501"), (0, "positive integer"), (-1, "positive integer")):
        error(s.post("/api/3.0/mlflow/traces/search", {"locations": [where], "max_results": n}), 400, part)
    error(s.post("/api/3.0/mlflow/traces/search", {"locations": [where], "page_token": "?"}), 400, "Invalid page token")
    error(s.post("/api/3.0/mlflow/traces/search", {"locations": [where], "order_by": ["nothing"]}), 400, "Invalid order by key")
    costly = "name RLIKE '(a+)+$'"
    ok(s.request("PATCH", "/api/2.0/mlflow/traces/tr-a/tags", {"key": "mlflow.traceName", "value": "a" * 60 + "b"}))
    a = s.post("/api/3.0/mlflow/traces/search", {"locations": [where], "filter": costly})
    error(a, 400, "needs too much work")


def deleting(s):
    e = ok(s.mlflow("experiments/create", {"name": "emptied"}))["experiment_id"]
    for n in range(20, 26):
        send(s, request(span(ids(n)[0], b"\x01" * 8, start=T0 + n * 1_000_000_000, end=T0 + n * 1_000_000_001)), experiment=e)
    ms = T0 // 1_000_000
    for body, part in (({}, "must be specified"), ({"max_traces": 1, "request_ids": ["x"]}, "max_traces"),
                       ({"max_timestamp_millis": 1, "request_ids": ["x"]}, "Only one of"),
                       ({"max_timestamp_millis": 1, "max_traces": 0}, "positive integer")):
        error(s.post("/api/3.0/mlflow/traces/delete-traces", {"experiment_id": e, **body}), 400, part)
    gone = s.post("/api/3.0/mlflow/traces/delete-traces", {"experiment_id": e, "max_timestamp_millis": ms + 22_000, "max_traces": 2})
    same(ok(gone), {"traces_deleted": 2})
    same(s.get(f"/api/3.0/mlflow/traces/{ids(20)[1]}").status, 404, "the oldest went")
    same(s.get(f"/api/3.0/mlflow/traces/{ids(22)[1]}").status, 200)
    same(ok(s.mlflow("traces/delete-traces", {"experiment_id": e, "request_ids": [ids(22)[1], "none", ids(1)[1]]})),
         {"traces_deleted": 1})
    same(s.get(f"/api/3.0/mlflow/traces/{ids(1)[1]}").status, 200, "another experiment's trace stays")
    same(ok(s.post("/api/3.0/mlflow/traces/delete-traces", {"experiment_id": e, "max_timestamp_millis": ms * 2})),
         {"traces_deleted": 3})


def assessing(s):
    base = "/api/3.0/mlflow/traces/tr-b/assessments"
    good = {"assessment_name": "x", "source": {"source_type": "HUMAN", "source_id": "me"}, "feedback": {"value": 1}}
    for change, part in (({"feedback": None}, "Unknown assessment type"), ({"assessment_name": ""}, "assessment_name"),
                         ({"assessment_name": "n" * 251}, "exceeds the maximum length"), ({"metadata": {"a": 1}}, "object of texts"),
                         ({"create_time": "x"}, "create_time"), ({"overrides": "a-none"}, "not found")):
        a = s.post(base, {"assessment": {**good, **change}})
        assert a.status in (400, 404) and part in a.text, f"{change}: {a}"
    error(s.post("/api/3.0/mlflow/traces/none/assessments", {"assessment": good}), 404, "Trace with ID 'none' not found.")
    error(s.post(base, {}), 400, "Missing value for required parameter 'assessment'")
    one = ok(s.post(base, {"assessment": {**good, "rationale": "r", "metadata": {"k": "v"}, "span_id": "s1"}}))["assessment"]
    same({k: one[k] for k in ("assessment_name", "feedback", "rationale", "metadata", "span_id", "valid", "trace_id")},
         {"assessment_name": "x", "feedback": {"value": 1}, "rationale": "r", "metadata": {"k": "v"}, "span_id": "s1",
          "valid": True, "trace_id": "tr-b"})
    where = base + "/" + one["assessment_id"]
    same(ok(s.get(where))["assessment"], one)
    changed = ok(s.request("PATCH", where, {"assessment": {"feedback": {"value": {"a": [1]}, "error": {"error_code": "E"}},
                                                           "rationale": "n"}, "update_mask": "feedback,rationale"}))["assessment"]
    same((changed["feedback"], changed["rationale"], changed["metadata"]),
         ({"value": {"a": [1]}, "error": {"error_code": "E"}}, "n", {"k": "v"}))
    error(s.request("PATCH", where, {"assessment": {"expectation": {"value": 1}}, "update_mask": "expectation"}), 400, "Cannot update")
    error(s.request("PATCH", where, {"assessment": {}, "update_mask": "trace_id"}), 400, "cannot be updated")
    second = ok(s.post(base, {"assessment": {**good, "overrides": one["assessment_id"]}}))["assessment"]
    same(ok(s.get(where))["assessment"]["valid"], False)
    ok(s.request("DELETE", base + "/" + second["assessment_id"], None))
    same(ok(s.get(where))["assessment"]["valid"], True)
    ok(s.request("DELETE", where, None))
    ok(s.request("DELETE", where, None))
    error(s.get(where), 404, f"Assessment with ID '{one['assessment_id']}' not found for trace 'tr-b'")


def older_sums():
    """Spans that a server of schema 14 kept count as much as new ones."""
    usage = "mlflow.chat.tokenUsage"
    told = ([{"key": "x", "value": {"string_value": usage}}, {"key": usage, "value": {"string_value": '{"input_tokens":5}'}}],
            [{"key": usage, "value": {"string_value": "{no JSON"}}], [{"key": usage, "value": {"int_value": 3}}], [])
    with tempfile.TemporaryDirectory(prefix="quern-test-") as data:
        d = old_database.make(os.path.join(data, "quern.db"), 14)
        d.execute("INSERT INTO trace (id, trace_id, experiment_id, timestamp_ms, state) VALUES (1, ?, 0, 1, 'OK')", (ids(50)[1],))
        d.execute("INSERT INTO trace_metadata VALUES (1, 'mlflow.trace.tokenUsage', '{}')")
        d.executemany("INSERT INTO span (trace, span_id, name, type, status, start_ns, content) VALUES (1, ?, 's', '', 'OK', 1, ?)",
                      [(f"{i:016x}", json.dumps({"attributes": a}, separators=(",", ":"))) for i, a in enumerate(told, 1)])
        d.commit()
        d.close()
        with Server(data=data) as s:
            same(send(s, request(span(ids(50)[0], b"\x09" * 8, attributes={usage: '{"input_tokens":2}'}))).status, 200)
            info = ok(s.get(f"/api/3.0/mlflow/traces/{ids(50)[1]}"))["trace"]["trace_info"]
            same(json.loads(info["trace_metadata"]["mlflow.trace.tokenUsage"]), {"input_tokens": 7, "output_tokens": 0, "total_tokens": 0})


def hostile(s):
    """Little requests that would make large trees, or work that grows with its square."""
    def peak():
        with open(f"/proc/{s.process.pid}/status", encoding="ascii") as f:
            return int(next(x for x in f if x.startswith("VmHWM")).split()[1]) >> 10
    before, raw = peak(), ids(60)[0]
    bare = field(1, raw) + field(2, b"\x01" * 8)
    for unit in (b"\x4a\x00", b"\x5a\x00", b"\x4a\x06\x12\x04\x2a\x02\x0a\x00"):
        body = field(1, field(2, field(2, bare + unit * ((32 << 20) // len(unit)))))
        error(send(s, gzip.compress(body, 1), **{"Content-Encoding": "gzip"}), 413, "256 MiB")
    text = "[" + "[]," * (2 << 20) + "[]]"
    for key in ("mlflow.llm.cost", "mlflow.chat.tokenUsage"):
        same(send(s, gzip.compress(request(span(raw, b"\x01" * 8, attributes={key: text})), 1), **{"Content-Encoding": "gzip"}).status, 200, "kept as a text")
    at = {"input.value": text, "output.value": text}
    error(send(s, gzip.compress(request(span(raw, b"\x01" * 8, attributes=at)), 1), **{"Content-Encoding": "gzip"}), 413, "256 MiB")
    assert peak() - before < 1500, f"{peak() - before} MiB more"
    many = {f"mlflow.traceTag.k{i}": "v" for i in range(10001)}
    error(send(s, request(span(raw, b"\x01" * 8, attributes=many))), 413, "tags")
    many.popitem()
    same(send(s, request(span(raw, b"\x01" * 8, attributes=many))).status, 200)
    tid = ids(60)[1]
    prompts = [{"name": f"p{i}", "version": "1"} for i in range(101)]
    link = {"trace_id": tid, "prompt_versions": prompts}
    error(s.post("/api/2.0/mlflow/traces/link-prompts", link), 400, "more than 100 prompts")
    ok(s.post("/api/2.0/mlflow/traces/link-prompts", {**link, "prompt_versions": prompts[:100]}))
    error(s.post("/api/2.0/mlflow/traces/link-prompts", {**link, "prompt_versions": [{"name": "n" * 8000, "version": "1"}]}), 400, "room")
    where = f"/api/3.0/mlflow/traces/{tid}/assessments"
    value = {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": "[1]"}}
    made = ok(s.post(where, {"assessment": {"assessment_name": "a", "source": {"source_type": "HUMAN", "source_id": "me"}, "expectation": value}}))
    value["serialized_value"]["value"] = text[:1 << 20]
    error(s.request("PATCH", f"{where}/{made['assessment']['assessment_id']}", {"assessment": {"expectation": value}, "update_mask": "expectation"}), 413, "1 MiB")
    run = ok(s.post("/api/2.0/mlflow/runs/create", {"experiment_id": "0"}))["run"]["info"]["run_id"]
    error(s.post("/api/2.0/mlflow/runs/log-model", {"run_id": run, "model_json": text}), 413, "1 MiB")


def main():
    older_sums()
    with Server() as s:
        protobuf(s)
        sums(s)
        described_by_spans(s)
        conventions(s)
        senders(s)
        numbers(s)
        otlp_json(s)
        packed(s)
        refused(s)
        describe(s)
        older(s)
        searching(s)
        deleting(s)
        assessing(s)
    with Server() as s:
        resources_bounded(s)
    with Server() as s:
        hostile(s)
    print("traces on the wire: ok")


if __name__ == "__main__":
    main()
