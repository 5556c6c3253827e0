"""The record of a run: what was trained on what, from which parent, with which result.

`record.json` stands in the run folder. Folders that have none (older ones, or after a crash) give
as much as their config.json and metrics.jsonl say.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinygrad_tx.errors import CheckpointError, explain
from tinygrad_tx.train.run import RunFolder
from tinygrad_tx.untrusted import parse_json, read_text

__all__ = [
    "FINE_TUNING",
    "PRETRAINING",
    "Ancestor",
    "CorpusFacts",
    "Forgetting",
    "ModelFacts",
    "Parent",
    "Record",
    "ancestors",
    "read_record",
    "source_name",
    "write_record",
]

PRETRAINING, FINE_TUNING = "pretraining", "fine-tuning"
DEFAULT_SOURCE = "Python's language reference"


@dataclass(frozen=True)
class CorpusFacts:
    """The text: characters, tokens, and how many of those were held out. None: not recorded."""

    name: str
    characters: int | None = None
    tokens: int | None = None
    held_out: int | None = None


@dataclass(frozen=True)
class ModelFacts:
    """What a model is, as far as its kind says so: sizes in tokens, units and numbers."""

    kind: str
    layers: int | None = None
    width: int | None = None
    context: int | None = None
    vocabulary: int | None = None
    parameters: int | None = None


@dataclass(frozen=True)
class Parent:
    """The run that gave the weights. path: from the run folder. digest: of its checkpoint then."""

    path: str
    digest: str


@dataclass(frozen=True)
class Forgetting:
    """Held-out loss on the parent's corpus with the parent's weights and with the new ones."""

    corpus: str
    before: float
    after: float | None = None


@dataclass(frozen=True)
class Record:
    """Losses in nats for each held-out token; before: at step 0. tokens: seen in training."""

    kind: str
    corpus: CorpusFacts
    model: ModelFacts
    steps: int
    tokens: int | None = None
    seconds: float | None = None
    loss_before: float | None = None
    loss_best: float | None = None
    loss: float | None = None
    baseline: float | None = None
    interrupted: bool = False
    parent: Parent | None = None
    forgetting: Forgetting | None = None

    def __post_init__(self) -> None:
        if self.kind not in (PRETRAINING, FINE_TUNING):
            raise ValueError(f"kind {self.kind!r} is not {PRETRAINING} or {FINE_TUNING}")
        if (self.parent is not None) != (self.kind == FINE_TUNING):
            raise ValueError(
                f"{self.kind} {'without a' if self.parent is None else 'with a'} parent"
            )


@dataclass(frozen=True)
class Ancestor:
    """A run in the history of another. record: None where its folder is not found."""

    path: Path
    record: Record | None
    has_changed: bool = False
    """Whether its checkpoint is no longer the one that its child started from."""


def write_record(run: RunFolder, record: Record) -> None:
    """Writes record.json whole. Errors: CheckpointError; then the old one stands."""
    fields = _finite(dataclasses.asdict(record))
    run.write(run.record, json.dumps(fields, indent=2, ensure_ascii=False) + "\n")


def read_record(run: RunFolder) -> Record:
    """The record of a run folder, or what an older folder says.

    Errors: CheckpointError for a folder of something else, or a damaged record.
    """
    try:
        text = read_text(run.record)
    except FileNotFoundError:
        return _from_settings(run)
    except OSError as error:
        raise CheckpointError(
            explain(str(run.record), f"cannot be read: {error.strerror}")
        ) from None
    except ValueError as error:
        raise _damaged(run.record, error) from None
    try:
        found: Record = _checked(Record, parse_json(text), "")
    except ValueError as error:
        raise _damaged(run.record, error) from None
    return found


def ancestors(path: Path | str) -> list[Ancestor]:
    """The run and those it came from, the oldest first, as far as their folders are found.

    Errors: CheckpointError for the run itself and for damaged records; a parent that is no longer
    where it was stands in the list without a record.
    """
    run = RunFolder(path)
    found = [Ancestor(run.path, read_record(run))]
    seen = {run.path.resolve()}
    while (record := found[-1].record) is not None and record.parent is not None:
        place = found[-1].path / record.parent.path
        if place.resolve() in seen:
            what = f"names {record.parent.path} as its parent, which came from it"
            raise CheckpointError(explain(str(found[-1].path), what, remedy="correct record.json"))
        seen.add(place.resolve())
        parent = RunFolder(place)
        if not parent.config.exists():
            found.append(Ancestor(place, None))
            break
        is_there = parent.checkpoint.exists()
        changed = not is_there or parent.digest() != record.parent.digest
        found.append(Ancestor(place, read_record(parent), changed))
    return found[::-1]


def source_name(text: str | None) -> str:
    """What a corpus is called: the file's name, or the text inside Python."""
    return Path(text).name if text else DEFAULT_SOURCE


