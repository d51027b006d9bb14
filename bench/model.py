# SPDX-License-Identifier: Apache-2.0
"""Writes ONNX models by hand (a linear one, a forest, one that gives back what it gets): what the bench
serves must not need a Python package. The encoding is protobuf's, with the field numbers of onnx.proto."""
import random
import struct


def varint(n):
    out = b""
    while n > 0x7F:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def number(field, n):
    return varint(field << 3) + varint(n)


def block(field, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


def tensor(name, shape, values):
    return (b"".join(number(1, d) for d in shape) + number(2, 1) + block(8, name) +
            block(9, struct.pack(f"<{len(values)}f", *values)))


def value(name, dims):
    shape = b"".join(block(1, number(1, d) if isinstance(d, int) else block(2, d)) for d in dims)
    return block(1, name) + block(2, block(1, number(1, 1) + block(2, shape)))


def node(op, inputs, outputs):
    return (b"".join(block(1, i) for i in inputs) + b"".join(block(2, o) for o in outputs) +
            block(3, op.lower()) + block(4, op))


def linear(features=30, classes=2):
    weights = [((i * 37) % 100 - 50) / 500 for i in range(features * classes)]
    graph = (block(1, node("Gemm", ["X", "W", "B"], ["scores"])) +
             block(1, node("Softmax", ["scores"], ["probabilities"])) + block(2, "linear") +
             block(5, tensor("W", [features, classes], weights)) +
             block(5, tensor("B", [classes], [0.1] * classes)) +
             block(11, value("X", ["N", features])) +
             block(12, value("probabilities", ["N", classes])))
    return number(1, 8) + block(2, "quern-bench") + block(7, graph) + block(8, number(2, 13))


def integers(name, values):
    return block(1, name) + block(8, b"".join(varint(v & (1 << 64) - 1) for v in values)) + number(20, 7)


def floats(name, values):
    return block(1, name) + block(7, struct.pack(f"<{len(values)}f", *values)) + number(20, 6)


def strings(name, values):
    return block(1, name) + b"".join(block(9, v) for v in values) + number(20, 8)


def typed(name, kind, dims):
    shape = b"".join(block(1, number(1, d) if isinstance(d, int) else block(2, d)) for d in dims)
    return block(1, name) + block(2, block(1, number(1, kind) + block(2, shape)))


def grow(rng, inner, features):
    """A tree of so many inner nodes: rows (feature, threshold, left, right), leaves None."""
    nodes = [None]
    for _ in range(inner):
        at = rng.choice([i for i, n in enumerate(nodes) if n is None])
        feature = rng.randrange(features)
        nodes[at] = (feature, round(rng.uniform(0.1, 7.0), 2), len(nodes), len(nodes) + 1)
        nodes += [None, None]
    return nodes


def forest(trees=100, features=4, classes=3, inner=8, seed=1):
    """As skl2onnx writes a random forest without ZipMap; the size of one that learned iris."""
    rng = random.Random(seed)
    n = {k: [] for k in ("tree", "id", "feature", "value", "mode", "yes", "no")}
    c = {k: [] for k in ("tree", "node", "id", "weight")}
    for t in range(trees):
        for i, node_ in enumerate(grow(rng, inner, features)):
            feature, threshold, left, right = node_ or (0, 0.0, 0, 0)
            for k, v in zip(n, (t, i, feature, threshold, "BRANCH_LEQ" if node_ else "LEAF", left, right)):
                n[k].append(v)
            if node_ is None:
                weights = [rng.random() for _ in range(classes)]
                for j, w in enumerate(weights):
                    for k, v in zip(c, (t, i, j, w / sum(weights) / trees)):
                        c[k].append(v)
    none = [0] * len(n["id"])
    attributes = [integers("class_ids", c["id"]), integers("class_nodeids", c["node"]),
                  integers("class_treeids", c["tree"]), floats("class_weights", c["weight"]),
                  integers("classlabels_int64s", range(classes)),
                  integers("nodes_falsenodeids", n["no"]), integers("nodes_featureids", n["feature"]),
                  floats("nodes_hitrates", [1.0] * len(none)),
                  integers("nodes_missing_value_tracks_true", none), strings("nodes_modes", n["mode"]),
                  integers("nodes_nodeids", n["id"]), integers("nodes_treeids", n["tree"]),
                  integers("nodes_truenodeids", n["yes"]), floats("nodes_values", n["value"]),
                  block(1, "post_transform") + block(4, "NONE") + number(20, 3)]
    ensemble = (block(1, "X") + block(2, "label") + block(2, "probabilities") + block(3, "forest") +
                block(4, "TreeEnsembleClassifier") + b"".join(block(5, a) for a in attributes) +
                block(7, "ai.onnx.ml"))
    graph = (block(1, ensemble) + block(2, "forest") + block(11, value("X", ["N", features])) +
             block(12, typed("label", 7, ["N"])) + block(12, value("probabilities", ["N", classes])))
    return (number(1, 8) + block(2, "quern-bench") + block(7, graph) + block(8, number(2, 13)) +
            block(8, block(1, "ai.onnx.ml") + number(2, 1)))


def identity(width):
    """Gives back its one row of `width` numbers."""
    graph = (block(1, node("Identity", ["X"], ["Y"])) + block(2, "identity") +
             block(11, value("X", ["N", width])) + block(12, value("Y", ["N", width])))
    return number(1, 8) + block(2, "quern-bench") + block(7, graph) + block(8, number(2, 13))


def layers(width, count, seed=0):
    """Square matrices one after another, each with Relu: reading them costs the same for one row and many."""
    nodes, weights, at = b"", b"", "X"
    for i in range(count):
        values = [((k * 37 + seed + i) % 101 - 50) / 1e4 for k in range(101)]
        whole = (struct.pack("<101f", *values) * (width * width // 101 + 1))[:4 * width * width]
        weights += block(5, number(1, width) + number(1, width) + number(2, 1) + block(8, f"W{i}") + block(9, whole))
        out = "Y" if i == count - 1 else f"r{i}"
        nodes += block(1, block(1, at) + block(1, f"W{i}") + block(2, f"m{i}") + block(3, f"MatMul{i}") + block(4, "MatMul"))
        nodes += block(1, block(1, f"m{i}") + block(2, out) + block(3, f"Relu{i}") + block(4, "Relu"))
        at = out
    graph = nodes + block(2, "layers") + weights + block(11, value("X", ["N", width])) + block(12, value("Y", ["N", width]))
    return number(1, 8) + block(2, "quern-bench") + block(7, graph) + block(8, number(2, 13))
