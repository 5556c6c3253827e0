"""How operators that work along the last axis reach their kernels."""

from __future__ import annotations

from collections.abc import Callable

from tinygrad_tx.dtypes import float32
from tinygrad_tx.graph.lowering import Kernel, Lowering, shares_of
from tinygrad_tx.graph.node import Node

__all__ = ["float32_rows", "row_by_row"]


def float32_rows(node: Node) -> bool:
    """Whether there is something for a float32 kernel to do: `fits` of an operator."""
    return node.dtype == float32 and node.aval.size > 0


def row_by_row(kernel: Kernel, of_a_share: int) -> Callable[[Lowering, Node], None]:
    """`lower` of an operator whose kernel takes rows, width, the inputs and the result.

    of_a_share: elements below which a share of the rows is not cut further.
    """

    def lower(lowering: Lowering, node: Node) -> None:
        width = node.shape[-1]
        rows = node.aval.size // width
        shares = shares_of(node.aval.size, of_a_share, rows)
        lowering.call(kernel, rows, width, *lowering.reads, *lowering.writes, shares=shares)

    return lower
