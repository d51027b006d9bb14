# SPDX-License-Identifier: Apache-2.0
"""A page of registered models: each as registered-models/get gives it and as it was made, with the
newest version of every stage, tags and aliases; and a page of a thousand is prompt."""
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import quern  # noqa: E402

DRAW = random.Random(3)
STAGES = ("None", "Staging", "Production", "Archived")
MODELS = 1000


def call(s, name, body, method="POST"):
    answer = s.mlflow(name, body, method=method)
    assert answer.status == 200, (name, body, answer)
    return answer.json


def make(s, i):
    name = f"model-{i:04}"
    tags = {f"t{k}": str(DRAW.randrange(5)) for k in range(DRAW.randrange(4))}
    call(s, "registered-models/create", {"name": name, "tags": [{"key": k, "value": v} for k, v in tags.items()]})
    stages = []
    for version in range(1, DRAW.choice([0, 0, 1, 1, 3, 6]) + 1):
        call(s, "model-versions/create", {"name": name, "source": f"s3://bucket/{i}/{version}"})
        stages.append("None")
        if DRAW.random() < 0.5:
            stages[-1] = DRAW.choice(STAGES[1:])
            call(s, "model-versions/transition-stage",
                 {"name": name, "version": str(version), "stage": stages[-1], "archive_existing_versions": False})
    aliases = {}
    for k in range(DRAW.randrange(3) if stages else 0):
        aliases[f"a{k}"] = DRAW.randrange(len(stages)) + 1
        call(s, "registered-models/alias", {"name": name, "alias": f"a{k}", "version": str(aliases[f"a{k}"])})
    newest = [(str(max(v + 1 for v, at in enumerate(stages) if at == stage)), stage)
              for stage in STAGES if stage in stages]
    return name, tags, aliases, newest


def main():
    with quern.Server() as s:
        made = {m[0]: m for m in (make(s, i) for i in range(MODELS))}
        begin = time.monotonic()
        page = s.get(f"/api/2.0/mlflow/registered-models/search?max_results={MODELS}").json["registered_models"]
        took = time.monotonic() - begin
        assert [m["name"] for m in page] == sorted(made), "not by name"
        for m in page:
            _, tags, aliases, newest = made[m["name"]]
            assert {t["key"]: t["value"] for t in m.get("tags", [])} == tags, (m, tags)
            assert {a["alias"]: int(a["version"]) for a in m.get("aliases", [])} == aliases, (m, aliases)
            got = [(v["version"], v["current_stage"]) for v in m.get("latest_versions", [])]
            assert got == newest, (m, newest)
        for name in DRAW.sample(sorted(made), 60):
            one = s.get(f"/api/2.0/mlflow/registered-models/get?name={name}").json["registered_model"]
            assert one == next(m for m in page if m["name"] == name), (one, name)
        seen, token = [], ""
        while token is not None:
            q = f"max_results=170&order_by=name%20DESC&page_token={token}"
            more = s.get(f"/api/2.0/mlflow/registered-models/search?{q}").json
            seen += more["registered_models"]
            token = more.get("next_page_token")
        assert seen == page[::-1], "pages differ from the whole"
        print(f"{MODELS} models in one page: {took * 1000:.1f} ms")
        assert took < 2, took
    print("ok")


main()
