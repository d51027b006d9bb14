# SPDX-License-Identifier: Apache-2.0
"""Writes scikit-learn's breast-cancer table (569 rows, 30 features, target 1 = benign) as CSV."""
import sys

from sklearn.datasets import load_breast_cancer

table = load_breast_cancer(as_frame=True).frame
table.columns = [name.replace(" ", "_") for name in table.columns]
table.to_csv(sys.argv[1], index=False)
print(f"{len(table)} rows, {table.shape[1] - 1} features, {table['target'].mean():.1%} benign")
