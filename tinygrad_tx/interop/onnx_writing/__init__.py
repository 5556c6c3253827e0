"""What ONNX says for each of our operators: a table, a file for each theme."""

from tinygrad_tx.interop.onnx_writing import (  # noqa: F401  # they fill the table
    composites,
    elementary,
    elementwise,
    selection,
    shapes,
)
from tinygrad_tx.interop.onnx_writing.rules import LOWEST_OPSET, RULES, Rule, serves
from tinygrad_tx.interop.onnx_writing.writer import FIXED, POINT, Writer, onnx_dtype

__all__ = [
    "FIXED",
    "LOWEST_OPSET",
    "POINT",
    "RULES",
    "Rule",
    "Writer",
    "onnx_dtype",
    "serves",
]
