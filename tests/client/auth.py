# SPDX-License-Identifier: Apache-2.0
"""MLflow's own client of the basic-auth app, and its tracking client under a user's password."""
import os
import sys
import types

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from quern import Server  # noqa: E402

SECRET = "a rather long secret"


class As:
    """Who the client is: it reads these variables at every request."""

    def __init__(self, name, password=SECRET):
        self.wanted = {"MLFLOW_TRACKING_USERNAME": name, "MLFLOW_TRACKING_PASSWORD": password}

    def __enter__(self):
        self.before = {k: os.environ.get(k) for k in self.wanted}
        os.environ.update(self.wanted)

    def __exit__(self, *_):
        for k, v in self.before.items():
            if v is None:
                os.environ.pop(k, None)
            else:
                os.environ[k] = v


def refused(code, call, *args, **kw):
    from mlflow.exceptions import MlflowException
    try:
        got = call(*args, **kw)
    except MlflowException as e:
        assert e.error_code == code, f"{e.error_code}: {e}"
        return str(e)
    raise AssertionError(f"went through: {got}")


def main():
    # The package of the client is that of the server, whose forms are not what is tried here.
    forms = types.ModuleType("flask_wtf.csrf")
    forms.CSRFProtect = object
    sys.modules.setdefault("flask_wtf", types.ModuleType("flask_wtf"))
    sys.modules.setdefault("flask_wtf.csrf", forms)
    try:
        from mlflow.server.auth.client import AuthServiceClient
    except ImportError as e:
        genuine = os.path.join(os.path.dirname(os.environ.get("QUERN_GENUINE", "")), "python")
        if os.path.isabs(genuine) and not os.path.samefile(os.path.dirname(genuine), os.path.dirname(sys.executable)):
            os.execv(genuine, [genuine, *sys.argv])
        print("skipped: this environment has no server part of MLflow:", e)
        sys.exit(77)
    import mlflow
    from mlflow import MlflowClient
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    with Server() as s:
        client, tracking = AuthServiceClient(s.url), MlflowClient(s.url)
        root = client.create_user("root", SECRET)
        assert root.is_admin, root.to_json()
        refused("UNAUTHENTICATED", client.create_user, "ann", SECRET)
        with As("root"):
            ann = client.create_user("ann", SECRET)
            assert not ann.is_admin
            assert client.get_user("ann").id == ann.id
            refused("RESOURCE_ALREADY_EXISTS", client.create_user, "ann", SECRET)
            hidden = tracking.create_experiment("hidden")
            run = tracking.create_run(hidden).info.run_id
            tracking.create_registered_model("hidden")
            if hasattr(client, "create_experiment_permission"):
                p = client.create_experiment_permission(hidden, "ann", "NO_PERMISSIONS")
                assert (p.experiment_id, p.permission, p.user_id) == (hidden, "NO_PERMISSIONS", ann.id)
                p = client.create_registered_model_permission("hidden", "ann", "NO_PERMISSIONS")
                assert (p.name, p.permission, p.user_id) == ("hidden", "NO_PERMISSIONS", ann.id)
                refused("RESOURCE_ALREADY_EXISTS", client.create_experiment_permission, hidden, "ann", "READ")
                refused("INVALID_PARAMETER_VALUE", client.update_experiment_permission, hidden, "ann", "BOGUS")
                raise_to = lambda level: (  # noqa: E731
                    client.update_experiment_permission(hidden, "ann", level),
                    client.update_registered_model_permission("hidden", "ann", level))
                drop = lambda: (  # noqa: E731
                    client.delete_experiment_permission(hidden, "ann"),
                    client.delete_registered_model_permission("hidden", "ann"))
                level_of = lambda: client.get_experiment_permission(hidden, "ann").permission  # noqa: E731
            else:  # from 3.14 on
                raise_to = lambda level: (  # noqa: E731
                    client.grant_user_permission("ann", "experiment", hidden, level),
                    client.grant_user_permission("ann", "registered_model", "hidden", level))
                drop = lambda: (  # noqa: E731
                    client.revoke_user_permission("ann", "experiment", hidden),
                    client.revoke_user_permission("ann", "registered_model", "hidden"))
                level_of = lambda: client.get_user_permission("ann", "experiment", hidden).permission  # noqa: E731
                raise_to("NO_PERMISSIONS")
            assert level_of() == "NO_PERMISSIONS", level_of()
        with As("ann"):
            refused("PERMISSION_DENIED", tracking.get_experiment, hidden)
            refused("PERMISSION_DENIED", tracking.get_run, run)
            refused("PERMISSION_DENIED", tracking.get_registered_model, "hidden")
            assert [e.name for e in tracking.search_experiments()] == ["Default"]
            assert list(tracking.search_registered_models()) == []
            assert list(tracking.search_runs([hidden])) == []
            refused("PERMISSION_DENIED", client.create_user, "eve", SECRET)
            own = tracking.create_experiment("own")
            tracking.log_metric(tracking.create_run(own).info.run_id, "m", 1)
            tracking.delete_experiment(own)
        with As("root"):
            raise_to("READ")
        with As("ann"):
            assert tracking.get_run(run).info.run_id == run
            refused("PERMISSION_DENIED", tracking.log_param, run, "k", "v")
        with As("root"):
            raise_to("EDIT")
        with As("ann"):
            tracking.log_param(run, "k", "v")
            tracking.set_registered_model_tag("hidden", "k", "v")
            refused("PERMISSION_DENIED", tracking.delete_run, run)
            refused("PERMISSION_DENIED", tracking.delete_registered_model, "hidden")
        with As("root"):
            raise_to("MANAGE")
        with As("ann"):
            tracking.delete_run(run)
            tracking.delete_registered_model("hidden")
            new = "another long secret"
            if "current_password" in client.update_user_password.__code__.co_varnames:
                refused("INVALID_PARAMETER_VALUE", client.update_user_password, "ann", new)
                client.update_user_password("ann", new, current_password=SECRET)
            else:  # 2.x asks for no current password: only an administrator can change it
                refused("INVALID_PARAMETER_VALUE", client.update_user_password, "ann", new)
                with As("root"):
                    client.update_user_password("ann", new)
            refused("UNAUTHENTICATED", client.get_user, "ann")
        with As("ann", new):
            assert client.get_user("ann").username == "ann"
        with As("root"):
            client.update_user_admin("ann", True)
        with As("ann", new):
            client.create_user("eve", SECRET)
            client.delete_user("eve")
            refused("RESOURCE_DOES_NOT_EXIST", client.get_user, "eve")
        with As("root"):
            if hasattr(client, "create_experiment_permission"):
                client.delete_experiment_permission(hidden, "ann")
                refused("RESOURCE_DOES_NOT_EXIST", client.get_experiment_permission, hidden, "ann")
            else:
                client.revoke_user_permission("ann", "experiment", hidden)
                refused("RESOURCE_DOES_NOT_EXIST", client.revoke_user_permission, "ann", "experiment", hidden)
    print("auth client", mlflow.__version__, "fine")


if __name__ == "__main__":
    main()
