"""buffer: a leaf: the contents of a Buffer, or a slot to be bound when the Program runs.

`tag` tells the versions of one Buffer apart, and the captures that use it.
"""

from __future__ import annotations

from typing import Any

from tinygrad_tx.graph.node import Aval, Operator
from tinygrad_tx.graph.registry import register


def infer(buffer: Any, tag: int) -> Aval:
    del tag
    return Aval(buffer.shape, buffer.dtype)


register(Operator("buffer", infer=infer, formula="memory"))
