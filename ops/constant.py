"""constant: one number, 0-d. It is an operand of kernels, never baked into their code."""

from __future__ import annotations

import numpy as np

from tinygrad_tx.dtypes import DType
from tinygrad_tx.graph.node import Aval, Operator
from tinygrad_tx.graph.registry import register


def infer(value: bool | int | float, dtype: DType) -> Aval:
    del value
    return Aval((), dtype)


register(
    Operator(
        "constant",
        infer=infer,
        reference=lambda value, dtype: np.asarray(value, dtype),
        formula="value",
    )
)
