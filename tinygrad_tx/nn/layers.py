"""The simple layers: linear maps, embeddings, normalisations, dropout.

Weights start as in GPT-2: normal with deviation 0.02.
"""

from __future__ import annotations

import numpy as np

from tinygrad_tx.errors import ArgumentError, DTypeError, ShapeError, explain
from tinygrad_tx.missing import knows_arguments
from tinygrad_tx.nn.module import Module
from tinygrad_tx.nn.parameters import filled, normal
from tinygrad_tx.nn.points import marked
from tinygrad_tx.tensor import Tensor, dropout, layer_norm, rms_norm
from tinygrad_tx.tensor.tensor import TensorLike, as_tensor, build

__all__ = ["Dropout", "Embedding", "LayerNorm", "Linear", "RMSNorm"]


@knows_arguments
class Linear(Module):
    """x W + b. Shapes: (..., inputs) -> (..., outputs); W (inputs, outputs). Errors: ShapeError."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        rng: np.random.Generator,
        bias: bool = True,
        deviation: float = 0.02,
    ) -> None:
        super().__init__()
        self.weight = normal(rng, (inputs, outputs), deviation)
        self.bias = filled((outputs,), 0.0) if bias else None

    def forward(self, x: TensorLike) -> Tensor:
        x = as_tensor(x)
        if not x.shape or x.shape[-1] != self.weight.shape[0]:
            what = f"takes (..., {self.weight.shape[0]}), got {x.shape}"
            remedy = f"make it with {x.shape[-1] if x.shape else 1} inputs, or put that axis last"
            made = [("x", x.node.where), ("the layer", self.weight.node.where)]
            raise ShapeError(explain("Linear", what, made=made, remedy=remedy))
        y: Tensor = x @ self.weight
        return y if self.bias is None else y + self.bias


@knows_arguments
class Embedding(Module):
    """A row of a table for each index, 0 ... count - 1. Shapes: (...) -> (..., width).

    Errors: IndexRangeError, DTypeError.
    """

    def __init__(self, count: int, width: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.weight = normal(rng, (count, width))

    def forward(self, indices: TensorLike) -> Tensor:
        given = as_tensor(indices)
        if given.dtype.kind not in "iu":
            what = f"indices are {given.dtype}, not whole numbers"
            remedy = "tokens come from a tokenizer as int64; else use astype(tx.int64)"
            made = [("indices", given.node.where)]
            raise DTypeError(explain("Embedding", what, made=made, remedy=remedy))
        rows: Tensor = build("take", self.weight, given, axis=0, wraps=False)
        return rows


@knows_arguments
class LayerNorm(Module):
    """Layer normalisation over the last axis (Ba et al. 2016)."""

    def __init__(self, width: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.weight = filled((width,), 1.0)
        self.bias = filled((width,), 0.0)
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return marked(layer_norm(x, self.weight, self.bias, self.epsilon), "normalized")


@knows_arguments
class RMSNorm(Module):
    """Root-mean-square normalisation over the last axis (Zhang and Sennrich 2019)."""

    def __init__(self, width: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.weight = filled((width,), 1.0)
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return marked(rms_norm(x, self.weight, self.epsilon), "normalized")


class Dropout(Module):
    """Zeros with probability `p` while training, nothing otherwise (Srivastava et al. 2014)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            what = f"p is {p}, not at least 0 and below 1"
            raise ArgumentError(explain("Dropout", what, remedy="0.1 drops a tenth"))
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p) if self.training else x
