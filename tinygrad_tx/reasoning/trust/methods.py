"""Methods: the explanations of this package side by side, by what they are worth on one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_tx.nn import Module
from tinygrad_tx.reasoning.explain.attention_maps import attention_rollout
from tinygrad_tx.reasoning.explain.attribution import (
    gradient_x_input,
    integrated_gradients,
    occlusion,
)
from tinygrad_tx.reasoning.explain.stream import at_rest, listed
from tinygrad_tx.reasoning.explain.target import Target
from tinygrad_tx.reasoning.trust.faithfulness import Faithfulness, Method, faithfulness
from tinygrad_tx.tensor import no_grad
from tinygrad_tx.tensor.tensor import as_tensor

__all__ = ["explanations", "which_to_trust"]

Array = np.ndarray[Any, Any]


def explanations(
    model: Module, tokens: Any, *, replacement: int, steps: int = 16, read: int | None = None
) -> dict[str, Method]:
    """The methods that give a score for each token, as `faithfulness` takes them.

    replacement: the token that integrated gradients and occlusion start from and put in place.
    steps: of integrated gradients, at most. read: the position whose attention is followed; if not
    given the last one, or for a classifier the first, which pooling reads. Attention rollout is
    left out where the model has no self-attention. All are about the log-probability of the target.
    """
    tokens = np.asarray(tokens)
    attends = any(p.endswith(".attention.pattern") for p in listed(model, (tokens[:1],)))

    def target(answers: Array) -> Target:
        return Target(tuple(int(a) for a in answers), of="log_probability")

    def gradient(model: Any, texts: Array, answers: Array) -> Array:
        return gradient_x_input(model, texts, target(answers)).scores

    def integrated(model: Any, texts: Array, answers: Array) -> Array:
        found = integrated_gradients(
            model, texts, target(answers), baseline=replacement, steps=steps
        )
        return found.scores

    def occluded(model: Any, texts: Array, answers: Array) -> Array:
        return occlusion(model, texts, target(answers), baseline=replacement).scores

    methods: dict[str, Method] = {
        "gradient x input": gradient,
        "integrated gradients": integrated,
        "occlusion": occluded,
    }
    if attends:
        if read is None:
            with at_rest(model), no_grad():
                read = -1 if model(as_tensor(tokens[:1])).ndim == 3 else 0
        methods["attention rollout"] = _rollout(read)
    return methods


def _rollout(read: int) -> Method:
    def rollout(model: Any, texts: Array, answers: Array) -> Array:
        shares: Array = attention_rollout(model, texts).shares[:, read]
        return shares

    return rollout


def which_to_trust(
    model: Module,
    tokens: Any,
    *,
    replacement: int,
    others: Mapping[str, Method] | None = None,
    targets: Any = None,
    eligible: Any = None,
    read: int | None = None,
    steps: int = 16,
    orders: int = 10,
    sanity: bool = True,
    stages: Sequence[Sequence[str]] | None = None,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Faithfulness:
    """Which explanation to trust for what on this model: `.table()` is the answer.

    Gradient x input, integrated gradients, occlusion and attention rollout, compared by taking
    tokens away and putting them back, and by randomised weights. Shapes: tokens (batch, time).
    others: more methods. read, steps: see `explanations`; the rest: see `faithfulness`. At least
    10 examples are needed for intervals, and so for a verdict.

    Limits: occlusion and deletion replace tokens in the same way, which favours occlusion. Rollout
    has no sign and does not know the target: tokens against the target look important in it. All
    answers are for these examples and this `replacement`. Errors: as `faithfulness`; a name in
    `others` that is taken is a ValueError.
    """
    methods = explanations(model, tokens, replacement=replacement, steps=steps, read=read)
    taken = sorted(set(methods) & set(others or {}))
    if taken:
        raise ValueError(f"which_to_trust: {taken} are methods of its own. Use other names.")
    return faithfulness(
        model, tokens, {**methods, **(others or {})}, replacement=replacement, targets=targets,
        eligible=eligible, orders=orders, sanity=sanity, stages=stages, seed=seed,
        on_progress=on_progress,
    )  # fmt: skip
