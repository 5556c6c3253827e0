"""part: one result of an operator that has several.

Both modes of differentiation and the compiler treat it as a name for that result.
"""

from __future__ import annotations

from tinygrad_tx.graph.node import Aval, Operator
from tinygrad_tx.graph.registry import register


def infer(results: tuple[Aval, ...], index: int) -> Aval:
    return results[index]


register(Operator("part", infer=infer, formula="result i"))
