"""Speculative decoding: a small model proposes some tokens, the large one checks them in one step.

The text is distributed as if the large model had written alone. Leviathan et al. 2023, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.models.generation import Causal, Decoder, room
from tinygrad_tx.models.sampling import Sampling

__all__ = ["Counts", "accepted", "speculative"]

Array = np.ndarray[Any, Any]


@dataclass
class Counts:
    """How it went: tokens proposed by the small model, and those that the large one took."""

    proposed: int = 0
    taken: int = 0


def accepted(
    large: Array, small: Array, proposed: Sequence[int], rng: np.random.Generator
) -> list[int]:
    """The proposed tokens that are taken, then one of the large model's own.

    large: (count + 1, vocab) and small: (count, vocab), the chances of each token at each place.
    Token x is taken with min(1, p(x) / q(x)); the first that is not is replaced by one drawn from
    max(p - q, 0), section 2.3.
    """
    taken: list[int] = []
    for p, q, token in zip(large, small, proposed, strict=False):
        if rng.random() * q[token] >= p[token]:
            rest = np.maximum(p - q, 0)
            return [*taken, _drawn(rest / rest.sum(), rng)]
        taken.append(token)
    return [*taken, _drawn(large[len(proposed)], rng)]


def speculative(
    model: Causal,
    draft: Causal,
    tokens: Sequence[int],
    max_new_tokens: int,
    ahead: int = 4,
    sampling: Sampling | None = None,
    stop: Collection[int] = (),
    seed: int | None = None,
    counts: Counts | None = None,
) -> Iterator[int]:
    """New tokens as `model` would write them, with `draft` proposing `ahead` at a time.

    Both models must share a vocabulary; prompt and text must fit into the smaller context. counts
    takes note of what was proposed and taken. Errors: DataError.
    """
    drawing = sampling or Sampling()
    context = min(int(model.config.context), int(draft.config.context))
    if ahead < 1 or model.config.vocab_size != draft.config.vocab_size:
        sizes = f"vocabularies {model.config.vocab_size} and {draft.config.vocab_size}"
        raise DataError(explain("speculative", f"ahead is {ahead}, {sizes}"))
    if not 0 < len(tokens) <= context - max_new_tokens:
        what = f"{len(tokens)} tokens and {max_new_tokens} new ones in a context of {context}"
        raise DataError(explain("speculative", what, remedy="use generate for longer texts"))
    told = counts if counts is not None else Counts()
    return _written(model, draft, list(tokens), max_new_tokens, ahead, drawing, stop, seed, told)


def _written(
    model: Causal,
    draft: Causal,
    text: list[int],
    max_new_tokens: int,
    ahead: int,
    sampling: Sampling,
    stop: Collection[int],
    seed: int | None,
    counts: Counts,
) -> Iterator[int]:
    rng = np.random.default_rng(seed)
    longest = len(text) + max_new_tokens
    large, small = (Decoder(m, context=room(m, longest, 0)) for m in (model, draft))
    first = sampling.draw(large.read([text])[0], text, rng)
    small.read([text])
    new = [first]
    while True:
        for token in new:
            if token in stop:
                return
            text.append(token)
            yield token
        left = longest - len(text)
        if left <= 0:
            return
        # One token of the step is the large model's own.
        count = min(ahead, left - 1)
        proposed, chances = _proposal(small, text, count, sampling, rng)
        checked = large.step(np.array([[text[-1], *proposed]]), advance=False)[0]
        wanted = [sampling.chances(checked[i], [*text, *proposed[:i]]) for i in range(count + 1)]
        new = accepted(np.array(wanted), chances, proposed, rng)
        counts.proposed += count
        counts.taken += len(new) - 1
        # What was read and stays: all but the newest token, whose keys are not there yet.
        large.lengths = np.array([len(text) + len(new) - 1])
        small.lengths = np.minimum(small.lengths, large.lengths)


def _proposal(
    small: Decoder, text: list[int], count: int, sampling: Sampling, rng: np.random.Generator
) -> tuple[list[int], Array]:
    """Tokens of the small model after `text`, and its chances at each of their places."""
    proposed: list[int] = []
    chances: list[Array] = []
    if count:
        waiting = text[int(small.lengths[0]) :]  # one token, or two after all were taken
        logits = small.step(np.array([waiting]))[0, -1]
        for i in range(count):
            chances.append(sampling.chances(logits, [*text, *proposed]))
            proposed.append(_drawn(chances[-1], rng))
            if i + 1 < count:
                logits = small.step(np.array([proposed[-1:]]))[0, -1]
    return proposed, np.array(chances)


def _drawn(chances: Array, rng: np.random.Generator) -> int:
    found = int(np.searchsorted(np.cumsum(chances), rng.random() * chances.sum(), side="right"))
    return min(found, len(chances) - 1)
