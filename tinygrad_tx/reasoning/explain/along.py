"""Along: a target as a function of the values at one point, and its slopes there.

Rows are values of one example side by side in the batch of one captured program; what fills the
last rows is thrown away. Attributions by tokens and heads stand on it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.errors import IndexRangeError, PointError, ShapeError, explain
from tinygrad_tx.jit import jit
from tinygrad_tx.nn import Module
from tinygrad_tx.reasoning.explain.stream import arrays_of, at_rest, finite, listed
from tinygrad_tx.reasoning.explain.target import Target
from tinygrad_tx.reasoning.look import Model, capture, gradients, look
from tinygrad_tx.tensor import Tensor, no_grad
from tinygrad_tx.tensor.tensor import as_tensor

__all__ = ["Along", "baseline_of", "checked_rows"]

Array = np.ndarray[Any, Any]


class Along:
    """`target` of `model` on `inputs`, by what stands at `path`.

    values: (batch, ...), what stands there; value: (batch,), the target; tokens: those that the
    point's positions are. Errors: PointError, ShapeError, NonFiniteError.
    """

    def __init__(self, model: Model, inputs: Any, target: Target, path: str | None = None) -> None:
        self.model, self.arrays, self.path = model, arrays_of(inputs), path
        self.known = listed(model, self.arrays)
        with at_rest(model), no_grad():
            found = capture(model, self.arrays, [] if path is None else [path])
            output = finite(np.asarray(found.output.numpy()), "the output")
            self.target = target.resolved(output)
            self.values = np.zeros(0) if path is None else np.asarray(found[path].numpy())
            self.value = np.asarray(
                self.target.measure(found.output, *self._tokens_of_target()).numpy(), np.float64
            )
        if path is not None:
            finite(self.values, path)
        self.batch = len(self.arrays[0])
        self.tokens = self.arrays[0]
        self._slopes, self._measured = jit(self._slopes_of), jit(self._value_of)

    @classmethod
    def embeddings(cls, model: Model, inputs: Any, target: Target, side: str | None) -> Along:
        """Along the token embeddings of one side. Errors: PointError."""
        arrays = arrays_of(inputs)
        paths = [p for p, point in listed(model, arrays).items() if point.name == "token_embedding"]
        chosen = [p for p in paths if side is None or p.startswith(f"{side}.")]
        if not chosen:
            where = f" of the {side}" if side else ""
            what = f"the model has no token_embedding{where}"
            known = ", ".join(paths) or "none"
            raise PointError(explain("attribution", what, remedy=f"embeddings: {known}"))
        found = cls(model, arrays, target, chosen[0])
        found.tokens = arrays[paths.index(chosen[0])]
        return found

    def at(self, path: str) -> Along:
        """The same target along another point."""
        return Along(self.model, self.arrays, self.target, path)

    def slopes(self, example: int, values: Array, rows: int = 1) -> tuple[Array, Array]:
        """The target at each of the values (n, ...), and its derivatives by them, like them."""
        with at_rest(self.model):
            value, slope = self._slopes(*self._rows(example, values, rows))
        count = len(values)
        return np.asarray(value.numpy())[:count], np.asarray(slope.numpy())[:count]

    def measured(self, example: int, values: Array, rows: int = 1) -> Array:
        """The target at each of the values (n, ...): (n,), n at most `rows`."""
        with at_rest(self.model):
            value = self._measured(*self._rows(example, values, rows))
        return np.asarray(value.numpy(), np.float64)[: len(values)]

    def _rows(self, example: int, values: Array, rows: int) -> Any:
        """Arguments of the programs: as many rows as there are, or as are wanted."""
        count = max(len(values), rows)
        filled = np.empty((count, *self.values.shape[1:]), self.values.dtype)
        filled[: len(values)], filled[len(values) :] = values, self.values[example]
        args = [np.repeat(a[example : example + 1], count, 0) for a in self.arrays]
        tokens = [np.repeat(t, count) for t in self.target.chosen(example)]
        return filled, args, tokens

    def _slopes_of(self, values: Tensor, args: list[Tensor], tokens: list[Tensor]) -> Any:
        path = self.path or ""
        found = look(self.model, tuple(args), path, {path: lambda x: values})
        value = self.target.measure(found.output, *tokens)
        return value, gradients(value.sum(), found)[path]

    def _value_of(self, values: Tensor, args: list[Tensor], tokens: list[Tensor]) -> Tensor:
        with no_grad():
            output = look(self.model, tuple(args), (), {self.path or "": lambda x: values}).output
            return self.target.measure(output, *tokens)

    def _tokens_of_target(self) -> list[Any]:
        given = [t for t in (self.target.token, self.target.against) if t is not None]
        return [_tensor(t) for t in given]


def baseline_of(along: Along, example: int, baseline: Any) -> Array:
    """The baseline of one example, (time, width).

    Errors: ShapeError, IndexRangeError, PointError, ValueError.
    """
    own = along.values[example]
    if isinstance(baseline, str):
        if baseline == "zero":
            return np.zeros_like(own)
        if baseline != "mean":
            what = f"baseline {baseline!r} is not zero or mean"
            raise ValueError(explain("attribution", what, remedy="or give a token, or an array"))
        return np.broadcast_to(_table(along).mean(0, dtype=np.float64).astype(own.dtype), own.shape)
    if isinstance(baseline, (int, np.integer)):
        table = _table(along)
        if not 0 <= baseline < len(table):
            what = f"token {baseline} is not within the vocabulary of {len(table)}"
            raise IndexRangeError(explain("attribution", what))
        return np.broadcast_to(table[baseline], own.shape)
    given = np.asarray(baseline, own.dtype)
    try:
        return np.broadcast_to(given, own.shape)
    except ValueError:
        what = f"a baseline of shape {given.shape} does not fit (time, width) {own.shape}"
        raise ShapeError(explain("attribution", what)) from None


def checked_rows(rows: int) -> None:
    """Errors: ValueError for less than one row side by side."""
    if rows < 1:
        raise ValueError(explain("attribution", f"rows is {rows}, not at least 1"))


def _table(along: Along) -> Array:
    """The embedding table behind the point: the one whose rows the tokens' values are."""
    model, own, tokens = along.model, along.values, along.tokens
    parameters = dict(model.named_parameters()) if isinstance(model, Module) else {}
    for name, parameter in parameters.items():
        fits = parameter.ndim == 2 and parameter.shape[1] == own.shape[-1]
        if name.endswith("embedding.weight") and fits and parameter.shape[0] > int(tokens.max()):
            table = np.asarray(parameter.numpy())
            if np.array_equal(table[tokens], own):
                return table
    what = "no parameter is the table of the token embeddings"
    raise PointError(explain("attribution", what, remedy="give the baseline as an array"))


def _tensor(tokens: Any) -> Tensor:
    return as_tensor(np.asarray(tokens, np.int64))
