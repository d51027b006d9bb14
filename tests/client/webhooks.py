# SPDX-License-Identifier: Apache-2.0
"""Webhooks through the genuine MLflow client, and the signature recipe of its documentation."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quern import Server, wait_until  # noqa: E402
from receiver import Receiver  # noqa: E402

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"
import warnings  # noqa: E402

warnings.filterwarnings("ignore")
import mlflow  # noqa: E402
from mlflow import MlflowClient  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402


def check(cond, *seen):
    assert cond, "seen: " + " ".join(repr(x) for x in seen)


def fails(code, part, fn, *a, **kw):
    try:
        got = fn(*a, **kw)
    except MlflowException as e:
        check(e.error_code == code and part in str(e), e.error_code, str(e))
        return
    check(False, "no failure", got)


def life(c, url):
    w = c.create_webhook(name="one", url=url, events=["model_version.created", "prompt.created"],
                         description="d", secret="s3cret")
    check(w.name == "one" and w.url == url and w.description == "d" and str(w.status) == "ACTIVE", w)
    check([str(e) for e in w.events] == ["model_version.created", "prompt.created"], w.events)
    check(w.creation_timestamp == w.last_updated_timestamp > 1_600_000_000_000, w)
    got = c.get_webhook(w.webhook_id)
    check(got.name == "one" and got.secret is None, got)
    u = c.update_webhook(w.webhook_id, name="two", status="DISABLED", events=["prompt_tag.set"])
    check(u.name == "two" and str(u.status) == "DISABLED" and str(u.events[0]) == "prompt_tag.set", u)
    check(u.description == "d" and u.url == url and u.last_updated_timestamp >= w.creation_timestamp, u)
    ids = [w.webhook_id] + [c.create_webhook(name=f"n{i}", url=url, events=["prompt.created"]).webhook_id
                            for i in range(4)]
    page = c.list_webhooks(max_results=2)
    seen = [x.webhook_id for x in page]
    while page.token:
        page = c.list_webhooks(max_results=2, page_token=page.token)
        seen += [x.webhook_id for x in page]
    check(sorted(seen) == sorted(ids) and len(c.list_webhooks()) == 5, seen, ids)
    stamps = [x.creation_timestamp for x in c.list_webhooks()]
    check(stamps == sorted(stamps, reverse=True), stamps)
    for i in ids:
        c.delete_webhook(i)
    check(len(c.list_webhooks()) == 0, c.list_webhooks())
    fails("RESOURCE_DOES_NOT_EXIST", f"Webhook with ID {w.webhook_id} not found.", c.get_webhook, w.webhook_id)
    fails("RESOURCE_DOES_NOT_EXIST", "not found", c.delete_webhook, w.webhook_id)


def refusals(c, url):
    ok = ["model_version.created"]
    fails("INVALID_PARAMETER_VALUE", "Webhook name 'a b' is invalid", c.create_webhook, "a b", url, ok)
    fails("INVALID_PARAMETER_VALUE", "Invalid webhook URL scheme: 'ftp'", c.create_webhook, "a", "ftp://x/", ok)
    fails("INVALID_PARAMETER_VALUE", "non-public IP address. '10.0.0.1' resolves to 10.0.0.1",
          c.create_webhook, "a", "https://10.0.0.1/", ok)
    fails("INVALID_PARAMETER_VALUE", "Missing value for required parameter 'events'", c.create_webhook, "a", url, [])


def tests(c, r):
    w = c.create_webhook("t", r.url, ["model_version.created"], secret="k")
    result = c.test_webhook(w.webhook_id)
    check(result.success and result.response_status == 200 and result.response_body == "ok", result)
    post = r.wait(1)[-1]
    check(post.signed_with("k") and not post.signed_with("x"), post.headers.items())
    check(post.json["data"]["name"] == "example_model" and post.event == "model_version.created", post)
    result = c.test_webhook(w.webhook_id, "prompt_alias.deleted")
    check(result.success and r.wait(2)[-1].json["data"] == {"name": "example_prompt", "alias": "example_alias"}, r.posts)
    r.reply = lambda post, n: (404, b"no such hook", {})
    result = c.test_webhook(w.webhook_id)
    check(not result.success and result.response_status == 404 and result.response_body == "no such hook", result)
    r.reply = lambda post, n: (200, b"ok", {})
    c.update_webhook(w.webhook_id, url="http://127.0.0.1:1/")
    result = c.test_webhook(w.webhook_id)
    check(not result.success and result.response_status is None and "127.0.0.1" in result.error_message, result)
    c.delete_webhook(w.webhook_id)


def events(c, r):
    names = ["registered_model.created", "model_version.created", "model_version_tag.set",
             "model_version_tag.deleted", "model_version_alias.created", "model_version_alias.deleted",
             "prompt.created", "prompt_version.created", "prompt_tag.set", "prompt_tag.deleted",
             "prompt_version_tag.set", "prompt_version_tag.deleted", "prompt_alias.created",
             "prompt_alias.deleted"]
    r.posts.clear()
    w = c.create_webhook("all", r.url, names, secret="k\u00e9y")

    def data(event):
        posts = r.wait(1, event)
        check(len(posts) == 1 and posts[0].signed_with("k\u00e9y"), event, posts)
        check(set(posts[0].json) == {"entity", "action", "timestamp", "data"}, posts)
        check(posts[0].json["timestamp"].endswith("+00:00"), posts)
        return posts[0].json["data"]

    c.create_registered_model("m", tags={"a": "b"}, description="words")
    check(data("registered_model.created") == {"name": "m", "tags": {"a": "b"}, "description": "words"},
          data("registered_model.created"))
    c.create_model_version("m", "s3://bucket/x", tags={"t": "1"})
    check(data("model_version.created") == {"name": "m", "version": "1", "source": "s3://bucket/x", "run_id": None,
                                            "tags": {"t": "1"}, "description": None}, data("model_version.created"))
    c.set_model_version_tag("m", "1", "k", "v")
    check(data("model_version_tag.set") == {"name": "m", "version": "1", "key": "k", "value": "v"}, r.posts)
    c.delete_model_version_tag("m", "1", "k")
    check(data("model_version_tag.deleted") == {"name": "m", "version": "1", "key": "k"}, r.posts)
    c.set_registered_model_alias("m", "champion", "1")
    check(data("model_version_alias.created") == {"name": "m", "alias": "champion", "version": "1"}, r.posts)
    c.delete_registered_model_alias("m", "champion")
    check(data("model_version_alias.deleted") == {"name": "m", "alias": "champion"}, r.posts)
    c.set_registered_model_tag("m", "silent", "1")  # models' own tags are told of for prompts only

    mlflow.genai.register_prompt("p", "Hello {{name}}!", commit_message="first", tags={"who": "me"})
    made = data("prompt.created")
    check(made["name"] == "p" and not any(k.startswith(("mlflow.prompt.is", "_mlflow_prompt_type"))
                                          for k in made["tags"]), made)
    version = data("prompt_version.created")
    check(version["name"] == "p" and version["version"] == "1" and version["template"] in
          ("Hello {{name}}!", '"Hello {{name}}!"') and version["tags"].get("who") == "me"
          and "mlflow.prompt.text" not in version["tags"] and version["description"] == "first", version)
    # The client sets tags of its own while it registers, some of them later.
    def told(event, want):
        wait_until(f"{event} {want}", lambda: [p for p in r.of(event) if p.json["data"] == want])

    c.set_prompt_tag("p", "k", "v")
    told("prompt_tag.set", {"name": "p", "key": "k", "value": "v"})
    c.delete_prompt_tag("p", "k")
    told("prompt_tag.deleted", {"name": "p", "key": "k"})
    c.set_prompt_version_tag("p", "1", "k", "v")
    told("prompt_version_tag.set", {"name": "p", "version": "1", "key": "k", "value": "v"})
    c.delete_prompt_version_tag("p", "1", "k")
    told("prompt_version_tag.deleted", {"name": "p", "version": "1", "key": "k"})
    c.set_prompt_alias("p", "best", 1)
    told("prompt_alias.created", {"name": "p", "alias": "best", "version": "1"})
    c.delete_prompt_alias("p", "best")
    told("prompt_alias.deleted", {"name": "p", "alias": "best"})
    check(not [p for p in r.posts if p.json["data"].get("key") == "silent"], r.posts)
    check(len({p.id for p in r.posts}) == len(r.posts), "delivery ids repeat")
    c.delete_webhook(w.webhook_id)
    count = len(r.posts)
    c.create_registered_model("quiet")
    c.create_registered_model("quieter")
    check(len(r.posts) == count, r.posts[count:])


def main():
    r = Receiver()
    with Server(args=["--net-allow", "127.0.0.1", "--net-allow-http"]) as s:
        mlflow.set_tracking_uri(s.url)
        c = MlflowClient(s.url)
        if not hasattr(c, "create_webhook"):
            sys.exit(77)  # a client from before webhooks
        life(c, r.url)
        refusals(c, r.url)
        tests(c, r)
        events(c, r)
    print(f"webhooks with mlflow {mlflow.__version__}: {len(r.posts)} posts")


if __name__ == "__main__":
    main()
