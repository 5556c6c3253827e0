"""A model of a user's own: an MLP-Mixer over tokens (Tolstikhin et al. 2021), without attention.

    h = h + MLP over places (norm(h)^T)^T;  h = h + MLP over channels (norm(h))      layers times

Train it on any task that `tx.jit` can record; draw it as below.
"""

from __future__ import annotations

import numpy as np

import tinygrad_tx as tx


class Perceptron(tx.nn.Module):
    """Two linear maps with GELU between: (..., width) -> the same."""

    def __init__(self, width: int, inner: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.up = tx.nn.Linear(width, inner, rng)
        self.down = tx.nn.Linear(inner, width, rng)

    def forward(self, x: tx.Tensor) -> tx.Tensor:
        return self.down(tx.gelu(self.up(x)))


class MixerBlock(tx.nn.Module):
    """First places are mixed, the same way in every channel; then channels, at every place."""

    def __init__(self, time: int, width: int, rng: np.random.Generator) -> None:
        super().__init__()
        self.place_norm = tx.nn.LayerNorm(width)
        self.mix_places = Perceptron(time, 2 * time, rng)
        self.channel_norm = tx.nn.LayerNorm(width)
        self.mix_channels = Perceptron(width, 4 * width, rng)

    def forward(self, h: tx.Tensor) -> tx.Tensor:
        h = h + self.mix_places(self.place_norm(h).mT).mT
        return h + self.mix_channels(self.channel_norm(h))


class Mixer(tx.nn.Module):
    """Tokens (batch, time) to the logits of a class for each text (batch, classes)."""

    def __init__(
        self, vocab: int, time: int, width: int, layers: int, classes: int, seed: int = 0
    ) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.embedding = tx.nn.Embedding(vocab, width, rng)
        self.blocks = tx.nn.ModuleList([MixerBlock(time, width, rng) for _ in range(layers)])
        self.norm = tx.nn.LayerNorm(width)
        self.classifier = tx.nn.Linear(width, classes, rng)

    def forward(self, tokens: tx.Tensor) -> tx.Tensor:
        h = self.embedding(tokens)
        for block in self.blocks:
            h = block(h)
        return self.classifier(self.norm(h).mean(axis=1))


if __name__ == "__main__":
    model = Mixer(vocab=100, time=16, width=32, layers=4, classes=2)
    print(tx.draw(model, "mixer.svg", inputs=(np.zeros((1, 16), np.int64),)).picture.title)
