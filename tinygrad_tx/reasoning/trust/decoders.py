"""Decoders: the small models that probes are, fitted in float64 until the gradient vanishes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_tx.reasoning.trust.minimise import minimise

__all__ = ["Decoder", "fit_decoder"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Decoder:
    """logits (or numbers) = layers of scaled inputs; tanh between layers.

    layers: (weight, bias) of each, for inputs as they were captured: the scaling is inside. classes
    0: it gives numbers (examples,), else logits (examples, classes).
    """

    layers: tuple[tuple[Array, Array], ...]
    classes: int
    converged: bool

    def __call__(self, x: Array) -> Array:
        x = np.asarray(x, np.float64)
        for i, (weight, bias) in enumerate(self.layers):
            x = (np.tanh(x) if i else x) @ weight + bias
        return x if self.classes else x[:, 0]


def fit_decoder(
    x: Array, y: Array, classes: int, kind: str, penalty: float, hidden: int, seed: int
) -> Decoder:
    """A decoder of `y` from `x` (examples, width).

    It minimises mean loss + penalty / 2 (sum of squared weights), biases apart, on inputs of mean 0
    and deviation 1. The linear problem is convex: one minimum. Ridge regression is in closed form,
    W = (XᵀX + n penalty I)⁻¹ Xᵀ y.
    """
    centre, spread = x.mean(0), x.std(0)
    spread = np.where(spread > 1e-12 * np.maximum(1.0, np.abs(centre)), spread, 1.0)
    scaled = (x - centre) / spread
    if not classes and kind == "linear":
        mean = y.mean()
        gram = scaled.T @ scaled + max(penalty, 1e-12) * len(x) * np.eye(x.shape[1])
        weights = [(np.linalg.solve(gram, scaled.T @ (y - mean))[:, None], np.array([mean]))]
        converged = True
    else:
        sizes = (x.shape[1], *((hidden,) if kind == "mlp" else ()), classes or 1)
        start = _start(sizes, seed)
        # Networks have many minima; a point near one is as good as it.
        tolerance, most = (1e-6, 2000) if len(sizes) == 2 else (1e-4, 500)
        found = minimise(
            lambda flat: _loss(flat, sizes, scaled, y, classes, penalty), start, tolerance, most
        )
        weights, converged = _unpacked(found.place, sizes), found.converged
    first, bias = weights[0]
    first = first / spread[:, None]
    weights[0] = first, bias - centre @ first
    return Decoder(tuple(weights), classes, converged)


def _start(sizes: tuple[int, ...], seed: int) -> Array:
    """Zeros for a linear decoder; random weights, which units need to become different, else."""
    rng = np.random.default_rng(seed)
    parts = []
    for rows, columns in pairwise(sizes):
        scale = rows**-0.5 if len(sizes) > 2 else 0.0
        parts += [rng.normal(size=rows * columns) * scale, np.zeros(columns)]
    return np.concatenate(parts)


def _unpacked(flat: Array, sizes: tuple[int, ...]) -> list[tuple[Array, Array]]:
    found, at = [], 0
    for rows, columns in pairwise(sizes):
        weight = flat[at : at + rows * columns].reshape(rows, columns)
        at += rows * columns
        found.append((weight, flat[at : at + columns]))
        at += columns
    return found


def _loss(
    flat: Array, sizes: tuple[int, ...], x: Array, y: Array, classes: int, penalty: float
) -> tuple[float, Array]:
    """Mean cross-entropy, or half the mean squared error, with its gradient."""
    layers, states = _unpacked(flat, sizes), [x]
    for i, (weight, bias) in enumerate(layers):
        z = states[-1] @ weight + bias
        states.append(np.tanh(z) if i + 1 < len(layers) else z)
    out, count = states[-1], len(x)
    if classes:
        log_p = out - np.logaddexp.reduce(out, -1)[:, None]
        loss = -float(log_p[np.arange(count), y].mean())
        slope = np.exp(log_p)
        slope[np.arange(count), y] -= 1
    else:
        slope = out - y[:, None]
        loss = 0.5 * float((slope**2).mean())
    slope = slope / count
    parts: list[Array] = []
    for (weight, _), before in zip(reversed(layers), reversed(states[:-1]), strict=True):
        loss += penalty / 2 * float((weight**2).sum())
        parts[:0] = [(before.T @ slope + penalty * weight).ravel(), slope.sum(0)]
        slope = slope @ weight.T * (1 - before**2)  # Not used below the first layer.
    return loss, np.concatenate(parts)