def _from_settings(run: RunFolder) -> Record:
    settings, rows = run.read_config(), run.read_metrics()
    try:
        model, training = settings["model"], settings["training"]
        facts = {f: model.get(f) for f in ("layers", "width", "context")}
        losses = [r["validation"] for r in rows if "validation" in r]
        steps = rows[-1]["step"] if rows else 0
        each = training["batch"] * model["context"]
        parent = settings.get("parent")
        fields = {
            "kind": FINE_TUNING if parent else PRETRAINING,
            "corpus": {"name": source_name(settings.get("text"))} | settings.get("corpus", {}),
            "model": {
                "kind": settings.get("family", "GPT"),
                "vocabulary": model.get("vocab_size"),
                **facts,
            },
            "steps": steps,
            "tokens": steps * each,
            "seconds": sum(each / r["tokens_per_second"] for r in rows) if rows else None,
            "loss_best": min(losses, default=None),
            "loss": losses[-1] if losses else None,
            "interrupted": steps < training["steps"],
            "parent": {k: parent[k] for k in ("path", "digest")} if parent else None,
        }
        found: Record = _checked(Record, _finite(fields), "")
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise _damaged(run.config, error, "restore it") from None
    return found


def _damaged(
    path: Path,
    error: Exception,
    remedy: str = "delete it: config.json and metrics.jsonl then stand in",
) -> CheckpointError:
    reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return CheckpointError(explain(str(path), f"is damaged: {reason}", remedy=remedy))


def _finite(value: Any) -> Any:
    """The nest with None for numbers that JSON has no word for."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _checked(kind: type[Any], value: Any, where: str) -> Any:
    """`value` out of JSON as the dataclass `kind`. Errors: ValueError names the field."""
    if not isinstance(value, dict):
        raise ValueError(f"{where or 'it'} is not an object")
    hints, fields = typing.get_type_hints(kind), dataclasses.fields(kind)
    unknown = value.keys() - hints.keys()
    if unknown:
        raise ValueError(f"{where}{min(unknown)} is not known")
    needed = {f.name for f in fields if f.default is dataclasses.MISSING}
    if needed - value.keys():
        raise ValueError(f"{where}{min(needed - value.keys())} is missing")
    return kind(**{k: _checked_field(hints[k], v, f"{where}{k}") for k, v in value.items()})


def _checked_field(hint: Any, value: Any, where: str) -> Any:
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        hint = hint.__args__[0]
    if dataclasses.is_dataclass(hint):
        return _checked(typing.cast(type[Any], hint), value, f"{where}.")
    allowed = (int, float) if hint is float else (hint,)
    is_number = hint in (int, float)
    if not isinstance(value, allowed) or (is_number and isinstance(value, bool)):
        raise ValueError(f"{where} is {value!r}, not a {hint.__name__}")
    if is_number and not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{where} is {value!r}, not a finite number of at least 0")
    return value
