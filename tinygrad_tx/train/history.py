"""What a run folder says of its run: whole, stopped, damaged or hardly begun."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from tinygrad_tx.errors import CheckpointError
from tinygrad_tx.train.record import read_record, source_name
from tinygrad_tx.train.run import RunFolder
from tinygrad_tx.untrusted import parse_json, read_bytes, read_safetensors, read_text

__all__ = ["History", "Unit", "history_of", "unit_of"]

TOLD_ELSEWHERE = ("corpus", "tensorboard", "vocab_size")
"""Parts of config.json that are no choice of settings: facts of the text, a way of looking."""


@dataclass(frozen=True)
class History:
    """All that is known of one run, read off its folder in whatever state it is.

    settings: by their plain names. rows: of metrics.jsonl, one a step, in order; each has
    `step` and `loss`, and `tokens`, `seconds`, `validation` where known.

    tokenizer: a digest of it. per_character: tokens for each character of the text. state: how
    far it came. lines: what could not be read. None: not known.
    """

    path: Path
    settings: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    state: str = ""
    text: str = ""
    tokenizer: str | None = None
    per_character: float | None = None
    parameters: int | None = None
    lines: tuple[str, ...] = ()

    @property
    def held_out(self) -> list[tuple[int, float]]:
        """Steps with their held-out losses, in nats for each token."""
        return [(r["step"], r["validation"]) for r in self.rows if "validation" in r]

    @property
    def best(self) -> tuple[int, float] | None:
        """The step with the lowest held-out loss, and that loss."""
        return min(self.held_out, key=lambda p: (p[1], p[0]), default=None)


@dataclass(frozen=True)
class Unit:
    """What losses of several runs are counted for: "token", or "character" where tokens differ."""

    name: str

    def factor(self, run: History) -> float | None:
        """From nats for each token to nats for each of these; None where that is not known."""
        return 1.0 if self.name == "token" else run.per_character


def unit_of(runs: Sequence[History]) -> Unit:
    """Tokens where all runs have the same ones, as far as is known."""
    known = {r.tokenizer for r in runs if r.tokenizer is not None}
    return Unit("token" if len(known) < 2 else "character")


def history_of(path: Path | str) -> History:
    """What can be read of the run folder at `path`; what cannot becomes a line."""
    run, lines = RunFolder(path), []
    settings: dict[str, Any] = {}
    if run.config.exists():
        try:
            settings = run.read_config()
        except CheckpointError as error:
            lines.append(str(error))
    elif run.trial.exists():
        settings = _of_trial(run)
    facts, state, parameters = settings.get("corpus"), "", None
    try:
        rows = _rows(run, _tokens_a_step(settings))
    except (OSError, ValueError) as error:
        rows = []
        lines.append(f"{run.metrics} cannot be read: {error}")
    if run.record.exists():
        try:
            record = read_record(run)
            facts, parameters = vars(record.corpus), record.model.parameters
            state = "interrupted" if record.interrupted else "finished"
        except CheckpointError as error:
            lines.append(str(error))
    last, asked = rows[-1]["step"] if rows else 0, _section(settings, "training").get("steps")
    if state != "finished" and isinstance(asked, int):
        state = "finished" if last >= asked else f"stopped at step {last} of {asked}"
    return History(
        path=run.path,
        settings=_flat(settings, run),
        rows=rows,
        state=state or f"at step {last}",
        text=str(settings.get("text")),
        tokenizer=_digest(run),
        per_character=_per_character(facts),
        parameters=_parameters(run) if parameters is None else parameters,
        lines=tuple(lines),
    )


def _of_trial(run: RunFolder) -> dict[str, Any]:
    """Where a search trained something that keeps no config.json."""
    try:
        found = parse_json(read_text(run.trial))["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _section(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = settings.get(name)
    return found if isinstance(found, dict) else {}


def _tokens_a_step(settings: Mapping[str, Any]) -> int | None:
    """For rows of older folders, which do not say."""
    training, model = _section(settings, "training"), _section(settings, "model")
    sizes = (training.get("batch"), training.get("accumulate", 1), model.get("context"))
    return math.prod(sizes) if all(isinstance(s, int) for s in sizes) else None


def _rows(run: RunFolder, each: int | None) -> list[dict[str, Any]]:
    """One row a step, the last one that says it; what is no number is as if it were not there."""
    found: dict[int, dict[str, Any]] = {}
    for row in run.read_metrics():
        plain = {k: v for k, v in row.items() if _is_number(v)}
        step = plain.get("step")
        if isinstance(step, int) and step > 0 and "loss" in plain:
            found[step] = plain
    rows, seconds = [found[step] for step in sorted(found)], 0.0
    for row in rows:
        if "tokens" not in row and each is not None:
            row["tokens"] = row["step"] * each
        if "seconds" not in row and each is not None and row.get("tokens_per_second"):
            seconds += each / row["tokens_per_second"]
            row["seconds"] = seconds
    return rows


def _is_number(value: Any) -> TypeGuard[float]:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= sys.float_info.max  # neither NaN nor infinite, nor a whole number beyond


def _flat(settings: Mapping[str, Any], run: RunFolder) -> dict[str, Any]:
    """Settings by their plain names; sections are opened."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict) and name in ("model", "training"):
            found |= value
        elif name == "text":
            found["text"] = source_name(str(value) if value else None)
        elif name == "parent":
            found["parent"] = value.get("path") if isinstance(value, dict) else value
        elif name not in TOLD_ELSEWHERE:
            found[name] = value
    found = {k: v for k, v in found.items() if k not in TOLD_ELSEWHERE}
    if run.tokenizer.exists():
        try:
            units = parse_json(read_text(run.tokenizer))
            size = _section(settings, "model").get("vocab_size")
            found["tokenizer"] = f"{units['kind']} {size}"
        except (OSError, ValueError, KeyError, TypeError):
            found["tokenizer"] = "cannot be read"
    return found


def _digest(run: RunFolder) -> str | None:
    try:
        return hashlib.sha256(read_bytes(run.tokenizer)).hexdigest()
    except OSError:
        return None


def _per_character(facts: Any) -> float | None:
    """Of the whole text: how many characters its held-out part has, no record says."""
    if not isinstance(facts, dict):
        return None
    tokens, characters = facts.get("tokens"), facts.get("characters")
    if not (_is_number(tokens) and _is_number(characters)) or min(tokens, characters) <= 0:
        return None
    return float(tokens / characters)


def _parameters(run: RunFolder) -> int | None:
    """Counted in the head of the checkpoint."""
    try:
        arrays = read_safetensors(run.checkpoint).arrays
        return sum(math.prod(a.shape) for n, a in arrays.items() if n.startswith("model.")) or None
    except (OSError, ValueError):
        return None
