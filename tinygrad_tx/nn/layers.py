"""The layers of a transformer. Weights start as in GPT-2: normal with deviation 0.02."""

from __future__ import annotations

import numpy as np

from tinygrad_tx.nn.module import Module
from tinygrad_tx.tensor import (
    Tensor,
    attention,
    dropout,
    gelu,
    layer_norm,
    ones,
    rms_norm,
    take,
    tensor,
    zeros,
)
from tinygrad_tx.tensor.tensor import TensorLike

__all__ = [
    "Dropout",
    "Embedding",
    "FeedForward",
    "LayerNorm",
    "Linear",
    "MultiHeadAttention",
    "RMSNorm",
    "normal",
]


def normal(rng: np.random.Generator, shape: tuple[int, ...], deviation: float = 0.02) -> Tensor:
    """A parameter drawn from N(0, deviation²)."""
    return tensor(rng.normal(0, deviation, shape).astype(np.float32), requires_grad=True)


class Linear(Module):
    """x W + b. Shapes: (..., inputs) -> (..., outputs); W (inputs, outputs)."""

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
        self.bias = zeros((outputs,), requires_grad=True) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        y = x @ self.weight
        return y if self.bias is None else y + self.bias


class Embedding(Module):
    """A row of a table for each index. Shapes: (...) -> (..., width)."""

    def __init__(self, count: int, width: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.weight = normal(rng, (count, width))

    def forward(self, indices: TensorLike) -> Tensor:
        return take(self.weight, indices, 0)


class LayerNorm(Module):
    """Layer normalisation over the last axis (Ba et al. 2016)."""

    def __init__(self, width: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.weight = ones((width,)).requires_grad_()
        self.bias = zeros((width,), requires_grad=True)
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return layer_norm(x, self.weight, self.bias, self.epsilon)


class RMSNorm(Module):
    """Root-mean-square normalisation over the last axis (Zhang and Sennrich 2019)."""

    def __init__(self, width: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.weight = ones((width,)).requires_grad_()
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight, self.epsilon)


class Dropout(Module):
    """Zeros with probability `p` while training, nothing otherwise (Srivastava et al. 2014)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"Dropout: p is {p}, not at least 0 and below 1.")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p) if self.training else x


class MultiHeadAttention(Module):
    """Multi-head self-attention (Vaswani et al. 2017, section 3.2.2).

    Shapes: (batch, time, width) -> the same. Query, key and value projections stand side by side
    in one matrix. dropout: of the weights of the pattern, while training.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        rng: np.random.Generator,
        causal: bool = False,
        deviation: float = 0.02,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"attention: width {width} is not a multiple of {heads} heads.")
        self.heads = heads
        self.causal = causal
        self.dropout = dropout
        self.qkv = Linear(width, 3 * width, rng)
        self.projection = Linear(width, width, rng, deviation=deviation)

    def forward(self, x: Tensor) -> Tensor:
        batch, time, width = x.shape
        shape = (batch, time, 3, self.heads, width // self.heads)
        # (batch, time, 3 width) -> (3, batch, heads, time, head width)
        qkv = self.qkv(x).reshape(shape).permute_dims((2, 0, 3, 1, 4))
        dropped = self.dropout if self.training else 0.0
        context = attention(qkv[0], qkv[1], qkv[2], causal=self.causal, dropout=dropped)
        joined = context.permute_dims((0, 2, 1, 3)).reshape((batch, time, width))
        result: Tensor = self.projection(joined)
        return result


class FeedForward(Module):
    """Two linear maps with GELU between. Shapes: (..., width) -> the same."""

    def __init__(
        self, width: int, inner: int, rng: np.random.Generator, deviation: float = 0.02
    ) -> None:
        super().__init__()
        self.up = Linear(width, inner, rng)
        self.down = Linear(inner, width, rng, deviation=deviation)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.down(gelu(self.up(x)))
        return result
