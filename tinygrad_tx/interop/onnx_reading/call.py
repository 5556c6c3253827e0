"""How a meaning for an ONNX operator looks, and the table of them all.

A meaning computes one node with our functions. It sees the node as a `Call`: values that depend on
inputs or weights are Tensors; what depends on shapes and constants alone is known, as an array.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_tx.errors import OnnxError
from tinygrad_tx.runtime.buffer import Array
from tinygrad_tx.tensor import Tensor
from tinygrad_tx.tensor.tensor import as_tensor

__all__ = ["MEANINGS", "MOST_ELEMENTS", "Call", "Value", "meaning"]

Value = Tensor | Array
"""A Tensor, or an array that is known from shapes and constants."""

MOST_ELEMENTS = 2**31
"""Of one value: a file that asks for more is refused before memory is taken."""

MEANINGS: dict[str, Callable[[Call], Any]] = {}
"""By the name of the ONNX operator."""


def meaning(*names: str) -> Callable[[Callable[[Call], Any]], Callable[[Call], Any]]:
    """Puts the decorated function into the table: Call -> a result, or a tuple of them."""

    def put(function: Callable[[Call], Any]) -> Callable[[Call], Any]:
        for name in names:
            assert name not in MEANINGS, name
            MEANINGS[name] = function
        return function

    return put


class Call:
    """One node with its values. path: of the model. wanted: which results are read."""

    def __init__(
        self,
        op_type: str,
        attrs: dict[str, Any],
        values: Sequence[Value | None],
        path: Path,
        wanted: Sequence[bool],
    ) -> None:
        self.op_type, self.path, self.wanted = op_type, path, wanted
        self._values = list(values)
        self._attrs = attrs
        self._seen: set[int | str] = set()

    def attr(self, name: str, default: Any = None) -> Any:
        """An attribute. Errors: where it is of another type than its default."""
        self._seen.add(name)
        found = self._attrs.get(name, default)
        if default is not None and not isinstance(found, type(default)):
            if isinstance(default, float) and isinstance(found, int):
                return float(found)
            self.refuse(f"attribute {name} is {type(found).__name__}")
        return found

    def has(self, i: int) -> bool:
        self._seen.add(i)
        return i < len(self._values) and self._values[i] is not None

    def tensor(self, i: int) -> Tensor:
        """Input i. Errors: where the node has none."""
        if not self.has(i):
            self.refuse(f"it has no input {i}")
        return as_tensor(self._values[i])

    def tensors(self) -> list[Tensor]:
        """All inputs, of which there is at least one."""
        return [self.tensor(i) for i in range(max(len(self._values), 1))]

    def known(self, i: int) -> Array:
        """The numbers of input i. Errors: where they depend on an input or a weight."""
        if not self.has(i):
            self.refuse(f"it has no input {i}")
        value = self._values[i]
        if isinstance(value, np.ndarray):
            return value
        raise OnnxError(
            f"input {i} must follow from shapes and constants, but it depends on the numbers of an "
            "input or a weight"
        )

    def ints(self, i: int) -> list[int]:
        """Whole numbers of input i, which are sizes, axes or places."""
        found = self.known(i)
        if found.dtype.kind not in "iu" or found.ndim > 1:
            self.refuse(f"input {i} is {found.dtype}{list(found.shape)}, not a row of integers")
        return [int(n) for n in found.reshape(-1)]

    def number(self, i: int) -> Any:
        """The one number of input i."""
        found = self.known(i)
        if found.size != 1:
            self.refuse(f"input {i} has {found.size} numbers, not one")
        return found.reshape(()).item()

    def list_of(self, name: str, i: int) -> list[int] | None:
        """Integers that older opsets have as an attribute and newer ones as input i."""
        if self.has(i):
            return self.ints(i)
        found = self.attr(name)
        if found is None:
            return None
        return [int(n) for n in found]

    def axis(self, value: int, rank: int) -> int:
        """An axis counted from the front. Errors: where there is none."""
        if not -rank <= value < rank:
            self.refuse(f"axis {value} of a value with {rank} axes")
        return value % rank

    def bounded(self, shape: Sequence[int]) -> tuple[int, ...]:
        """`shape`, unless nothing could hold it."""
        sizes = tuple(int(n) for n in shape)
        if any(n < 0 for n in sizes) or prod(sizes) > MOST_ELEMENTS or len(sizes) > 32:
            self.refuse(f"it asks for the shape {sizes[:32]}")
        return sizes

    def let_pass(self, *parts: int | str) -> None:
        """Inputs and attributes that change nothing here."""
        self._seen.update(parts)

    def check_all_seen(self) -> None:
        """Errors: where the node has an attribute or an input that its meaning did not ask for."""
        attrs = [name for name in self._attrs if name not in self._seen]
        inputs = [i for i, v in enumerate(self._values) if v is not None and i not in self._seen]
        if attrs:
            self.refuse(f"attribute {attrs[0]!r} is not known here")
        if inputs:
            self.refuse(f"input {inputs[0]} is not known here")

    def refuse(self, what: str) -> None:
        """Errors: OnnxError, which the reader completes with the file and the node."""
        raise OnnxError(what)
