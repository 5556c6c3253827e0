"""Nested dicts, lists and tuples of tensors: taken apart and put together again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Tree", "flatten", "unflatten"]


@dataclass(frozen=True, slots=True)
class Tree:
    """The shape of a nest. kind: "leaf", "static", "list", "tuple" or "dict"."""

    kind: str
    keys: tuple[Hashable, ...] = ()
    children: tuple[Tree, ...] = ()
    value: Any = None


def flatten(value: Any, is_leaf: Callable[[Any], bool]) -> tuple[list[Any], Tree]:
    """The leaves in order and the nest around them; what is no leaf is kept in the nest."""
    if is_leaf(value):
        return [value], Tree("leaf")
    if isinstance(value, dict):
        keys, items = tuple(value), list(value.values())
        kind = "dict"
    elif isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        keys, items, kind = (), list(value), type(value).__name__
    else:
        return [], Tree("static", value=value)
    leaves: list[Any] = []
    children = []
    for item in items:
        found, child = flatten(item, is_leaf)
        leaves += found
        children.append(child)
    return leaves, Tree(kind, keys, tuple(children))


def unflatten(tree: Tree, leaves: list[Any]) -> Any:
    """The nest with `leaves` in their places."""
    return _built(tree, iter(leaves))


def _built(part: Tree, remaining: Iterator[Any]) -> Any:
    # Not an inner function: one that calls itself is a cycle, and would keep the leaves alive.
    if part.kind == "leaf":
        return next(remaining)
    if part.kind == "static":
        return part.value
    items = [_built(child, remaining) for child in part.children]
    if part.kind == "dict":
        return dict(zip(part.keys, items, strict=True))
    return items if part.kind == "list" else tuple(items)
