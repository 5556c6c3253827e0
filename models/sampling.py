"""The next token from its logits: temperature, top-k, top-p, repetition penalty. NumPy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import ArgumentError, NonFiniteError, explain

__all__ = ["Sampling"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. temperature 0 takes the likeliest.

    top_k keeps the k likeliest (Fan et al. 2018, section 5.4); top_p the fewest that hold
    probability p (Holtzman et al. 2020, section 3.1). repetition_penalty divides the logits of
    tokens that were there already if positive, else multiplies them (Keskar et al. 2019, section
    4.1). Errors: ValueError.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        top_p = 1.0 if self.top_p is None else self.top_p
        top_k = 1 if self.top_k is None else self.top_k
        finite = np.isfinite([self.temperature, self.repetition_penalty]).all()
        in_range = self.temperature >= 0 and top_k >= 1 and 0 < top_p <= 1
        if not (finite and in_range and self.repetition_penalty > 0):
            what = (
                f"temperature {self.temperature}, top_k {self.top_k}, top_p {self.top_p}, "
                f"repetition_penalty {self.repetition_penalty}"
            )
            remedy = "need temperature >= 0, top_k >= 1, 0 < top_p <= 1, repetition_penalty > 0"
            raise ArgumentError(explain("generate", what, remedy=remedy))

    def draw(self, logits: Array, seen: Sequence[int], rng: np.random.Generator) -> int:
        """One token. logits: (vocab,). Errors: NonFiniteError for NaN."""
        logits = self._penalised(logits, seen)
        if self.temperature == 0:
            return int(logits.argmax())
        tokens, chances = self.candidates(logits)
        drawn = int(np.searchsorted(np.cumsum(chances), rng.random()))
        return int(tokens[min(drawn, len(tokens) - 1)])

    def chances(self, logits: Array, seen: Sequence[int]) -> Array:
        """The probability with which each token is drawn, (vocab,) in float64."""
        logits = self._penalised(logits, seen)
        found = np.zeros(len(logits))
        if self.temperature == 0:
            found[logits.argmax()] = 1.0
        else:
            tokens, chances = self.candidates(logits)
            found[tokens] = chances
        return found

    def candidates(self, logits: Array) -> tuple[Array, Array]:
        """Tokens that may come and their probabilities, likeliest first where any is left out."""
        tokens = np.arange(len(logits))
        if self.top_k is not None and self.top_k < len(logits):
            tokens = np.argpartition(-logits, self.top_k - 1)[: self.top_k]
        if self.top_k is not None or self.top_p is not None:
            tokens = tokens[np.argsort(-logits[tokens], kind="stable")]
        scaled = (logits[tokens].astype(np.float64) - logits.max()) / self.temperature
        chances = np.exp(scaled)
        chances /= chances.sum()
        if self.top_p is not None:
            kept = min(int(np.searchsorted(np.cumsum(chances), self.top_p)) + 1, len(tokens))
            tokens, chances = tokens[:kept], chances[:kept] / chances[:kept].sum()
        return tokens, chances

    def _penalised(self, logits: Array, seen: Sequence[int]) -> Array:
        if np.isnan(logits).any():
            raise NonFiniteError(explain("generate", "the model's logits contain NaN"))
        if self.repetition_penalty == 1.0 or not len(seen):
            return logits
        there = np.unique(seen)
        logits = logits.copy()
        factor = np.where(logits[there] > 0, 1 / self.repetition_penalty, self.repetition_penalty)
        logits[there] *= factor
        return logits
