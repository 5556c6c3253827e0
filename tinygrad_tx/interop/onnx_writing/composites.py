"""Rules for products, and for composites that ONNX has as one operator of the same meaning.

Where it has none (cross-entropy, all gradients, attention with dropout), the expansion is written.
"""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_tx.dtypes import float32
from tinygrad_tx.graph.node import Node
from tinygrad_tx.interop.onnx_trace import OpenNode
from tinygrad_tx.interop.onnx_writing.rules import named, rule
from tinygrad_tx.interop.onnx_writing.writer import Writer

__all__: list[str] = []

named("matmul", "MatMul")
named("softmax", "Softmax", broadcasts=False, axis=-1)
named("log_softmax", "LogSoftmax", broadcasts=False, axis=-1)


def is_single(node: Node) -> bool:
    """Norms of ONNX compute in float32 whatever they are given."""
    return node.dtype == float32


@rule("layer_norm", "LayerNormalization", fits=is_single)
def layer_norm(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    epsilon = node.attrs["epsilon"]
    return writer.add("LayerNormalization", inputs, axis=-1, epsilon=epsilon)


@rule("rms_norm", "RMSNormalization", since=23, fits=is_single)
def rms_norm(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    epsilon = node.attrs["epsilon"]
    return writer.add("RMSNormalization", inputs, axis=-1, epsilon=epsilon)


@rule("gelu", "Gelu", since=20, fits=is_single)
def gelu(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    approximate = "tanh" if node.attrs["approximate"] else "none"
    return writer.add("Gelu", inputs, approximate=approximate)


def is_plain(node: Node) -> bool:
    """No dropout, and causal only where both align the same way.

    A query that sees no key gets zeros there too, by the standard's errata; runtimes older than
    those may give it NaN.
    """
    q, k = node.inputs[:2]
    aligned = not node.attrs["causal"] or q.shape[-2] == k.shape[-2]
    return node.dtype == float32 and len(q.shape) == 4 and node.attrs["extras"] < 2 and aligned


@rule("attention", "Attention", since=23, fits=is_plain)
def attention(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> Sequence[str]:
    """The log-sum-exp has no name there: who reads it gets the expansion (see onnx_export.py)."""
    attrs = {"is_causal": int(node.attrs["causal"]), "scale": node.attrs["scale"]}
    return [writer.add("Attention", inputs, **attrs), ""]
