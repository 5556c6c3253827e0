"""A multilayer perceptron, trained on a task that no line can separate: which of two rings?"""

from __future__ import annotations

import argparse
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


def best_line(count: int = 2000) -> float:
    """What the best of many straight lines puts right: the baseline."""
    points, ring = rings(count, np.random.default_rng(1))
    angles, offsets = np.linspace(0, np.pi, 60), np.linspace(-2, 2, 41)
    along = points @ np.stack([np.cos(angles), np.sin(angles)])  # (points, angles)
    right = ((along[:, :, None] > offsets) == ring[:, None, None]).mean(0)
    return float(np.maximum(right, 1 - right).max())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Learns which of two rings a point is near.")
    parser.add_argument("--quick", action="store_true", help="seconds, to see that it runs")
    right = train(steps=10 if parser.parse_args().quick else 300)
    print(f"right of 2,000 points: {right:.1%}; the best straight line {best_line():.1%}")
