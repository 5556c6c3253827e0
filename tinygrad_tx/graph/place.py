"""Where a node comes from: the user's file and line, and the module path."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

__all__ = ["current_scope", "scope", "user_place"]

_package = Path(__file__).resolve().parent.parent
# ops/ and models/ are links in a checkout: frames carry the real or the linked path.
_own_folders = tuple(
    {f"{p}/" for p in (_package, (_package / "ops").resolve(), (_package / "models").resolve())}
)
_commands = f"{_package}/cli/"
_scope: ContextVar[str] = ContextVar("scope", default="")


def user_place() -> str:
    """`file:line` of the innermost frame outside this package; empty if there is none.

    Beyond a command there is only the library that called it, which is nobody's place.
    """
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(_own_folders):
            return f"{name}:{frame.f_lineno}"
        if name.startswith(_commands):
            break
        frame = frame.f_back  # type: ignore[assignment]  # typeshed: None at the outermost frame
    return ""


def current_scope() -> str:
    """Path of the modules being called, as `blocks.3.attention`."""
    return _scope.get()


@contextmanager
def scope(path: str) -> Iterator[None]:
    """Nodes made inside carry `path` as their scope."""
    token = _scope.set(path)
    try:
        yield
    finally:
        _scope.reset(token)
