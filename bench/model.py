# SPDX-License-Identifier: Apache-2.0
"""Writes a small ONNX model (30 numbers in, Gemm and Softmax, 2 out) by hand: what the bench serves
must not need a Python package. The encoding is protobuf's, with the field numbers of onnx.proto."""
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
