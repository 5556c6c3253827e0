"""Entry: one parameter here, and the arrays it is made of in a published file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.shapes import Shape

__all__ = ["Entry", "Family", "linear", "norm", "ours_of", "theirs_of"]

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
    or ends of names that hold nothing of their own (masks, tied weights).
    """

    model_type: str
    sizes: Callable[[Mapping[str, Any]], dict[str, Any]]
    settings: Callable[[Any], dict[str, Any]]
    entries: Callable[[Any], list[Entry]]
    prefixes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


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


def ours_of(
    entries: Iterable[Entry], state: State, shapes: Mapping[str, Shape], ignored: Sequence[str]
) -> tuple[dict[str, Array], list[str]]:
    """Our parameters from published arrays, and all that is wrong with these.

    shapes: of our parameters.
    """
    entries = list(entries)
    wanted = {name for e in entries for name in e.theirs}
    missing = sorted(wanted - state.keys())
    unknown = sorted(n for n in state.keys() - wanted if not _ends(n, ignored))
    found: dict[str, Array] = {}
    misshapen = []
    for entry in entries:
        if not all(name in state for name in entry.theirs):
            continue
        parts = [np.asarray(state[n]).T if entry.turned else state[n] for n in entry.theirs]
        given = [p.shape for p in parts]
        if len({s[:-1] for s in given}) == 1 and all(given):
            found[entry.ours] = parts[0] if len(parts) == 1 else np.concatenate(parts, -1)
        if entry.ours not in found or found[entry.ours].shape != shapes[entry.ours]:
            theirs = " + ".join(str(np.shape(state[n])) for n in entry.theirs)
            misshapen.append(f"{', '.join(entry.theirs)} {theirs} for {shapes[entry.ours]}")
    lists = (("missing", missing), ("not asked for", unknown), ("of another shape", misshapen))
    return found, [f"{what}: {_some(names)}" for what, names in lists if names]


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
