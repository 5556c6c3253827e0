"""Group: the processes that train one model together; by itself the group of one.

Everything that ranks must do alike goes through a Group, so that a trainer has one way of working.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from tinygrad_tx import errors
from tinygrad_tx.errors import DataError, TinygradTxError, explain

__all__ = ["ALONE", "Group", "Request"]

Array = np.ndarray[Any, Any]


class Request(Protocol):
    """What was begun and goes on."""

    def is_done(self) -> bool:
        """Whether it has ended; asking also moves it on."""
        ...


class Group:
    """`size` processes, of which this one is `rank`; by itself a group of one.

    All ranks make the same calls in the same order. Errors: GroupError where another rank does
    not answer within `config.rank_timeout`.
    """

    rank = 0
    size = 1

    @property
    def is_first(self) -> bool:
        """Whether this rank writes files and talks."""
        return self.rank == 0

    def start_exchange(self, given: Array, taken: Array) -> Request:
        """Begins to send row r of `given` to rank r, whose row for us comes to `taken[r]`.

        Shapes: both (size, n). Neither may be touched before it is done.
        """
        taken[...] = given
        return _Done()

    def start_gather(self, given: Array, taken: Array) -> Request:
        """Begins to bring `given`, shape (n,), of every rank to all. Shapes: taken (size, n)."""
        taken[...] = given
        return _Done()

    def wait(self, request: Request) -> None:
        """Until it is done."""

    def broadcast(self, data: bytes) -> bytes:
        """What the first rank passed."""
        return data

    def gather(self, given: Array) -> Array:
        """The arrays of all ranks, shape (size, *given.shape)."""
        taken = np.empty((self.size, given.size), given.dtype)
        self.wait(self.start_gather(np.ascontiguousarray(given).reshape(-1), taken))
        return taken.reshape(self.size, *given.shape)

    def any(self, claim: bool) -> bool:
        """Whether it holds on one rank at least."""
        return bool(self.gather(np.array([claim], np.uint8)).any())

    def share(self, make: Callable[[], Any]) -> Any:
        """What `make` gives on the first rank: something that JSON carries to the others.

        Errors: those of `make`, on all ranks.
        """
        if self.size == 1:
            return make()
        return json.loads(self.share_bytes(lambda: json.dumps(make()).encode()))

    def share_bytes(self, make: Callable[[], bytes]) -> bytes:
        """What `make` gives on the first rank. Errors: those of `make`, on all ranks."""
        if self.size == 1:
            return make()
        found, failed = b"", ""
        if self.is_first:
            try:
                found = make()
            except TinygradTxError as error:
                failed = json.dumps([type(error).__name__, str(error)])
        said = self.broadcast(failed.encode())
        if said:
            kind, message = json.loads(said)
            raise getattr(errors, kind, TinygradTxError)(message)
        return self.broadcast(found)

    def rows(self, batch: Sequence[Array]) -> tuple[Array, ...]:
        """The part of each array's first axis that is this rank's. Errors: DataError where they
        cannot be divided."""
        if self.size == 1:
            return tuple(batch)
        for array in batch:
            if not np.ndim(array) or len(array) % self.size:
                what = f"a batch of shape {np.shape(array)} is not divided by {self.size} processes"
                remedy = f"use a --batch that is a multiple of {self.size}, or fewer processes"
                raise DataError(explain("distributed training", what, remedy=remedy))
        counts = [len(a) // self.size for a in batch]
        pairs = zip(batch, counts, strict=True)
        return tuple(a[self.rank * n : (self.rank + 1) * n] for a, n in pairs)

    def mine(self, rows: Iterable[Any]) -> list[Any]:
        """Every `size`-th of them, beginning with the one of this rank."""
        return list(rows)[self.rank :: self.size]


class _Done:
    def is_done(self) -> bool:
        return True


ALONE = Group()
"""The group of a process that trains by itself."""
