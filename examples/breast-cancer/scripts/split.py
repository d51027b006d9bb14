# SPDX-License-Identifier: Apache-2.0
"""Splits a table into a training and a hold-out part, alike in the share of each class."""
import argparse

import pandas as pd
from sklearn.model_selection import train_test_split

p = argparse.ArgumentParser()
p.add_argument("table")
p.add_argument("train")
p.add_argument("holdout")
p.add_argument("--share", type=float, default=0.25)
p.add_argument("--seed", type=int, default=0)
a = p.parse_args()

table = pd.read_csv(a.table)
train, holdout = train_test_split(
    table, test_size=a.share, random_state=a.seed, stratify=table["target"])
train.to_csv(a.train, index=False)
holdout.to_csv(a.holdout, index=False)
print(f"{len(train)} rows to train on, {len(holdout)} held out")
