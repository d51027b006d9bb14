# SPDX-License-Identifier: Apache-2.0
"""The model registry through the genuine MLflow client, and what only bare HTTP can show."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quern import Server  # noqa: E402

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
import warnings  # noqa: E402

warnings.filterwarnings("ignore")
import mlflow  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402

NEW = int(mlflow.__version__.split(".")[0]) >= 3


def check(cond, *seen):
    assert cond, "seen: " + " ".join(repr(x) for x in seen)


def fails(code, part, fn, *a, **kw):
    try:
        got = fn(*a, **kw)
    except MlflowException as e:
        check(e.error_code == code and part in str(e), e.error_code, str(e))
        return
    check(False, "no failure", got)


def wire_error(answer, status, code, part=""):
    check(answer.status == status and answer.json["error_code"] == code and part in answer.json["message"], answer)


def models(c, s):
    m = c.create_registered_model("m", tags={"team": "red", "empty": ""}, description="first")
    check(m.name == "m" and m.tags == {"team": "red", "empty": ""} and m.description == "first", dict(m))
    fails("RESOURCE_ALREADY_EXISTS", "Registered Model (name=m) already exists.", c.create_registered_model, "m")
    fails("RESOURCE_DOES_NOT_EXIST", "Registered Model with name=none not found", c.get_registered_model, "none")
    wire_error(s.mlflow("registered-models/create", {"name": "a/b"}), 400, "INVALID_PARAMETER_VALUE",
               "Invalid model name 'a/b'. Names cannot contain '/' or ':'.")
    wire_error(s.mlflow("registered-models/create", {}), 400, "INVALID_PARAMETER_VALUE",
               "Missing value for required parameter 'name'")
    m = c.update_registered_model("m", "second")
    check(m.description == "second" and m.last_updated_timestamp >= m.creation_timestamp, dict(m))
    a = s.mlflow("registered-models/update", {"name": "m"}, "PATCH")
    check(a.status == 200 and "description" not in a.json["registered_model"], a)
    c.set_registered_model_tag("m", "k", "v")
    c.delete_registered_model_tag("m", "team")
    c.delete_registered_model_tag("m", "never there")
    check(c.get_registered_model("m").tags == {"empty": "", "k": "v"}, c.get_registered_model("m").tags)
    ajax = s.get("/ajax-api/2.0/mlflow/registered-models/get?name=m")
    check(ajax.status == 200 and ajax.json["registered_model"]["name"] == "m", ajax)


def versions(c, s, run_id):
    root = c.get_run(run_id).info.artifact_uri
    v = c.create_model_version("m", root + "/model", run_id, tags={"a": "b"}, description="one")
    check((v.version, v.status, v.current_stage, v.run_id, v.tags) in
          [("1", "READY", "None", run_id, {"a": "b"}), (1, "READY", "None", run_id, {"a": "b"})], dict(v))
    check(v.source == root + "/model" and v.description == "one", dict(v))
    check(c.get_model_version_download_uri("m", "1") == root + "/model", "download URI")
    c.create_model_version("m", root + "/model", run_id)
    c.delete_model_version("m", "2")
    fails("RESOURCE_DOES_NOT_EXIST", "Model Version (name=m, version=2) not found", c.get_model_version, "m", "2")
    check(str(c.create_model_version("m", root + "/model", run_id).version) == "3", "a number was used again")
    v = c.update_model_version("m", "3", "text")
    check(v.description == "text", dict(v))
    c.set_model_version_tag("m", "3", "k", "v")
    check(c.get_model_version("m", "3").tags == {"k": "v"}, "tags")
    c.delete_model_version_tag("m", "3", "k")
    check(c.get_model_version("m", "3").tags == {}, "tags")
    a = s.get("/api/2.0/mlflow/model-versions/get?name=m&version=3")
    check(a.json["model_version"] == {**a.json["model_version"], "version": "3", "description": "text", "run_link": "",
                                      "run_id": run_id, "status": "READY", "current_stage": "None"}, a)
    check("tags" not in a.json["model_version"] and "aliases" not in a.json["model_version"], a)
    wire_error(s.get("/api/2.0/mlflow/model-versions/get?name=m&version=abc"), 400, "INVALID_PARAMETER_VALUE",
               "Parameter 'version' must be an integer, got 'abc'.")
    wire_error(s.mlflow("registered-models/alias", {"name": "m", "alias": "x", "version": 1}), 400,
               "INVALID_PARAMETER_VALUE", "'int'")
    for source in ("/etc/passwd", "file:///etc/passwd", "../x", "s3://b/%252e%252e/x", "mlflow-artifacts:/1/../x",
                   "s3://b/x%00"):
        wire_error(s.mlflow("model-versions/create", {"name": "m", "source": source}), 400, "INVALID_PARAMETER_VALUE",
                   "Invalid model version source")
    wire_error(s.mlflow("model-versions/create", {"name": "m", "source": "models:/none/1"}), 404,
               "RESOURCE_DOES_NOT_EXIST")


def aliases(c, s):
    c.set_registered_model_alias("m", "champion", "1")
    check(str(c.get_model_version_by_alias("m", "champion").version) == "1", "alias")
    c.set_registered_model_alias("m", "champion", "3")
    c.set_registered_model_alias("m", "best", "3")
    check(str(c.get_model_version_by_alias("m", "champion").version) == "3", "alias did not move")
    check(sorted(c.get_model_version("m", "3").aliases) == ["best", "champion"], c.get_model_version("m", "3").aliases)
    check({k: str(v) for k, v in c.get_registered_model("m").aliases.items()} == {"best": "3", "champion": "3"},
          c.get_registered_model("m").aliases)
    fails("INVALID_PARAMETER_VALUE", "Registered model alias nobody not found.", c.get_model_version_by_alias, "m", "nobody")
    for alias, part in (("latest", "reserved"), ("v3", "Version alias name 'v3' is reserved."),
                        ("a b", "Invalid alias name: 'a b'.")):
        wire_error(s.mlflow("registered-models/alias", {"name": "m", "alias": alias, "version": "1"}), 400,
                   "INVALID_PARAMETER_VALUE", part)
    c.delete_registered_model_alias("m", "best")
    c.delete_registered_model_alias("m", "best")
    check(c.get_model_version("m", "3").aliases == ["champion"], c.get_model_version("m", "3").aliases)


def stages(c, s):
    v = c.transition_model_version_stage("m", "1", "Production")
    check(v.current_stage == "Production", dict(v))
    v = c.transition_model_version_stage("m", "3", "production", archive_existing_versions=True)
    check(v.current_stage == "Production", dict(v))
    check(c.get_model_version("m", "1").current_stage == "Archived", "not archived")
    latest = {x.current_stage: str(x.version) for x in c.get_latest_versions("m")}
    check(latest == {"Production": "3", "Archived": "1"}, latest)
    latest = [str(x.version) for x in c.get_latest_versions("m", ["production"])]
    check(latest == ["3"], latest)
    a = s.get("/api/2.0/mlflow/registered-models/get-latest-versions?name=m&stages=Archived&stages=None")
    check([x["version"] for x in a.json["model_versions"]] == ["1"], a)
    wire_error(s.mlflow("model-versions/transition-stage", {"name": "m", "version": "1", "stage": "Dead"}), 400,
               "INVALID_PARAMETER_VALUE", "Invalid Model Version stage: Dead.")
    wire_error(s.mlflow("model-versions/transition-stage", {"name": "m", "version": "1", "stage": "None",
                                                            "archive_existing_versions": True}), 400,
               "INVALID_PARAMETER_VALUE", "is not an Active stage")


def search(c, s):
    for i in range(5):
        c.create_registered_model(f"search-{i}", tags={"n": str(i)})
    page = c.search_registered_models("name LIKE 'search-%'", max_results=2, order_by=["name DESC"])
    check([m.name for m in page] == ["search-4", "search-3"] and page.token, [m.name for m in page], page.token)
    names = [m.name for m in page]
    while page.token:
        page = c.search_registered_models("name LIKE 'search-%'", max_results=2, order_by=["name DESC"], page_token=page.token)
        names += [m.name for m in page]
    check(names == [f"search-{i}" for i in (4, 3, 2, 1, 0)], names)
    check([m.name for m in c.search_registered_models("tag.n = '3'")] == ["search-3"], "by tag")
    check({m.name for m in c.search_registered_models()} == {"m"} | {f"search-{i}" for i in range(5)}, "all")
    found = c.search_model_versions("name = 'm'", order_by=["version_number ASC"])
    check([str(v.version) for v in found] == ["1", "3"], found)
    found = c.search_model_versions("name = 'm' and version_number > 1")
    check([str(v.version) for v in found] == ["3"] and found[0].aliases == ["champion"], found)
    fails("INVALID_PARAMETER_VALUE", "Invalid attribute key", c.search_model_versions, "stage = 'x'")
    fails("INVALID_PARAMETER_VALUE", "Invalid order by key", c.search_registered_models, order_by=["foo"])
    wire_error(s.get("/api/2.0/mlflow/registered-models/search?max_results=1001"), 400, "INVALID_PARAMETER_VALUE",
               "Invalid value 1001 for parameter 'max_results'")
    wire_error(s.get("/api/2.0/mlflow/model-versions/search?max_results=0"), 400, "INVALID_PARAMETER_VALUE",
               "It must be a positive integer, but got 0")
    s.mlflow("registered-models/create", {"name": "prompt", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]})
    check("prompt" not in {m.name for m in c.search_registered_models()}, "a prompt among the models")
    a = s.get("/api/2.0/mlflow/registered-models/search?filter=tags.%60mlflow.prompt.is_prompt%60%20%3D%20%27true%27")
    check([m["name"] for m in a.json["registered_models"]] == ["prompt"], a)


def files(c, s, run_id):
    c.log_text(run_id, "model text", "model/MLmodel")
    a = s.get("/model-versions/get-artifact?name=m&version=3&path=MLmodel")
    check(a.status == 200 and a.body == b"model text" and a.headers["Content-Type"] == "text/plain", a, dict(a.headers))
    wire_error(s.get("/model-versions/get-artifact?name=m&version=3&path=../../x"), 400, "INVALID_PARAMETER_VALUE",
               "Invalid path")
    check(s.get("/model-versions/get-artifact?name=m&version=3&path=none").status == 404, "missing file")


def lineage(s, run_id):
    a = s.get("/api/v1/lineage?node=model_version:m/3&direction=upstream")
    refs = {n["ref"] for n in a.json["nodes"]}
    check(a.status == 200 and f"run:{run_id}" in refs, a)
    check({"from": f"run:{run_id}", "to": "model_version:m/3", "verb": "registered_as"} in a.json["edges"], a)
    dot = s.get("/api/v1/lineage?node=model_version:m/3&format=dot")
    check(dot.headers["Content-Type"].startswith("text/vnd.graphviz") and dot.text.startswith("digraph lineage {"), dot)
    same = s.get("/api/v1/lineage?node=model_version:m/3", headers={"Accept": "text/vnd.graphviz"})
    check(same.text == dot.text, same)
    a = s.get("/api/v1/lineage?node=run:unknown")
    check(a.status == 404 and "run:unknown" in a.json["detail"], a)
    check(s.get("/api/v1/lineage?node=bogus:x").status == 400, "unknown kind")
    check(s.get("/api/v1/lineage").status == 400, "no node")
    a = s.get("/api/v1/lineage/nodes?kind=model_version&q=M/&max_results=1")
    check(len(a.json["nodes"]) == 1 and a.json["next_page_token"], a)
    b = s.get("/api/v1/lineage/nodes?kind=model_version&q=M/&max_results=1&page_token=" + a.json["next_page_token"])
    check(b.json["nodes"] and b.json["nodes"] != a.json["nodes"], b)


def trained(c, s):
    """log_model, registration and loading of a real model, by every name it has."""
    from sklearn.linear_model import LogisticRegression

    x, y = [[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]
    model = LogisticRegression().fit(x, y)
    mlflow.set_experiment("registry")
    with mlflow.start_run() as run:
        kind = {"name": "forest"} if NEW else {"artifact_path": "forest"}
        info = mlflow.sklearn.log_model(model, registered_model_name="trained", serialization_format="cloudpickle", **kind)
    c.set_registered_model_alias("trained", "champion", "1")
    again = mlflow.register_model(f"runs:/{run.info.run_id}/forest", "trained")
    check(str(again.version) == "2", dict(again))
    uris = ["models:/trained/1", "models:/trained/2", "models:/trained@champion", "models:/trained/latest",
            f"runs:/{run.info.run_id}/forest", info.model_uri]
    for uri in uris:
        check(list(mlflow.sklearn.load_model(uri).predict(x)) == y, uri)
    a = s.get("/model-versions/get-artifact?name=trained&version=1&path=MLmodel")
    check(a.status == 200 and b"sklearn" in a.body, a)
    refs = {n["ref"] for n in s.get("/api/v1/lineage?node=model_version:trained/1&direction=upstream").json["nodes"]}
    check(f"run:{run.info.run_id}" in refs, refs)
    check(not NEW or any(r.startswith("logged_model:m-") for r in refs), refs)


def prompts(c, s):
    """Prompts are models with a tag; their source is a placeholder that must pass."""
    if not NEW:
        return
    from mlflow import genai
    p = genai.register_prompt(name="greeting", template="Hello {{name}}", commit_message="first")
    check(str(p.version) == "1" and p.template == "Hello {{name}}", p)
    genai.register_prompt(name="greeting", template="Good day {{name}}")
    genai.set_prompt_alias("greeting", alias="live", version=2)
    check(genai.load_prompt("prompts:/greeting@live").format(name="you") == "Good day you", "prompt text")
    check(genai.load_prompt("prompts:/greeting/1").template == "Hello {{name}}", "prompt text")
    check("greeting" in [x.name for x in genai.search_prompts()], [x.name for x in genai.search_prompts()])
    check("greeting" not in {m.name for m in c.search_registered_models()}, "a prompt among the models")
    check("greeting" not in {v.name for v in c.search_model_versions()}, "a prompt among the versions")
    wire_error(s.mlflow("registered-models/create", {"name": "greeting"}), 400, "RESOURCE_ALREADY_EXISTS", "prompt")
    wire_error(s.mlflow("model-versions/create", {"name": "m", "source": "dummy-source"}), 400, "INVALID_PARAMETER_VALUE")


def deletion(c, s):
    c.rename_registered_model("m", "renamed")
    check(c.get_registered_model("renamed").name == "renamed", "not renamed")
    fails("RESOURCE_DOES_NOT_EXIST", "not found", c.get_registered_model, "m")
    check(str(c.get_model_version_by_alias("renamed", "champion").version) == "3", "alias lost")
    fails("RESOURCE_ALREADY_EXISTS", "already exists", c.rename_registered_model, "renamed", "search-1")
    c.delete_model_version("renamed", "3")
    fails("INVALID_PARAMETER_VALUE", "alias champion not found", c.get_model_version_by_alias, "renamed", "champion")
    check(c.get_registered_model("renamed").aliases == {}, "a dangling alias")
    c.delete_registered_model("renamed")
    fails("RESOURCE_DOES_NOT_EXIST", "not found", c.get_registered_model, "renamed")
    fails("RESOURCE_DOES_NOT_EXIST", "not found", c.get_model_version, "renamed", "1")
    check(s.get("/api/2.0/mlflow/model-versions/search?filter=name%3D%27renamed%27").json == {}, "versions left")


def main():
    with Server() as s:
        mlflow.set_tracking_uri(s.url)
        c = MlflowClient(s.url)
        run_id = c.create_run("0").info.run_id
        for test, args in ((models, (c, s)), (versions, (c, s, run_id)), (aliases, (c, s)), (stages, (c, s)),
                           (search, (c, s)), (files, (c, s, run_id)), (lineage, (s, run_id)), (trained, (c, s)), (prompts, (c, s)),
                           (deletion, (c, s))):
            test(*args)
            print("ok", test.__name__)
    print("mlflow", mlflow.__version__)


if __name__ == "__main__":
    main()
