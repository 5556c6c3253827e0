"""FT-Transformer: a transformer over the features of a row, for classes of tabular data.

Gorishniy et al. 2021, section 3.3: each number becomes a token, a token of its own reads them all.

    token_j = x_j W_j + b_j                                (batch, features, width)
    h = blocks([read, token_1, ..., token_features])       pre-normalisation, no mask
    logits = norm(h_read) V + c                            (batch, classes)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinygrad_tx.errors import ShapeError, explain
from tinygrad_tx.models.gpt import Block
from tinygrad_tx.nn import Dropout, LayerNorm, Linear, Module, ModuleList
from tinygrad_tx.nn.parameters import normal
from tinygrad_tx.nn.points import marked
from tinygrad_tx.tensor import Tensor, broadcast_to, concat, cross_entropy, relu
from tinygrad_tx.tensor.tensor import TensorLike, as_tensor

__all__ = ["FTTransformer", "FTTransformerConfig"]


@dataclass(frozen=True)
class FTTransformerConfig:
    """Sizes. Errors: ShapeError."""

    features: int
    classes: int
    layers: int = 2
    heads: int = 4
    width: int = 32
    dropout: float = 0.0
    activation: str = "gelu"

    def __post_init__(self) -> None:
        for name in ("features", "classes", "layers", "heads", "width"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                what = f"{name} is {value!r}, not a whole number of at least 1"
                raise ShapeError(explain("FTTransformerConfig", what))
        if self.width % self.heads:
            what = f"width {self.width} is not divided by {self.heads} heads"
            raise ShapeError(explain("FTTransformerConfig", what))


class FTTransformer(Module):
    """`model(rows)` gives logits (batch, classes) of rows (batch, features), best standardised."""

    def __init__(self, config: FTTransformerConfig, seed: int = 0) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.config = config
        # As large as a token's spread: small weights would make all rows look alike for long.
        self.weight = normal(rng, (config.features, config.width), config.width**-0.5)
        self.bias = normal(rng, (config.features, config.width), config.width**-0.5)
        self.read = normal(rng, (1, 1, config.width), config.width**-0.5)
        self.dropout = Dropout(config.dropout)
        self.blocks = ModuleList([Block(config, rng, False) for _ in range(config.layers)])
        self.norm = LayerNorm(config.width)
        self.head = Linear(config.width, config.classes, rng)

    def forward(self, rows: TensorLike) -> Tensor:
        rows = as_tensor(rows)
        if rows.ndim != 2 or rows.shape[1] != self.config.features:
            what = f"rows are {rows.shape}, not (batch, {self.config.features})"
            raise ShapeError(explain("FTTransformer", what))
        tokens = marked(rows.reshape(*rows.shape, 1) * self.weight + self.bias, "token_embedding")
        read = broadcast_to(self.read, (rows.shape[0], 1, self.config.width))
        residual: Tensor = self.dropout(concat([read, tokens], axis=1))
        for block in self.blocks:
            residual = block(residual)
        logits: Tensor = self.head(relu(self.norm(residual[:, 0])))
        return marked(logits, "logits")

    def loss(self, rows: TensorLike, targets: TensorLike) -> Tensor:
        """Mean cross-entropy in nats. Shapes: rows (batch, features), targets (batch,) integers."""
        return cross_entropy(self(rows), targets)
