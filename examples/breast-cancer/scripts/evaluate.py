# SPDX-License-Identifier: Apache-2.0
"""Judges an ONNX classifier on a hold-out table: accuracy, ROC AUC, log loss, and the same per slice
of tumour size, so that a model that is good on average only is seen."""
import argparse
import json

import numpy as np
import onnxruntime
import pandas as pd
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

p = argparse.ArgumentParser()
p.add_argument("model")
p.add_argument("table")
p.add_argument("metrics")
a = p.parse_args()

table = pd.read_csv(a.table)
y = table.pop("target").to_numpy()
session = onnxruntime.InferenceSession(a.model, providers=["CPUExecutionProvider"])
_, rows = session.run(None, {session.get_inputs()[0].name: table.to_numpy(dtype=np.float32)})
proba = np.array([row[1] for row in rows])


def judged(mask):
    return {"accuracy": float(accuracy_score(y[mask], proba[mask] > 0.5)), "rows": int(mask.sum())}


size = table["mean_radius"]
low, high = size.quantile([1 / 3, 2 / 3])
slices = {"small": size <= low, "middle": (size > low) & (size <= high), "large": size > high}
metrics = {
    "accuracy": float(accuracy_score(y, proba > 0.5)),
    "roc_auc": float(roc_auc_score(y, proba)),
    "log_loss": float(log_loss(y, proba)),
    "slices": {name: judged(mask.to_numpy()) for name, mask in slices.items()},
}
with open(a.metrics, "w") as f:
    json.dump(metrics, f, indent=2)
print(json.dumps(metrics, indent=2))
