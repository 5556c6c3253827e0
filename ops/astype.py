"""astype: the same values in another dtype.

Shapes: any. Floats to integers drop the fraction. The gradient is the cotangent in the dtype of x.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_tx.dtypes import DType, as_dtype, float32, is_float
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Aval, Node, Operator, Sample, TestRow
from tinygrad_tx.graph.registry import register

_CASTS = {
    "float32": "np.float32",
    "float64": "np.float64",
    "int32": "np.int32",
    "int64": "np.int64",
}


def infer(x: Aval, dtype: DType) -> Aval:
    return Aval(x.shape, as_dtype(dtype))


def emit(target: DType, x: str, dtype: DType) -> str:
    return f"({x} != 0)" if target.kind == "b" else f"{_CASTS[target.name]}({x})"


def gradient(b: Builder, node: Node, cotangent: Node) -> tuple[Node | None]:
    source = node.inputs[0].dtype
    return (b.astype(cotangent, dtype=source) if is_float(source) else None,)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((), (3,), (0, 4)):
        yield Sample((rng.normal(size=shape),), {"dtype": np.dtype(np.float64)})
        yield Sample((rng.normal(size=shape),), {"dtype": float32})


register(
    Operator(
        "astype",
        infer=infer,
        linear_in=(0,),
        gradient=gradient,
        reference=lambda x, dtype: x.astype(dtype),
        emit=emit,
        row=TestRow(samples),
        formula="x as dtype",
    )
)
