# SPDX-License-Identifier: Apache-2.0
"""Trains gradient boosting on a table and logs it with MLflow: parameters, a validation loss per
tree, tags, a plot and an ONNX model. Writes the model and the cross-validated score to files."""
import argparse
import json
import time

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import mlflow
import numpy as np
import pandas as pd
from skl2onnx import to_onnx
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_score, train_test_split

p = argparse.ArgumentParser()
p.add_argument("table")
p.add_argument("model")
p.add_argument("metrics")
p.add_argument("--trees", type=int, default=100)
p.add_argument("--depth", type=int, default=3)
p.add_argument("--rate", type=float, default=0.1)
p.add_argument("--seed", type=int, default=0)
p.add_argument("--pause", type=float, default=0.0, help="seconds to wait, to watch a step at work")
a = p.parse_args()

table = pd.read_csv(a.table)
y = table.pop("target").to_numpy()
x = table.to_numpy(dtype=np.float32)


def forest():
    return GradientBoostingClassifier(
        n_estimators=a.trees, max_depth=a.depth, learning_rate=a.rate, random_state=a.seed)


with mlflow.start_run():
    mlflow.log_params({"trees": a.trees, "depth": a.depth, "rate": a.rate, "seed": a.seed})
    mlflow.set_tags({"algorithm": "gradient boosting", "rows": len(table)})
    if a.pause:
        print(f"waiting {a.pause} s", flush=True)
        time.sleep(a.pause)

    x_fit, x_watch, y_fit, y_watch = train_test_split(
        x, y, test_size=0.25, random_state=a.seed, stratify=y)
    watched = forest().fit(x_fit, y_fit)
    losses = [log_loss(y_watch, proba) for proba in watched.staged_predict_proba(x_watch)]
    for tree, loss in enumerate(losses):
        mlflow.log_metric("validation_log_loss", loss, step=tree)
    figure, axes = plt.subplots(figsize=(5, 3))
    axes.plot(losses)
    axes.set(xlabel="tree", ylabel="validation log loss", title=f"{a.trees} trees, depth {a.depth}")
    figure.tight_layout()
    mlflow.log_figure(figure, "plots/validation_log_loss.png")

    score = float(cross_val_score(forest(), x, y, cv=4, scoring="roc_auc").mean())
    mlflow.log_metric("cv_roc_auc", score)
    model = forest().fit(x, y)
    graph = to_onnx(model, x[:1])
    mlflow.onnx.log_model(graph, name="model", pip_requirements=["onnxruntime"])
    with open(a.model, "wb") as f:
        f.write(graph.SerializeToString())
    with open(a.metrics, "w") as f:
        json.dump({"cv_roc_auc": score, "validation_log_loss": losses[-1]}, f)
    print(f"{a.trees} trees of depth {a.depth}: cross-validated ROC AUC {score:.5f}")
