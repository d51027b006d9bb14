# SPDX-License-Identifier: Apache-2.0
"""The GraphQL door on the wire: the questions that MLflow's web page asks, answered with the same
members as REST gives, and what bad documents are told."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quern import Server  # noqa: E402


def same(got, want, what=""):
    assert got == want, f"{what}: got {got!r}, want {want!r}"


def ok(answer):
    assert answer.status == 200, answer
    return answer.json


def ask(s, query, **more):
    return ok(s.post("/graphql", {"query": query, **more}))


def told(s, query, part, **more):
    a = ask(s, query, **more)
    assert a["data"] is None and a["errors"] and part in a["errors"][0], f"{a} lacks {part!r}"


RUN = """
query GetRun($data: MlflowGetRunInput!) @component(name: "MLflow.ExperimentRunTracking") {
  mlflowGetRun(input: $data) {
    __typename
    apiError { helpUrl code message }
    run {
      __typename
      info { runName status runUuid experimentId artifactUri endTime lifecycleStage startTime userId }
      experiment { experimentId name tags { key value __typename } artifactLocation lastUpdateTime }
      modelVersions { status version name source }
      data {
        metrics { key value step timestamp __typename }
        params { key value __typename }
        tags { key value }
      }
      inputs {
        datasetInputs { dataset { digest name profile schema source sourceType } tags { key value } }
        modelInputs { modelId }
      }
      outputs { modelOutputs { modelId step } }
    }
  }
}"""


def run_page(s, rid):
    rest = ok(s.get(f"/api/2.0/mlflow/runs/get?run_id={rid}"))["run"]
    a = ask(s, RUN, variables={"data": {"runId": rid}}, operationName="GetRun")
    same(a["errors"], None, a)
    got = a["data"]["mlflowGetRun"]
    same((got["__typename"], got["apiError"]), ("MlflowGetRunResponse", None))
    run = got["run"]
    same(run["__typename"], "MlflowRunExtension")
    info = rest["info"]
    same(run["info"], {"runName": info["run_name"], "status": "RUNNING", "runUuid": rid,
                       "experimentId": "0", "artifactUri": info["artifact_uri"], "endTime": "0",
                       "lifecycleStage": "active", "startTime": str(info["start_time"]),
                       "userId": "ann"})
    same(run["experiment"]["name"], "Default")
    same(run["experiment"]["tags"], [{"key": "team", "value": "x", "__typename": "MlflowExperimentTag"}])
    same(run["modelVersions"], [{"status": "READY", "version": "1", "name": "gm",
                                 "source": f"runs:/{rid}/model"}])
    metrics = {m["key"]: m for m in run["data"]["metrics"]}
    same(metrics["acc"], {"key": "acc", "value": 0.5, "step": "3", "timestamp": "1700000000001",
                          "__typename": "MlflowMetricExtension"})
    same(metrics["bad"]["value"], None, "NaN has no form in GraphQL")
    same(run["data"]["params"], [{"key": "lr", "value": "0.1", "__typename": "MlflowParam"}])
    same({t["key"]: t["value"] for t in run["data"]["tags"]}["mlflow.runName"], info["run_name"])
    same(run["inputs"]["datasetInputs"][0]["dataset"]["name"], "iris")
    same(run["inputs"]["datasetInputs"][0]["dataset"]["schema"], "")
    same(run["inputs"]["datasetInputs"][0]["tags"],
         [{"key": "mlflow.data.context", "value": "training"}])
    same((run["inputs"]["modelInputs"], run["outputs"]["modelOutputs"]), ([], []))


def other_questions(s, rid):
    runs = ask(s, 'query {mlflowSearchRuns(input: {experimentIds: ["0"], filter: "metrics.acc > 0.4", '
                  'runViewType: ACTIVE_ONLY, maxResults: 5}) {runs {info {runId}} nextPageToken}}')
    same(runs["data"], {"mlflowSearchRuns": {"runs": [{"info": {"runId": rid}}], "nextPageToken": ""}})
    same(ask(s, 'mutation {mlflowSearchRuns(input: {experimentIds: ["0"]}) {runs {info {runId}}}}')
         ["data"]["mlflowSearchRuns"]["runs"], [{"info": {"runId": rid}}])
    history = ask(s, "query H($d: MlflowGetMetricHistoryBulkIntervalInput!) "
                     "{mlflowGetMetricHistoryBulkInterval(input: $d) "
                     "{__typename metrics {timestamp step runId key value}}}",
                  variables={"d": {"runIds": [rid], "metricKey": "acc"}})
    same(history["data"]["mlflowGetMetricHistoryBulkInterval"]["metrics"],
         [{"timestamp": "1700000000001", "step": "3", "runId": rid, "key": "acc", "value": 0.5}])
    same(ask(s, f'{{mlflowListArtifacts(input: {{runId: "{rid}"}}) {{rootUri files {{path isDir fileSize}}}}}}')
         ["data"]["mlflowListArtifacts"]["files"], [{"path": "a.txt", "isDir": False, "fileSize": "5"}])
    same(ask(s, 'mutation {mlflowSearchDatasets(input: {experimentIds: ["0"]}) '
                '{datasetSummaries {experimentId name digest context}}}')
         ["data"]["mlflowSearchDatasets"]["datasetSummaries"],
         [{"experimentId": "0", "name": "iris", "digest": "d1", "context": "training"}])
    versions = ask(s, "{mlflowSearchModelVersions(input: {filter: \"name='gm'\"}) "
                      "{modelVersions {name version currentStage runId aliases userId modelMetrics {key}}}}")
    same(versions["data"]["mlflowSearchModelVersions"]["modelVersions"],
         [{"name": "gm", "version": "1", "currentStage": "None", "runId": rid, "aliases": ["best"],
           "userId": None, "modelMetrics": None}])
    same(ask(s, '{test(inputString: "Test String") {output}}'),
         {"data": {"test": {"output": "Test String"}}, "errors": None})
    same(ask(s, 'mutation {testMutation(inputString: "b") {output}}')["data"]["testMutation"],
         {"output": "b"})
    same(ok(s.get("/graphql?query=%7Btest(inputString%3A%22a%22)%7Boutput%7D%7D"))["data"],
         {"test": {"output": "a"}})


def language(s):
    q = ("query Q($id: String = \"0\", $no: Boolean!) {"
         "  e: mlflowGetExperiment(input: {experimentId: $id}) {"
         "    ...F experiment {a: name} experiment @skip(if: $no) {lifecycleStage}"
         "    ... on MlflowGetExperimentResponse @include(if: false) {apiError {code}}}}"
         "fragment F on MlflowGetExperimentResponse {experiment {experimentId}}")
    same(ask(s, q, variables={"no": True})["data"],
         {"e": {"experiment": {"experimentId": "0", "a": "Default"}}})
    same(ask(s, q, variables={"no": False, "id": "0"})["data"]["e"]["experiment"],
         {"experimentId": "0", "a": "Default", "lifecycleStage": "active"})
    # A root field that fails is null, the others stand.
    a = ask(s, '{a: mlflowGetExperiment(input: {experimentId: "77"}) {experiment {name}} '
               'b: mlflowGetExperiment(input: {experimentId: "0"}) {experiment {name}}}')
    same(a["data"], {"a": None, "b": {"experiment": {"name": "Default"}}})
    same(a["errors"], ["No Experiment with id=77 exists"])
    for query, part in (
            ("{mlflowGetExperiment(input: {}) {experiment {nope}}}", "Cannot query field 'nope' on type"),
            ("{mlflowGetExperiment(input: {}) {experiment}}", "must have a selection of subfields"),
            ("{mlflowGetExperiment(input: {}) {experiment {name {x}}}}", "no subfields"),
            ("{nope {x}}", "Cannot query field 'nope' on type 'Query'"),
            ("{__schema {types {name}}}", "Cannot query field '__schema'"),
            ("mutation {mlflowGetRun(input: {}) {run {info {runId}}}}", "on type 'Mutation'"),
            ("query Q($d: X!) {test(inputString: $d) {output}}", "Variable '$d' of required type 'X!'"),
            ("{a: test {output} a: mlflowGetRun(input: {}) {run {info {runId}}}}", "conflict"),
            ("{test(", "Syntax Error"),
            ("query A {test {output}} query B {test {output}}", "operation name"),
            ("{" + "a" * 17000 + "}", "at most 16384"),
            ("{" + " ".join(f"a{i}: test {{output}}" for i in range(11)) + "}", "at most 10")):
        told(s, query, part)
    told(s, "query A {test {output}}", "Unknown operation named 'B'", operationName="B")
    same(ask(s, "query A {test {output}} query B {__typename}", operationName="B")["data"],
         {"__typename": "Query"})
    same(s.post("/graphql", {}).status, 400)
    same(s.post("/graphql", {"query": "{test {output}}", "variables": []}).status, 400)


def bounds(s):
    """Forty runs of one search, each with a read of its own, stay below the bound; nothing above."""
    for i in range(40):
        ok(s.mlflow("runs/create", {"experiment_id": "0", "run_name": f"r{i}"}))
    roots = " ".join(f'a{i}: mlflowSearchRuns(input: {{experimentIds: ["0"]}}) '
                     "{runs {experiment {name} modelVersions {name}}}" for i in range(10))
    a = ask(s, "{" + roots + "}")
    same(a["errors"], None)
    for i in range(120):
        ok(s.mlflow("runs/create", {"experiment_id": "0", "run_name": f"s{i}"}))
    a = ask(s, "{" + roots + "}")
    assert "more than 2000 reads" in a["errors"][0], a["errors"][:1]


def size(s):
    """A long list under ten names in each of ten names is an answer of any size, if one lets it."""
    rid = ok(s.mlflow("runs/create", {"experiment_id": "0"}))["run"]["info"]["run_id"]
    ok(s.mlflow("runs/log-batch", {"run_id": rid, "params": [
        {"key": f"p{i}", "value": "v" * 6000} for i in range(100)]}))
    inner = " ".join(f"p{i}: params {{key value}}" for i in range(10))

    def query(roots, names):
        below = " ".join(f"d{i}: data {{{inner}}}" for i in range(names))
        return "{" + " ".join(f'r{i}: mlflowGetRun(input: {{runId: "{rid}"}}) {{run {{{below}}}}}'
                              for i in range(roots)) + "}"
    a = ask(s, query(1, 4))
    same(a["errors"], None)
    same(len(a["data"]["r0"]["run"]["d3"]["p9"]), 100)
    told(s, query(2, 10), "The answer would exceed 64 MiB")
    same(ask(s, "{test(inputString: \"x\") {output}}")["data"], {"test": {"output": "x"}})


def main():
    with Server() as s:
        ok(s.mlflow("experiments/set-experiment-tag", {"experiment_id": "0", "key": "team", "value": "x"}))
        rid = ok(s.mlflow("runs/create", {"experiment_id": "0", "user_id": "ann",
                                          "start_time": 1700000000000}))["run"]["info"]["run_id"]
        ok(s.mlflow("runs/log-batch", {"run_id": rid, "params": [{"key": "lr", "value": "0.1"}], "metrics": [
            {"key": "acc", "value": 0.5, "timestamp": 1700000000001, "step": 3},
            {"key": "bad", "value": "NaN", "timestamp": 1700000000001}]}))
        ok(s.mlflow("runs/log-inputs", {"run_id": rid, "datasets": [
            {"tags": [{"key": "mlflow.data.context", "value": "training"}],
             "dataset": {"name": "iris", "digest": "d1", "source_type": "http", "source": "{}"}}]}))
        ok(s.request("PUT", f"/api/2.0/mlflow-artifacts/artifacts/0/{rid}/artifacts/a.txt", b"hello",
                     {"Content-Type": "text/plain"}, raw=True))
        ok(s.mlflow("registered-models/create", {"name": "gm"}))
        ok(s.mlflow("model-versions/create", {"name": "gm", "source": f"runs:/{rid}/model", "run_id": rid}))
        ok(s.mlflow("registered-models/alias", {"name": "gm", "alias": "best", "version": "1"}))
        run_page(s, rid)
        other_questions(s, rid)
        language(s)
        bounds(s)
        size(s)
    print("graphql: ok")


if __name__ == "__main__":
    main()
