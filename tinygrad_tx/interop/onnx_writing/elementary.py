"""Rules for inverse and hyperbolic functions, logarithms, and bits."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinygrad_tx.interop.onnx_trace import OpenNode
from tinygrad_tx.interop.onnx_writing.rules import named, rule
from tinygrad_tx.interop.onnx_writing.writer import Writer

__all__: list[str] = []

for ours, theirs in (
    ("acos", "Acos"),
    ("acosh", "Acosh"),
    ("asin", "Asin"),
    ("asinh", "Asinh"),
    ("atan", "Atan"),
    ("atanh", "Atanh"),
    ("bitwise_and", "BitwiseAnd"),
    ("bitwise_invert", "BitwiseNot"),
    ("bitwise_or", "BitwiseOr"),
    ("bitwise_xor", "BitwiseXor"),
    ("cosh", "Cosh"),
    ("integer_power", "Pow"),
    ("sinh", "Sinh"),
    ("tan", "Tan"),
):
    named(ours, theirs)


@rule("log2", "Log, Mul")
def log2(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    factor = writer.scalar(1 / math.log(2), node.dtype)
    return writer.add("Mul", [writer.add("Log", inputs), factor])


@rule("log10", "Log, Mul")
def log10(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    factor = writer.scalar(1 / math.log(10), node.dtype)
    return writer.add("Mul", [writer.add("Log", inputs), factor])
