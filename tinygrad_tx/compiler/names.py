"""The alphabet of generated source: every name in it is made here, and nothing else gets in.

Kernels are generated from a typed graph; node names, scopes and paths of modules, which people and
files choose, are not part of it. What could carry text (the name of an operator, an expression that
an operator emits) passes through one of these functions.
"""

from __future__ import annotations

import keyword
import re
from typing import Literal

from tinygrad_tx.errors import CompileError, explain

__all__ = ["Role", "expression", "identifier", "local", "shown"]

Role = Literal["a", "c", "p", "s", "t", "x"]
"""Address, constant, array, step, line, element: what a local name of a fused kernel stands for."""

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_EXPRESSION = re.compile(r"[A-Za-z0-9_.,()+\-*/<>=!&|^~ ]+")
_LOCAL = re.compile(r"[acpstx][0-9]+")


def local(role: Role, number: int) -> str:
    """The local name number `number` of its role."""
    return _checked(_LOCAL, f"{role}{number}")


def identifier(text: str) -> str:
    """`text`, which is a name or a dotted path of names. Errors: CompileError."""
    if any(keyword.iskeyword(part) for part in text.split(".")):
        raise CompileError(explain("generated kernel", f"{text!r} is a word of Python"))
    return _checked(_IDENTIFIER, text)


def expression(text: str) -> str:
    """`text`, an expression of names, numbers, calls and operators: no strings, no brackets, no
    line ends, no name that begins with two underscores. Errors: CompileError."""
    if "__" in text:
        raise CompileError(explain("generated kernel", f"{text!r} has a name that is Python's own"))
    return _checked(_EXPRESSION, text)


def shown(text: str) -> str:
    """`text` for a title or the name of a file: what is not a letter, a figure or a point of
    ASCII becomes an underscore."""
    return re.sub(r"[^A-Za-z0-9_. ]", "_", text)


def _checked(pattern: re.Pattern[str], text: str) -> str:
    if pattern.fullmatch(text) is None:
        what = f"{text!r} may not stand in its source"
        raise CompileError(explain("generated kernel", what, remedy="this is a bug: report it"))
    return text
