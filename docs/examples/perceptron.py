"""A multilayer perceptron, trained on a task that no line can separate: which of two rings?"""

from __future__ import annotations

import itertools

import numpy as np

import tinygrad_tx as tx


class MLP(tx.nn.Module):
    """Points (batch, inputs) to the logits of classes (batch, classes)."""

    def __init__(self, sizes: tuple[int, ...], seed: int = 0) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        pairs = itertools.pairwise(sizes)
        self.layers = tx.nn.ModuleList(
            [tx.nn.Linear(a, b, rng, deviation=a**-0.5) for a, b in pairs]
        )

    def forward(self, x: tx.Tensor) -> tx.Tensor:
        *hidden, last = self.layers
        for layer in hidden:
            x = tx.relu(layer(x))
        return last(x)


def rings(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points (count, 2) near the circles of radius 1 and 2, and which one they are near."""
    ring = rng.integers(0, 2, count)
    angle = rng.uniform(0, 2 * np.pi, count)
    radius = ring + 1 + rng.normal(0, 0.15, count)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    return points.astype(np.float32), ring


def train(steps: int = 300) -> float:
    """The share of new points that are put on the right ring."""
    rng = np.random.default_rng(0)
    model = MLP((2, 32, 32, 2))
    optimizer = tx.optim.Adam(model.parameters(), lr=1e-2)

    @tx.jit
    def step(points: tx.Tensor, ring: tx.Tensor) -> tx.Tensor:
        optimizer.zero_grad()
        loss = tx.cross_entropy(model(points), ring)
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(steps):
        step(*rings(64, rng))
    points, ring = rings(2000, rng)
    return float((model(points).numpy().argmax(1) == ring).mean())


if __name__ == "__main__":
    print(f"right: {train():.1%}")
