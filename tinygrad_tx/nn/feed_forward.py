"""The feed-forward network of a transformer's block: plain or gated."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from tinygrad_tx.errors import explain
from tinygrad_tx.nn.layers import Dropout, Linear
from tinygrad_tx.nn.module import Module
from tinygrad_tx.nn.points import marked
from tinygrad_tx.tensor import Tensor, gelu, relu, silu, tanh

__all__ = ["ACTIVATIONS", "FeedForward"]

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": gelu,
    "gelu_tanh": lambda x: gelu(x, approximate=True),
    "relu": relu,
    "silu": silu,
    "tanh": tanh,
}


class FeedForward(Module):
    """Two linear maps with an activation between. Shapes: (..., width) -> the same.

    down(f(up(x))), Vaswani et al. 2017, equation 2; gated: down(f(gate(x)) up(x)), Shazeer 2020,
    equation 6. activation: "gelu", "gelu_tanh" (GPT-2's approximation), "relu", "silu" or "tanh".
    dropout: of the inner units, while training.
    """

    def __init__(
        self,
        width: int,
        inner: int,
        rng: np.random.Generator,
        deviation: float = 0.02,
        *,
        activation: str = "gelu",
        gated: bool = False,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            listed = ", ".join(ACTIVATIONS)
            what = f"activation {activation!r} is not one of {listed}"
            raise ValueError(explain("FeedForward", what))
        self.activation = activation
        self.gate = Linear(width, inner, rng, bias) if gated else None
        self.up = Linear(width, inner, rng, bias)
        self.down = Linear(inner, width, rng, bias, deviation)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        f = ACTIVATIONS[self.activation]
        up = marked(self.up(x), "preactivation")
        inner = f(up) if self.gate is None else marked(f(self.gate(x)), "gate") * up
        hidden: Tensor = self.dropout(marked(inner, "hidden"))
        return marked(self.down(hidden), "output")
