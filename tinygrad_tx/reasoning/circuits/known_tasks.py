"""Tasks whose algorithm is known, and small GPTs trained on them here: what tools are tried out on.

Induction: a sequence of distinct tokens, then the same cyclic order from another start; what comes
next is what came after the same token before (Elhage et al. 2021; Olsson et al. 2022). No shift
between places solves it, nor does what was seen longest ago. Addition modulo a prime: a, b, = gives
(a + b) mod p; what a network learns is a sum of angles at a few frequencies (Nanda et al. 2023).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.models import GPT, GPTConfig
from tinygrad_tx.tensor import no_grad
from tinygrad_tx.train.brief import trained_by

__all__ = ["Addition", "Induction", "trained_addition", "trained_induction"]

Array = np.ndarray[Any, Any]
Progress = Callable[[int, int], None]
NONE = -100


@dataclass(frozen=True)
class Induction:
    """vocab tokens, of which `length` distinct ones stand in a sequence, `again` of them twice."""

    vocab: int = 40
    length: int = 14
    again: int = 13

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Tokens and targets (count, length + again - 1); only what can be known is asked."""
        first = rng.permuted(np.tile(np.arange(self.vocab), (count, 1)), axis=1)[:, : self.length]
        start = rng.integers(0, self.length, count)
        places = (start[:, None] + np.arange(self.again)) % self.length
        rows = np.concatenate([first, np.take_along_axis(first, places, 1)], 1)
        targets = rows[:, 1:].copy()
        targets[:, : self.length] = NONE
        return rows[:, :-1].copy(), targets

    def pair(self, count: int, rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
        """(clean, corrupted, right, wrong): prompts whose last token is another one of the
        sequence, so that another token comes next."""
        tokens, targets = self.draw(count, rng)
        other, wrong = tokens.copy(), np.empty(count, np.int64)
        for i, row in enumerate(tokens[:, : self.length]):
            # Not the last of the first part, behind which its order is not seen.
            places = np.flatnonzero((row[:-1] != tokens[i, -1]) & (row[1:] != targets[i, -1]))
            place = rng.choice(places)
            other[i, -1], wrong[i] = row[place], row[place + 1]
        return tokens, other, targets[:, -1], wrong


@dataclass(frozen=True)
class Addition:
    """(a + b) mod prime, written as three tokens: a, b and the sign of equality, token `prime`."""

    prime: int = 23
    held_out: float = 0.25

    def pairs(self, seed: int = 0) -> tuple[Array, Array]:
        """All (a, b), divided into those learnt and those held out: (pairs, 2) each."""
        rng = np.random.default_rng(seed)
        every = np.stack(np.meshgrid(*[np.arange(self.prime)] * 2), -1).reshape(-1, 2)
        every = rng.permutation(every)
        cut = int((1 - self.held_out) * len(every))
        return every[:cut], every[cut:]

    def examples(self, pairs: Array) -> tuple[Array, Array]:
        """Tokens and targets (pairs, 3)."""
        tokens = np.concatenate([pairs, np.full((len(pairs), 1), self.prime)], 1)
        targets = np.full_like(tokens, NONE)
        targets[:, 2] = pairs.sum(1) % self.prime
        return tokens, targets

    def accuracy(self, model: GPT, pairs: Array) -> float:
        """The share of right answers."""
        tokens, targets = self.examples(pairs)
        with no_grad():
            found = model(tokens).numpy()[:, 2].argmax(-1)
        return float((found == targets[:, 2]).mean())

    def spectrum(self, embedding: Array) -> Array:
        """The share of the embedding's variance at each frequency 1 ... (prime - 1) / 2.

        Shapes: embedding (at least prime, width). Flat for random embeddings.
        """
        rows = np.asarray(embedding[: self.prime], np.float64)
        power = (np.abs(np.fft.rfft(rows - rows.mean(0), axis=0)) ** 2).sum(1)[1:]
        return np.asarray(power / power.sum())


def trained_induction(
    task: Induction | None = None,
    steps: int = 800,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> GPT:
    """A GPT of two blocks that has learnt induction: some twelve seconds of one core."""
    given = task or Induction()
    rng = np.random.default_rng(seed)
    model = GPT(GPTConfig(given.vocab, given.length + given.again, 2, 4, 64), seed)
    return _trained(model, lambda: given.draw(64, rng), steps, 4e-3, 0.0, on_progress)


def trained_addition(
    task: Addition | None = None,
    steps: int = 2500,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> GPT:
    """A GPT of one block that has learnt addition, with strong weight decay: without it, it would
    learn the pairs by heart (Power et al. 2022). Some twelve seconds of one core."""
    given = task or Addition()
    model = GPT(GPTConfig(given.prime + 1, 3, 1, 4, 64), seed)
    examples = given.examples(given.pairs(seed)[0])
    return _trained(model, lambda: examples, steps, 3e-3, 1.0, on_progress)


def _trained(
    model: GPT,
    draw: Callable[[], tuple[Array, Array]],
    steps: int,
    rate: float,
    decay: float,
    on_progress: Progress | None,
) -> GPT:
    def warmed(step: int) -> float:
        return rate * min(1.0, (step + 1) / 50)

    trained_by(model, draw, steps, warmed, decay, on_progress)
    model.eval()
    return model
