"""Beam search over tokens, apart from whatever gives the logits."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from tinygrad_tx.errors import NonFiniteError, explain

__all__ = ["BeamSearch"]

Array = np.ndarray[Any, Any]


class BeamSearch:
    """The `beams` likeliest unfinished texts, and the best finished ones.

    Finished texts are ranked by log p / ((5 + length) / 6)^length_penalty (Wu et al. 2016, equation
    14). The search is done once no unfinished text can become better than the finished ones.
    """

    def __init__(self, beams: int, stop: Collection[int], length_penalty: float) -> None:
        self.beams, self.stop, self.length_penalty = beams, frozenset(stop), length_penalty
        self.texts: list[list[int]] = [[] for _ in range(beams)]
        self.scores = np.full(beams, -np.inf)
        self.scores[0] = 0.0  # all begin alike: the first step must not take a token twice
        self.finished: list[tuple[float, list[int]]] = []

    def begin(self, logits: Array) -> tuple[Array, Array]:
        """As `advance`, from the logits (vocab,) that all beams have in common."""
        return self.advance(np.broadcast_to(logits, (self.beams, len(logits))))

    def advance(self, logits: Array) -> tuple[Array, Array]:
        """Which beam each new one goes on from, and its token: (beams,) each.

        logits: (beams, vocab) after each text. Errors: NonFiniteError.
        """
        if np.isnan(logits).any():
            raise NonFiniteError(explain("generate", "the model's logits contain NaN"))
        wide = logits.astype(np.float64)
        top = wide.max(-1, keepdims=True)
        chances = wide - top - np.log(np.exp(wide - top).sum(-1, keepdims=True))
        total = (self.scores[:, None] + chances).ravel()
        vocab = wide.shape[1]
        # Enough to fill the beams even if every token of `stop` is among them.
        count = min(total.size, self.beams * (1 + len(self.stop)))
        best = np.argpartition(-total, count - 1)[:count]
        best = best[np.argsort(-total[best], kind="stable")]
        parents: list[int] = []
        tokens: list[int] = []
        scores: list[float] = []
        for at in best:
            parent, token = divmod(int(at), vocab)
            if token in self.stop:
                if len(parents) < self.beams:  # as good as a beam that goes on
                    self._finish(float(total[at]), self.texts[parent])
            elif len(parents) < self.beams:
                parents.append(parent)
                tokens.append(token)
                scores.append(total[at])
        while len(parents) < self.beams:  # a vocabulary smaller than the beams
            parents.append(parents[-1] if parents else 0)
            tokens.append(tokens[-1] if tokens else 0)
            scores.append(-np.inf)
        self.texts = [[*self.texts[p], t] for p, t in zip(parents, tokens, strict=True)]
        self.scores = np.array(scores)
        return np.array(parents), np.array(tokens)

    @property
    def is_done(self) -> bool:
        """Whether no unfinished text can overtake: its probability only falls from here."""
        if len(self.finished) < self.beams:
            return False
        worst = min(score for score, _ in self._best_finished())
        reachable = max(self.scores) if self.length_penalty == 0 else self._optimistic()
        return bool(worst >= reachable)

    def best(self) -> list[int]:
        """The best text, finished or not."""
        going = [
            (self._ranked(float(s), len(t)), t)
            for s, t in zip(self.scores, self.texts, strict=True)
            if np.isfinite(s)
        ]
        return max(self.finished or going, key=lambda pair: pair[0])[1]

    def _best_finished(self) -> list[tuple[float, list[int]]]:
        return sorted(self.finished, key=lambda pair: -pair[0])[: self.beams]

    def _optimistic(self) -> float:
        # As usual, the rank that the best beam has now: longer texts are less likely.
        return self._ranked(float(max(self.scores)), len(self.texts[0]))

    def _finish(self, score: float, text: list[int]) -> None:
        self.finished.append((self._ranked(score, len(text)), text))

    def _ranked(self, score: float, length: int) -> float:
        return float(score / ((5 + length) / 6) ** self.length_penalty)
