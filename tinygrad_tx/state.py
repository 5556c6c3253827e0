"""States by name: what is wrong with one that is to be loaded, in few words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_tx.errors import ArgumentError, CheckpointError, explain
from tinygrad_tx.shapes import Shape

__all__ = ["check_state"]

SHOWN = 4
"""Names of each kind in a message."""


def check_state(what: str, own: Mapping[str, Shape], state: Any) -> None:
    """Names and shapes must be those of `own`. Errors: CheckpointError, ArgumentError."""
    if not isinstance(state, Mapping):
        remedy = "give a mapping from names to arrays, as state_dict() returns"
        if isinstance(state, str):
            remedy = "read the file first, as safetensors.numpy.load_file(path) does"
        problem = f"a {type(state).__name__} is no state"
        raise ArgumentError(explain(what, problem, remedy=remedy))
    missing = [n for n in own if n not in state]
    unknown = [n for n in state if n not in own]
    wrong = [
        f"{n} {tuple(np.shape(state[n]))}, not {own[n]}"
        for n in own
        if n in state and tuple(np.shape(state[n])) != own[n]
    ]
    parts = [
        f"{word} {_few(names)}"
        for word, names in (("missing", missing), ("unknown", unknown), ("other shapes", wrong))
        if names
    ]
    if parts:
        remedy = _remedy(missing, unknown)
        raise CheckpointError(explain(what, "; ".join(parts), remedy=remedy))


def _few(names: Sequence[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _remedy(missing: Sequence[str], unknown: Sequence[str]) -> str:
    if missing and unknown and unknown[0].endswith(missing[0]):
        prefix = unknown[0].removesuffix(missing[0])
        if sorted(unknown) == sorted(prefix + n for n in missing):
            return (
                f"take {prefix!r} off: {{n.removeprefix({prefix!r}): a for n, a in state.items()}}"
            )
    return "make it with the settings of the one that was saved"
