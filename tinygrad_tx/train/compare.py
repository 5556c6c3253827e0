"""Several runs side by side: one picture of their losses, one table of what differs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.train.history import History, Unit, history_of, unit_of
from tinygrad_tx.train.run import RunFolder

__all__ = ["Comparison", "compare", "differing"]


@shown_as_table
@dataclass(frozen=True)
class Comparison:
    """Several runs side by side, and what `compare` left of them.

    runs: by name, the lowest held-out loss first. notes: what a reader has to know.
    """

    runs: Mapping[str, History]
    unit: Unit
    notes: tuple[str, ...] = ()

    def table(self) -> Table:
        """A row for each run. Losses in nats for each `unit`."""
        columns = differing(list(self.runs.values()))
        titles = ("best held out", "at step", "last held out", "state", "steps", "seconds")
        rows = [
            (name, *(run.settings.get(c) for c in columns), *_figures(run, self.unit))
            for name, run in self.runs.items()
        ]
        return Table(
            f"{len(self.runs)} runs, losses in nats for each {self.unit.name}",
            ("run", *columns, *titles, "parameters", "tokens/s"),
            tuple(rows),
            self.notes,
        )

    def picture(self, format: str) -> bytes:
        """As "svg" or "png"."""
        # Here, for who only trains does not wait a third of a second for matplotlib.
        from tinygrad_tx.train.curves import curves

        return curves(self.runs, self.unit, format)

    def write(self, path: Path | str) -> None:
        """compare.md, .json, .svg and .png in the folder. Errors: CheckpointError."""
        folder = RunFolder(path)
        folder.create()
        table = self.table()
        for suffix in ("svg", "png"):
            folder.write(folder.path / f"compare.{suffix}", self.picture(suffix))
        whole = json.dumps(table.json(), indent=2, ensure_ascii=False, default=str)
        folder.write(folder.path / "compare.json", whole + "\n")
        page = f"{table.markdown()}\n\n![Losses](compare.svg)\n"
        folder.write(folder.path / "compare.md", page)


def compare(runs: Sequence[Path | str], path: Path | str | None = None) -> Comparison:
    """What the run folders say of their runs; with `path` also written into that folder.

    Runs that were stopped are compared as far as they came. Where tokens differ, losses are given
    for each character, by the tokens that a character of the whole text has. Errors: DataError
    where no folder has a step to show; what is damaged or empty is a note.
    """
    notes: list[str] = []
    found: dict[str, History] = {}
    for name, run in _named([Path(r) for r in runs]).items():
        history = history_of(run)
        notes += history.lines
        if history.rows:
            found[name] = history
        else:
            what = "no finished step" if run.is_dir() else "no run folder"
            notes.append(f"{name}: {what}; left out.")
    if not found:
        said = " ".join(notes).rstrip(".") or "none was given"
        remedy = "give folders that `tinygrad-tx train` made"
        raise DataError(
            explain("compare", f"there is no run to show: {said}"[:2000], remedy=remedy)
        )
    unit = unit_of(list(found.values()))
    comparison = Comparison(_best_first(found, unit), unit, (*notes, *_warnings(found, unit)))
    if path is not None:
        comparison.write(path)
    return comparison


def differing(runs: Sequence[History]) -> list[str]:
    """Names of the settings that are not the same in all runs."""
    names = dict.fromkeys(name for run in runs for name in run.settings)
    return [n for n in names if len({repr(run.settings.get(n)) for run in runs}) > 1]


def _figures(run: History, unit: Unit) -> tuple[Any, ...]:
    factor, best, held = unit.factor(run), run.best, run.held_out
    in_unit = (lambda loss: None) if factor is None else (lambda loss: loss * factor)
    speeds = [r["tokens_per_second"] for r in run.rows if "tokens_per_second" in r]
    return (
        in_unit(best[1]) if best else None,
        best[0] if best else None,
        in_unit(held[-1][1]) if held else None,
        run.state,
        run.rows[-1]["step"],
        run.rows[-1].get("seconds"),
        run.parameters,
        round(float(np.median(speeds))) if speeds else None,
    )


def _best_first(runs: Mapping[str, History], unit: Unit) -> dict[str, History]:
    def loss(name: str) -> float:
        best, factor = runs[name].best, unit.factor(runs[name])
        return float("inf") if best is None or factor is None else best[1] * factor

    return {name: runs[name] for name in sorted(runs, key=loss)}


def _warnings(runs: Mapping[str, History], unit: Unit) -> list[str]:
    """Where losses of these runs do not mean the same."""
    found = []
    if unit.name == "character":
        found.append(
            "The runs have different tokens: losses for each token would not be comparable. They "
            "are given for each character, by the mean number of tokens in one."
        )
        unknown = [name for name, run in runs.items() if run.per_character is None]
        if unknown:
            found.append(
                f"Of {', '.join(unknown)} it is not known how many characters a token has: no "
                "loss is given, and the picture leaves them out."
            )
    if len({run.text for run in runs.values()}) > 1:
        found.append("The runs have different texts: their held-out losses are of different parts.")
    return found


def _named(paths: Sequence[Path]) -> dict[str, Path]:
    """Paths by the shortest ends that tell them apart; one that is given twice counts once."""
    whole = {path.absolute(): path for path in paths}
    for count in range(1, max((len(p.parts) for p in whole), default=0) + 1):
        names = {"/".join(end.parts[-count:]): path for end, path in whole.items()}
        if len(names) == len(whole):
            return names
    return {str(path): path for path in whole.values()}
