"""no_grad: results that ask for no gradients, whatever they are computed from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

from tinygrad_tx.errors import ArgumentError, explain

__all__ = ["are_gradients_on", "no_grad"]

_on: ContextVar[bool] = ContextVar("gradients_on", default=True)


def are_gradients_on() -> bool:
    """Whether results ask for gradients where their inputs do."""
    return _on.get()


@contextmanager
def _off() -> Iterator[None]:
    token = _on.set(False)
    try:
        yield
    finally:
        _on.reset(token)


class _NoGrad:
    """`with tx.no_grad():`, or `@tx.no_grad()` above a function: inside, results ask for none."""

    def __call__(self, *nothing: Any) -> AbstractContextManager[None]:
        if nothing:
            raise _without_parentheses()
        return _off()

    def __enter__(self) -> None:
        raise _without_parentheses()

    def __exit__(self, *error: object) -> None:
        del error


no_grad = _NoGrad()
"""`with tx.no_grad():`, or `@tx.no_grad()` above a function: results ask for no gradients."""


def _without_parentheses() -> ArgumentError:
    remedy = "write `with tx.no_grad():` or `@tx.no_grad()`"
    return ArgumentError(explain("no_grad", "its parentheses are missing", remedy=remedy))
