"""What a module is made of, as text: a line for each part, equal parts in a row as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tinygrad_tx.tensor import Tensor

if TYPE_CHECKING:
    from tinygrad_tx.nn.module import Module

__all__ = ["outline"]

INDENT = "  "


def outline(module: Module) -> str:
    """The module with its parts below it, each with its class, weights and number of parameters.

    Nothing is computed and no value is read: it is the same while a function is recorded, and for
    models by shape alone.
    """
    return "\n".join(_lines(module))


def _lines(module: Module) -> list[str]:
    below: list[str] = []
    names: list[str] = []
    last: list[str] = []
    for name, part in module.children():
        lines = _lines(part)
        if names and lines == last:
            names.append(name)
            continue
        below += _named(names, last)
        names, last = [name], lines
    return [_head(module), *(INDENT + line for line in [*below, *_named(names, last)])]


def _named(names: list[str], lines: list[str]) -> list[str]:
    """The lines of equal parts behind their names: blocks 0 to 11 stand there once."""
    if not names:
        return []
    name = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
    return [f"{name}: {lines[0]}", *lines[1:]]


def _head(module: Module) -> str:
    own = [
        f"{name} {' × '.join(map(str, value.shape))}"
        for name, value in vars(module).items()
        if isinstance(value, Tensor) and value.requires_grad
    ]
    kind, count = type(module).__name__, module.num_parameters()
    words = f"{count:,} parameters" if count != 1 else "1 parameter"
    return f"{kind} ({', '.join(own) or words})" if count else kind
