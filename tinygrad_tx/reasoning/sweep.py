"""Sweep: many interventions side by side in the batch of one compiled program.

Each run is a set of changes; a row of the batch is one example under one run. What every run puts
at a point stands in arrays (mask, gain, shift) that are arguments: nothing is compiled twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import GraphError, explain
from tinygrad_tx.jit import jit
from tinygrad_tx.reasoning.change import Change, as_change, check_fits
from tinygrad_tx.reasoning.look import Changes, Model, looked, points
from tinygrad_tx.reasoning.point import Point, matching
from tinygrad_tx.tensor import Tensor, no_grad, where
from tinygrad_tx.tensor.tensor import as_tensor

__all__ = ["MEMORY", "Chunks", "sweep"]

Array = np.ndarray[Any, Any]

MEMORY = 512 << 20
"""Bytes that a sweep may take at once, beside the model."""


@dataclass(frozen=True)
class Chunks:
    """How a sweep is cut: `runs` runs at a time, `count` times; bytes: what one time takes."""

    total: int
    runs: int
    bytes: int

    @property
    def count(self) -> int:
        return -(-self.total // self.runs)


def sweep(
    model: Model,
    inputs: Any,
    runs: Sequence[Changes],
    measure: Callable[..., Tensor],
    *,
    memory: int = MEMORY,
    on_plan: Callable[[Chunks], None] | None = None,
    on_chunk: Callable[[int, int], None] | None = None,
) -> Array:
    """`measure` of what the model returns, for each run and example: (runs, batch, ...).

    runs: each a set of changes as in `intervene`; those that are functions are refused.
    measure(output, *inputs) gives a tensor whose first axis is the batch. memory: bytes; the number
    of runs side by side follows from it, and on_plan is told before anything runs; on_chunk gets
    (runs done, all runs). Errors: PointError, GraphError, ShapeError.
    """
    args = inputs if isinstance(inputs, tuple) else (inputs,)
    arrays = [np.asarray(as_tensor(a).numpy()) for a in args]
    batch = arrays[0].shape[0]
    known = points(model, *arrays)
    named = [_by_path(changes, known) for changes in runs]
    if not named:
        return np.zeros((0, batch))
    used = {p: known[p] for p in known if any(p in changes for changes in named)}
    step = jit(_step(model, measure, list(used)))
    chunks = _chunks(step, arrays, named, used, memory)
    if on_plan is not None:
        on_plan(chunks)
    found: list[Array] = []
    for first in range(0, len(named), chunks.runs):
        part = named[first : first + chunks.runs]
        part = [*part, *({} for _ in range(chunks.runs - len(part)))]
        values = step(_tiled(arrays, len(part)), _arrays(part, used, batch)).numpy()
        found += list(values.reshape((chunks.runs, batch, *values.shape[1:])))
        if on_chunk is not None:
            on_chunk(min(first + chunks.runs, len(named)), len(named))
    return np.array(found[: len(named)])


def _step(
    model: Model, measure: Callable[..., Tensor], paths: Sequence[str]
) -> Callable[[list[Any], dict[str, list[Any]]], Tensor]:
    # Arrays where it is called, tensors where it is recorded.
    def step(args: list[Any], given: dict[str, list[Any]]) -> Tensor:
        def put(path: str) -> Callable[[Tensor], Tensor]:
            mask, gain, shift = given[path]
            return lambda x: where(mask, where(gain == 0, shift, x * gain + shift), x)

        with no_grad():
            output = looked(model, args, (), [(path, put(path)) for path in paths]).output
            return measure(output, *args)

    return step


def _by_path(changes: Changes, known: Mapping[str, Point]) -> dict[str, Change]:
    found: dict[str, Change] = {}
    for pattern, given in changes.items():
        change = as_change(given)
        if change.function is not None:
            remedy = "use replace, add, scale or zero, or intervene for each run"
            what = f"the change at {pattern!r} is a function"
            raise GraphError(explain("sweep", what, remedy=remedy))
        for path in matching([pattern], known):
            if path in found:
                what = f"a run changes {path} twice"
                raise GraphError(explain("sweep", what, remedy="put both into one value"))
            found[path] = change
    return found


def _chunks(
    step: Any,
    arrays: Sequence[Array],
    named: Sequence[Mapping[str, Change]],
    used: Mapping[str, Point],
    memory: int,
) -> Chunks:
    """As many runs at a time as the budget holds, by the plan for two."""
    batch = arrays[0].shape[0]
    two = [*named, {}][:2] if len(named) > 1 else [named[0], {}]
    given = _arrays(two, used, batch)
    own = sum(a.nbytes for parts in given.values() for a in parts)
    each = max(1, (step.plan(_tiled(arrays, 2), given).peak_bytes + own) // 2)
    runs = max(1, min(len(named), memory // each))
    return Chunks(len(named), runs, runs * each)


def _tiled(arrays: Sequence[Array], runs: int) -> list[Array]:
    """The inputs once for each run."""
    return [np.tile(a, (runs, *(1 for _ in a.shape[1:]))) for a in arrays]


def _arrays(
    part: Sequence[Mapping[str, Change]], used: Mapping[str, Point], batch: int
) -> dict[str, list[Array]]:
    """For each point mask, gain and shift of every row, as small as broadcasting allows."""
    return {
        path: _rows([run.get(path) for run in part], point, batch) for path, point in used.items()
    }


def _rows(changes: Sequence[Change | None], point: Point, batch: int) -> list[Array]:
    rank, has_batch = len(point.shape), point.axes[:1] == ("batch",)
    if not has_batch:
        what = f"{point} has no axis of examples to put runs along"
        raise GraphError(explain("sweep", what, remedy="use intervene for each run"))
    masks, shifts = [], []
    for given in changes:
        if given is None:
            masks.append(np.zeros((1,) * rank, bool))
            shifts.append(np.zeros((1,) * rank, point.dtype))
            continue
        found = given.where.mask(point)
        mask = np.ones((1,) * rank, bool) if found is None else np.asarray(found.numpy())
        shift = np.asarray(as_tensor(given.shift, point.dtype).numpy(), point.dtype)
        check_fits(shift.shape, point)
        masks.append(mask)
        shifts.append(shift.reshape((1,) * (rank - shift.ndim) + shift.shape))
    gains = [np.full((1,) * rank, 0.0 if c is None else c.gain, point.dtype) for c in changes]
    return [_stacked(parts, batch) for parts in (masks, gains, shifts)]


def _stacked(parts: Sequence[Array], batch: int) -> Array:
    """Arrays of one run each as one array of (runs x batch, ...)."""
    shape = np.broadcast_shapes(*(p.shape for p in parts), (batch, *(1,) * (parts[0].ndim - 1)))
    return np.concatenate([np.broadcast_to(p, shape) for p in parts])
