"""Entry: one parameter here, and the arrays it is made of in a published file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.models.published.gguf import GGUF
from tinygrad_tx.shapes import Shape

__all__ = ["Entry", "Family", "linear", "norm", "ours_of", "problems_of", "theirs_of"]

Array = np.ndarray[Any, Any]
State = Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """`ours` is `theirs`, one behind the other along the last axis.

    turned: whether they hold (outputs, inputs), as PyTorch's Linear does. widths: of each, where
    there are several.
    """

    ours: str
    theirs: tuple[str, ...]
    turned: bool = False
    widths: tuple[int, ...] = ()


@dataclass(frozen=True)
class Family:
    """How a kind of model is published.

    model_type: its name in config.json. sizes: keywords of our config from the settings of
    config.json; settings: the way back. entries: every parameter of a config. ignored: beginnings
    or ends of names that hold nothing of their own (masks, tied weights). packed: settings and
    arrays of a GGUF file in the same words, for a kind that comes in such.
    """

    model_type: str
    sizes: Callable[[Mapping[str, Any]], dict[str, Any]]
    settings: Callable[[Any], dict[str, Any]]
    entries: Callable[[Any], list[Entry]]
    prefixes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    packed: Callable[[GGUF], tuple[dict[str, Any], dict[str, Any]]] | None = None


def linear(ours: str, *theirs: str, bias: bool = True, widths: Sequence[int] = ()) -> list[Entry]:
    """A linear map that is kept as PyTorch keeps it; several stand side by side in ours."""
    names = [Entry(f"{ours}.weight", tuple(f"{t}.weight" for t in theirs), True, tuple(widths))]
    if bias:
        names.append(
            Entry(f"{ours}.bias", tuple(f"{t}.bias" for t in theirs), False, tuple(widths))
        )
    return names


def norm(ours: str, theirs: str, bias: bool = True) -> list[Entry]:
    """The weight, and bias, of a normalisation."""
    ends = ("weight", "bias") if bias else ("weight",)
    return [Entry(f"{ours}.{end}", (f"{theirs}.{end}",)) for end in ends]


def problems_of(
    entries: Iterable[Entry], state: State, shapes: Mapping[str, Shape], ignored: Sequence[str]
) -> list[str]:
    """All that is wrong with published arrays, by their names and shapes alone.

    shapes: of our parameters.
    """
    entries = list(entries)
    wanted = {name for e in entries for name in e.theirs}
    missing = sorted(wanted - state.keys())
    unknown = sorted(n for n in state.keys() - wanted if not _ends(n, ignored))
    misshapen = []
    for entry in entries:
        if not all(name in state for name in entry.theirs):
            continue
        given = [tuple(state[n].shape) for n in entry.theirs]
        if _joined_shape([s[::-1] if entry.turned else s for s in given]) != shapes[entry.ours]:
            theirs = " + ".join(map(str, given))
            misshapen.append(f"{', '.join(entry.theirs)} {theirs} for {shapes[entry.ours]}")
    lists = (("missing", missing), ("not asked for", unknown), ("of another shape", misshapen))
    return [f"{what}: {_some(names)}" for what, names in lists if names]


def _joined_shape(given: Sequence[Shape]) -> Shape | None:
    """Of arrays one behind the other along the last axis; None where they do not fit."""
    if len({s[:-1] for s in given}) != 1 or not all(given):
        return None
    return (*given[0][:-1], sum(s[-1] for s in given))


def ours_of(entry: Entry, state: State) -> Array:
    """One of our parameters, from published arrays that fit it."""
    parts = [np.asarray(state[n]) for n in entry.theirs]
    parts = [p.T for p in parts] if entry.turned else parts
    return parts[0] if len(parts) == 1 else np.concatenate(parts, -1)


def _ends(name: str, ends: Sequence[str]) -> bool:
    return any(name.startswith(e) or name.endswith(e) for e in ends)


def theirs_of(entries: Iterable[Entry], state: State) -> dict[str, Array]:
    """Published arrays from our parameters."""
    found: dict[str, Array] = {}
    for entry in entries:
        whole = np.asarray(state[entry.ours])
        parts = np.split(whole, np.cumsum(entry.widths)[:-1], -1) if entry.widths else [whole]
        for name, part in zip(entry.theirs, parts, strict=True):
            found[name] = np.ascontiguousarray(part.T if entry.turned else part)
    return found


def _some(names: Sequence[str]) -> str:
    """At most a dozen names, and how many more."""
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return ", ".join(names[:12]) + more
