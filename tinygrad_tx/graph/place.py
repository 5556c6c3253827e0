"""Where a node comes from: the user's file and line, and the module path."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from types import FrameType

__all__ = ["current_scope", "levels_to_user", "scope", "user_place"]

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
        if not name.startswith(_own_folders) and not _is_generated(frame):
            return f"{_shown(name)}:{frame.f_lineno}"
        if name.startswith(_commands):
            break
        frame = frame.f_back  # type: ignore[assignment]  # typeshed: None at the outermost frame
    return ""


@lru_cache(maxsize=4096)
def _shown(name: str) -> str:
    """The file; of a cell of a notebook `In[3]`, where the file is a temporary one."""
    shell = None
    if "ipykernel_" in name or name.startswith("<ipython-input"):
        ipython = sys.modules.get("IPython")
        shell = ipython.get_ipython() if ipython is not None else None
    found = shell.compile.format_code_name(name) if shell is not None else None
    return found[1] if found else name


def levels_to_user() -> int:
    """The `stacklevel` with which the caller warns at the innermost line outside this package."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_own_folders):
        frame, level = frame.f_back, level + 1
    return level


def _is_generated(frame: FrameType) -> bool:
    """Whether it is a function that `dataclasses` wrote for a class of this package."""
    module = frame.f_globals.get("__name__", "")
    return frame.f_code.co_filename == "<string>" and module.startswith("tinygrad_tx.")


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
