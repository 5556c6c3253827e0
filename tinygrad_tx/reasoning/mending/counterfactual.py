"""Counterfactual fine-tuning: a few steps on text in which the groups have changed places.

Each sentence also stands there with the words of each pair swapped (he and she, names of women and
of men), so that what the model learns of one group it learns of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_tx.data import Examples
from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.nn import LoRA, Module
from tinygrad_tx.optim import cosine
from tinygrad_tx.reasoning.mending.edit import Edit
from tinygrad_tx.train.brief import trained_by

__all__ = ["counterfactual_finetune", "counterfactual_text", "swapped"]

Array = np.ndarray[Any, Any]
Pairs = Sequence[tuple[int, int]]
IGNORED = -100


def swapped(tokens: Any, pairs: Pairs) -> Array:
    """The tokens with the two of each pair in each other's place; twice is as before.

    Errors: DataError for a token in two pairs.
    """
    given = np.asarray(tokens, np.int64)
    every = [t for pair in pairs for t in pair]
    if len(set(every)) < len(every) or any(len(p) != 2 for p in pairs):
        what = f"pairs {list(pairs)}"
        raise DataError(explain("swapped", what, remedy="each token stands in one pair of two"))
    found = given.copy()
    for a, b in pairs:
        found[given == a], found[given == b] = b, a
    return found


def counterfactual_text(tokens: Any, pairs: Pairs) -> Array:
    """The text (sentences, time), then the same with the pairs swapped, where that is another
    sentence. Source: Lu et al. 2020 (counterfactual data augmentation); Hall Maudslay et al. 2019
    (names are swapped too, so that sentences stay true to themselves)."""
    given = np.asarray(tokens, np.int64)
    other = swapped(given, pairs)
    return np.concatenate([given, other[(other != given).any(-1)]])


def counterfactual_finetune(
    model: Module,
    tokens: Any,
    pairs: Pairs,
    *,
    steps: int = 200,
    batch: int = 64,
    learning_rate: float = 1e-3,
    padding: int | None = None,
    rank: int | None = None,
    where: Sequence[str] = ("blocks.*.attention.qkv", "blocks.*.feed_forward.*"),
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Edit:
    """The edit that `steps` of training on `counterfactual_text` make; not yet applied.

    tokens: (sentences, time + 1), padded with `padding`, which is not learnt. rank: with LoRA of
    this rank on the linear maps that `where` names, instead of all parameters. The text also shows
    everything else again, so that the model keeps it. Errors: DataError, NonFiniteError (then the
    model is as before).
    """
    text = counterfactual_text(tokens, pairs)
    if steps < 1 or text.ndim != 2 or text.shape[1] < 2:
        what = f"steps {steps}, text {text.shape}"
        raise DataError(explain("finetune", what, remedy="give steps and (sentences, time + 1)"))
    targets = np.where(text[:, 1:] == padding, IGNORED, text[:, 1:])
    examples = Examples((text[:, :-1], targets), batch, seed)
    before = model.state_dict()
    lora = None if rank is None else LoRA(model, *where, rank=rank, seed=seed)
    try:
        rate = cosine(learning_rate, steps, max(1, steps // 20), 0.02 * learning_rate)
        losses = trained_by(model, examples.draw, steps, rate, on_progress=on_progress)
    finally:
        if lora is not None:
            lora.merge()
        after = model.state_dict()
        model.load_state_dict(before)
        model.eval()
    changed = {p: v for p, v in after.items() if v.tobytes() != before[p].tobytes()}
    note = f"{steps} steps, loss {losses[0]:.4g} -> {np.mean(losses[-10:]):.4g}"
    return Edit(model, {p: before[p] for p in changed}, changed, (note,))
