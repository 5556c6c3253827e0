"""Defects of a model in one call: what is not finite, fails, misleads, or was memorised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.reasoning.audits.memorised import Memorised, Row, memorised
from tinygrad_tx.reasoning.audits.not_finite import NotFinite, not_finite
from tinygrad_tx.reasoning.audits.shortcuts import Shortcuts, shortcut_tokens
from tinygrad_tx.reasoning.audits.slices import Classify, Slices, classified_by, failing_slices
from tinygrad_tx.table import Table, shown_as_table

__all__ = ["Defects", "defects"]

Array = np.ndarray[Any, Any]


@shown_as_table
@dataclass(frozen=True)
class Defects:
    """What was looked for; None for what was not. Each part has a table of its own."""

    finite: NotFinite
    slices: Slices | None = None
    shortcuts: Shortcuts | None = None
    memory: Memorised | None = None
    notes: tuple[str, ...] = ()

    def table(self) -> Table:
        """A line for each defect found, the worst first in each kind."""
        rows: list[tuple[Any, ...]] = []
        if not self.finite.is_finite:
            rows.append(("not finite", self.finite.text(), None, None))
        if self.slices is not None:
            rows += [
                ("failing slice", f"{s.name}: error {s.inside:.3g}, elsewhere {s.outside:.3g}",
                 s.count, s.adjusted)
                for s in self.slices.failing()
            ]  # fmt: skip
        if self.shortcuts is not None:
            rows += [
                ("shortcut", f"{t.name} leads to class {t.leads_to}, by {t.moved.value:.2g} nats",
                 t.count, t.adjusted)
                for t in self.shortcuts.misleading()
            ]  # fmt: skip
        gap = None if self.memory is None else self.memory.gap
        if self.memory is not None and gap is not None and gap.low > 0:
            what = f"{gap.value:.2%} of training texts are completed beyond held-out ones"
            rows.append(("memorised", what, len(self.memory.extracted), self.memory.p))
        if self.memory is not None and self.memory.beyond:
            most, few = self.memory.most, self.memory.beyond
            what = (
                f"a text costs a reference {few[0].excess:.3g} nats more, held-out ones {most:.3g}"
            )
            rows.append(("memorised", what, len(few), None))
        columns = ("defect", "what", "examples", "p")
        note = "Nothing found is not nothing there: only what is listed above was looked for."
        return Table("Defects", columns, tuple(rows), (*self.notes, note))

    def tables(self) -> tuple[Table, ...]:
        """The summary, then each part whole."""
        parts = (self.finite, self.slices, self.shortcuts, self.memory)
        return (self.table(), *(p.table() for p in parts if p is not None))

    def json(self) -> dict[str, Any]:
        parts = {"finite": self.finite, "slices": self.slices, "shortcuts": self.shortcuts,
                 "memory": self.memory}  # fmt: skip
        found = {n: None if p is None else p.json() for n, p in parts.items()}
        return {"summary": self.table().json(), **found}


def defects(
    model: Any,
    *,
    inputs: Sequence[Any] = (),
    tokens: Array | None = None,
    labels: Sequence[int] | Array | None = None,
    classify: Classify | None = None,
    names: Callable[[int], str] = str,
    train: Sequence[Row] | None = None,
    held_out: Sequence[Row] = (),
    prefix: int = 4,
    reference: Any = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Defects:
    """Looks for what the arguments allow.

    Always: values that are not finite, on `inputs` or the model's own example. With tokens and
    labels (held-out examples of a classifier): failing slices and shortcuts; classify: how it is
    asked, `classified_by(model)` if not given. With train and held_out (texts as tokens of a causal
    model): memorised text after `prefix` tokens; reference: as in `memorised`. on_progress gets
    (parts done, all). A model whose values are not finite is looked at no further.
    Errors: DataError.
    """
    asks_labels, asks_memory = tokens is not None, train is not None
    if asks_labels != (labels is not None):
        what = "tokens without labels" if asks_labels else "labels without tokens"
        raise DataError(explain("defects", what, remedy="give both, or none"))
    every, done = 1 + 2 * asks_labels + asks_memory, 0

    def step() -> None:
        nonlocal done
        done += 1
        if on_progress is not None:
            on_progress(done, every)

    if hasattr(model, "eval"):
        model.eval()
    finite = not_finite(model, *inputs)
    step()
    if not finite.is_finite:
        return Defects(finite, notes=("Not finite: nothing else was looked for.",))
    slices = shortcuts = memory = None
    if tokens is not None and labels is not None:
        ask = classify or classified_by(model)
        slices = failing_slices(ask, tokens, labels, names)
        step()
        shortcuts = shortcut_tokens(ask, tokens, labels, names)
        step()
    if train is not None:
        memory = memorised(model, train, held_out, prefix, reference)
        step()
    return Defects(finite, slices, shortcuts, memory)
