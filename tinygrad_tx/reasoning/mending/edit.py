"""Edit: new values of some parameters, which can be put in and taken back to the last bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_tx.errors import CheckpointError, explain
from tinygrad_tx.nn import Module

__all__ = ["Edit", "fingerprint"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Edit:
    """A change of weights that can be applied and taken back.

    before and after: values of parameters by path. notes: what the maker has to say.

    `apply` puts `after` into the model's own memory, so that everything which runs it sees that;
    `take_back` puts `before` there. Edits of one parameter are taken back in the reverse order.
    """

    model: Module = field(repr=False)
    before: Mapping[str, Array] = field(repr=False)
    after: Mapping[str, Array] = field(repr=False)
    notes: tuple[str, ...] = ()

    def apply(self) -> Edit:
        """Errors: CheckpointError where the model is not as it was when the edit was made."""
        self._put(self.before, self.after, "put in")
        return self

    def take_back(self) -> None:
        """Errors: CheckpointError where the model is not as the edit left it."""
        self._put(self.after, self.before, "taken back")

    @property
    def is_applied(self) -> bool:
        """Whether the model holds the new values, and not the old ones."""
        own = dict(self.model.named_parameters())
        return self.changed > 0 and all(_same(own[p].numpy(), v) for p, v in self.after.items())

    @property
    def changed(self) -> int:
        """How many numbers are others."""
        return sum(int((_bits(self.before[p]) != _bits(v)).sum()) for p, v in self.after.items())

    @contextmanager
    def applied(self) -> Iterator[Edit]:
        """Inside, the model holds the new values."""
        self.apply()
        try:
            yield self
        finally:
            self.take_back()

    def _put(self, held: Mapping[str, Array], new: Mapping[str, Array], verb: str) -> None:
        own = dict(self.model.named_parameters())
        other = [p for p, v in held.items() if p not in own or not _same(own[p].numpy(), v)]
        if other:
            what = f"cannot be {verb}: {', '.join(other[:3])} changed meanwhile"
            raise CheckpointError(explain("Edit", what, remedy="take back later edits first"))
        for path, value in new.items():
            own[path].assign_(value)


def fingerprint(model: Module) -> dict[str, bytes]:
    """All parameters, bit for bit: equal where nothing changed at all."""
    return {path: p.numpy().tobytes() for path, p in model.named_parameters()}


def _same(a: Array, b: Array) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and bool((_bits(a) == _bits(b)).all())


def _bits(a: Array) -> Array:
    """The numbers as whole numbers: NaN equals itself, -0 is not 0."""
    return np.ascontiguousarray(a).view(f"u{a.dtype.itemsize}")
