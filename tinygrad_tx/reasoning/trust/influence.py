"""Influence: which training examples moved a model towards, or away from, what it does now.

    influence(i, j) = sum over checkpoints c of  rate_c  grad loss_i(w_c) . grad loss_j(w_c)

Pruthi et al. 2020 (TracIn), section 3.2: to first order, how much steps on example i lowered the
loss of example j, had each checkpoint been one step.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, NonFiniteError, PointError, explain
from tinygrad_tx.functional import grad
from tinygrad_tx.jit import jit
from tinygrad_tx.nn import Module
from tinygrad_tx.reasoning.explain.stream import at_rest
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tensor import Tensor, concat, reshape

__all__ = ["Influence", "influence"]

Array = np.ndarray[Any, Any]
Loss = Callable[..., Tensor]
MEMORY = 512 << 20
"""Bytes that the gradients of the test examples may take."""


@shown_as_table
@dataclass(frozen=True)
class Influence:
    """Which training examples made a model answer test examples as it does.

    scores: (train, test), above 0 where the example lowered the test example's loss.

    own: (train,), the influence of each on itself; it is high where the model had to work against
    the rest of the data: rare or mislabelled examples.
    """

    scores: Array
    own: Array
    checkpoints: int

    def suspects(self) -> Array:
        """Training examples from the highest influence on itself to the lowest."""
        return np.argsort(-self.own, kind="stable")

    def table(self, test: int = 0, most: int = 5) -> Table:
        """What lowered, and what raised, the loss of one test example most."""
        scores = self.scores[:, test]
        order = np.argsort(-scores, kind="stable")
        most = min(most, (len(order) + 1) // 2)
        chosen = dict.fromkeys([*order[:most].tolist(), *order[len(order) - most :].tolist()])
        rows = tuple((i, float(scores[i]), float(self.own[i])) for i in chosen)
        columns = ("training example", "influence", "on itself")
        return Table(f"Influence on test example {test}", columns, rows, self._notes())

    def own_table(self, most: int = 10) -> Table:
        """The highest influences on themselves."""
        median = float(np.median(self.own))
        rows = tuple(
            (int(i), float(self.own[i]), float(self.own[i]) / median if median else None)
            for i in self.suspects()[:most]
        )
        columns = ("training example", "on itself", "times the median")
        return Table("Influence on itself", columns, rows, self._notes())

    def _notes(self) -> tuple[str, ...]:
        return (
            f"Gradients at {self.checkpoints} checkpoints; first order, and of steps of SGD.",
            "Not what the model would be without the example: only its order tends to agree.",
        )


def influence(
    model: Module,
    train: Any,
    test: Any,
    checkpoints: Sequence[Mapping[str, Array]] | None = None,
    *,
    rates: float | Sequence[float] = 1.0,
    loss: Loss | None = None,
    parameters: str | Sequence[str] = "*",
    memory: int = MEMORY,
    on_progress: Callable[[int, int], None] | None = None,
) -> Influence:
    """How much each training example moved the model on each test example.

    train, test: tuples of arrays, first axis examples, as `loss` takes them (a row at a time;
    `model.loss` if not given). checkpoints: `state_dict`s from training; the model as it is if not
    given. rates: the learning rate at each. parameters: globs of those that count; all is dear,
    the last layers alone are often used. memory: bytes that gradients of `test` may take.
    The model has its own weights back afterwards. Cost: a backward pass for each example and
    checkpoint. on_progress: passes done, of all.

    Limits: exact for no training run but SGD on single examples with every step a checkpoint; Adam,
    momentum and batches are not seen. Long texts and high losses have large gradients: influence on
    itself finds what is rare, and a wrong label is only one way to be so.
    Errors: DataError, PointError, NonFiniteError. Source: Pruthi et al. 2020.
    """
    rows, asked = _arrays(train, "train"), _arrays(test, "test")
    kept = model.state_dict()
    states = [kept] if checkpoints is None else list(checkpoints)
    scales = [float(rates)] * len(states) if np.ndim(rates) == 0 else list(rates)  # type: ignore[arg-type]
    if not states or len(scales) != len(states):
        what = f"{len(states)} checkpoints and {len(scales)} rates"
        raise DataError(explain("influence", what, remedy="give one rate for each"))
    gradient, size = _gradient(model, loss, parameters)
    count, tests = len(rows[0]), len(asked[0])
    if tests * size * 4 > memory:
        what = f"gradients of {tests} test examples take {tests * size * 4:,} bytes of {memory:,}"
        remedy = "name fewer parameters, ask for fewer test examples, or give more memory"
        raise DataError(explain("influence", what, remedy=remedy))
    scores, own, done = np.zeros((count, tests)), np.zeros(count), 0

    def one(arrays: Sequence[Array], i: int, name: str) -> Array:
        nonlocal done
        found = np.asarray(gradient(*(a[i : i + 1] for a in arrays)).numpy())
        if not np.isfinite(found).all():
            what = f"the gradient of {name} example {i} is not finite"
            raise NonFiniteError(explain("influence", what))
        done += 1
        if on_progress is not None:
            on_progress(done, (count + tests) * len(states))
        return found

    try:
        with at_rest(model):
            for state, scale in zip(states, scales, strict=True):
                model.load_state_dict(state)
                wanted = np.stack([one(asked, j, "test") for j in range(tests)])
                for i in range(count):
                    slope = one(rows, i, "training")
                    scores[i] += scale * (wanted @ slope)
                    own[i] += scale * float(slope @ slope)
    finally:
        model.load_state_dict(kept)
    return Influence(scores, own, len(states))


def _gradient(
    model: Module, loss: Loss | None, parameters: str | Sequence[str]
) -> tuple[Callable[..., Tensor], int]:
    """A captured function from an example to its flat gradient, and the gradient's length."""
    globs = [parameters] if isinstance(parameters, str) else list(parameters)
    named = dict(model.named_parameters())
    own = {n: p for n, p in named.items() if any(fnmatch.fnmatchcase(n, g) for g in globs)}
    if not own:
        what = f"{globs} name no parameter"
        raise PointError(explain("influence", what, remedy=f"there are {', '.join(named)}"))
    measure: Loss = loss if loss is not None else model.loss  # type: ignore[attr-defined]

    def gradient(*example: Tensor) -> Tensor:
        def value(values: dict[str, Tensor]) -> Tensor:
            with model.exchanged(values):
                return measure(*example)

        found = grad(value)(own)
        return concat([reshape(found[n], (-1,)) for n in own])

    return jit(gradient), sum(p.size for p in own.values())


def _arrays(given: Any, name: str) -> tuple[Array, ...]:
    arrays = tuple(np.asarray(a) for a in (given if isinstance(given, tuple) else (given,)))
    sizes = {len(a) if a.ndim else 0 for a in arrays}
    if len(sizes) != 1 or 0 in sizes:
        what = f"{name} has arrays of {[a.shape for a in arrays]}"
        raise DataError(explain("influence", what, remedy="the first axis is examples, in all"))
    return arrays
