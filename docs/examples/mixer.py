"""A model of a user's own: an MLP-Mixer over tokens (Tolstikhin et al. 2021), without attention.

    h = h + MLP over places (norm(h)^T)^T;  h = h + MLP over channels (norm(h))      layers times

Train it on any task that `tx.jit` can record; draw it as below.
"""

from __future__ import annotations

import argparse

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


def ordered(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Texts (count, 16), and whether token 1 stands before token 2: counting words cannot tell."""
    tokens = rng.integers(3, 100, (count, 16))
    first, second = np.sort(rng.permuted(np.tile(np.arange(16), (count, 1)), axis=1)[:, :2]).T
    is_before = rng.integers(0, 2, count)
    rows = np.arange(count)
    tokens[rows, first], tokens[rows, second] = 2 - is_before, 1 + is_before
    return tokens, is_before


def main(steps: int) -> None:
    rng = np.random.default_rng(0)
    model = Mixer(vocab=100, time=16, width=32, layers=4, classes=2)
    optimizer = tx.optim.AdamW(model.parameters(), lr=3e-3)

    @tx.jit
    def step(tokens: tx.Tensor, is_before: tx.Tensor) -> tx.Tensor:
        optimizer.zero_grad()
        loss = tx.cross_entropy(model(tokens), is_before)
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(steps):
        step(*ordered(64, rng))
    tx.draw(model, "mixer.svg", inputs=(np.zeros((1, 16), np.int64),))
    print("drawn from its graph: mixer.svg")
    tokens, is_before = ordered(2000, rng)
    right = float((model(tokens).numpy().argmax(1) == is_before).mean())
    print(f"right of 2,000 texts: {right:.1%}; what counting words can tell 50.0%")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A model without attention that knows order.")
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    main(steps=5 if parser.parse_args().quick else 600)
