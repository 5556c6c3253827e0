"""The outcome of a task as files: JSON for programs, a summary, and the results table for docs."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinygrad_tx.errors import CheckpointError, explain
from tinygrad_tx.tasks.task import Figure, Outcome, Row
from tinygrad_tx.train import RunFolder
from tinygrad_tx.untrusted import parse_json, read_text
from tinygrad_tx.viz.picture import duration

__all__ = ["details", "markdown", "read_outcome", "results", "write_outcome"]

TITLES = ("task", "metric", "baseline", "score", "trained", "minutes", "command")


def write_outcome(run: RunFolder, outcome: Outcome, picture: str = "figure.svg") -> None:
    """outcome.json and summary.md in the run folder. Errors: CheckpointError."""
    fields = dataclasses.asdict(outcome)
    run.write(run.path / "outcome.json", json.dumps(fields, indent=2, ensure_ascii=False) + "\n")
    run.write(run.summary, _summary(outcome, picture))


def read_outcome(path: Path) -> Outcome:
    """What `write_outcome` wrote. Errors: CheckpointError."""
    try:
        found: dict[str, Any] = parse_json(read_text(path))
        rows = tuple(
            Row(
                **{
                    **row,
                    "score": Figure(**row["score"]),
                    "more": tuple((k, v) for k, v in row["more"]),
                }
            )
            for row in found.pop("rows")
        )
        figures = {k: Figure(**found[k]) for k in ("baseline", "score")}
        outcome = Outcome(**(found | figures | {"rows": rows, "notes": tuple(found["notes"])}))
        _check_types(outcome)
        return outcome
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise CheckpointError(explain(str(path), what)) from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(explain(str(path), f"is no outcome of a task: {error}")) from None


def _check_types(value: Any) -> None:
    """Errors: ValueError for a field that is of another type than it is declared to be."""
    hints = typing.get_type_hints(type(value))
    for name, found in vars(value).items():
        hint = typing.get_origin(hints[name]) or hints[name]
        fits = type(found) in ((int, float) if hint is float else (hint,))
        if not fits:
            raise ValueError(f"{name} is {found!r}, not a {hint.__name__}")
        for part in found if isinstance(found, tuple) else (found,):
            if dataclasses.is_dataclass(part):
                _check_types(part)
            elif isinstance(found, tuple) and not _are_texts(part):
                raise ValueError(f"{name} holds {part!r}, which is no text")


def _are_texts(part: Any) -> bool:
    return all(isinstance(p, str) for p in (part if isinstance(part, tuple) else (part,)))


def results(outcomes: Sequence[Outcome]) -> str:
    """The results table, one line a task."""
    lines = [
        (
            o.name,
            o.metric,
            f"{o.baseline_name}: {o.baseline.text(o.percent)}",
            o.score.text(o.percent),
            f"{o.trained:,}",
            f"{o.seconds / 60:.1f}",
            f"`{o.command}`",
        )
        for o in outcomes
    ]
    return markdown(TITLES, lines)


def markdown(titles: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    rows = [titles, ["---"] * len(titles), *lines]
    return "".join("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |\n" for row in rows)


def details(outcome: Outcome) -> str:
    """The rows behind an outcome."""
    more = list(dict.fromkeys(title for row in outcome.rows for title, _ in row.more))
    lines = []
    for row in outcome.rows:
        given = dict(row.more)
        trained = f"{row.trained:,}" if row.trained else "none"
        cells = [row.method, row.score.text(outcome.percent), *(given.get(t, "") for t in more)]
        lines.append([*cells, trained, f"{row.seconds:.0f}"])
    return markdown(["method", outcome.metric, *more, "parameters trained", "seconds"], lines)


def _summary(outcome: Outcome, picture: str) -> str:
    notes = "".join(f"- {note}\n" for note in outcome.notes)
    warning = "A quick run: it shows that all works; its figures mean nothing.\n\n"
    return f"""# {outcome.name}

{outcome.what}

{warning if outcome.quick else ""}{outcome.metric}: **{outcome.score.text(outcome.percent)}**, \
against {outcome.baseline.text(outcome.percent)} for {outcome.baseline_name}. In brackets: 95 % \
intervals, by bootstrap. The whole task took {duration(outcome.seconds)}.

Data: {outcome.data}

{details(outcome)}
![{outcome.name}]({picture})

{notes}
Made by: `{outcome.command}`
"""
