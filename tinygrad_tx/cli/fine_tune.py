"""Fine-tuning: a run that starts from the weights and the tokenizer of another."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinygrad_tx.cli.corpus import Corpus, TokenData, corpus_of, digest_of, held_out_of
from tinygrad_tx.data import Tokenizer
from tinygrad_tx.errors import CheckpointError, DataError, explain
from tinygrad_tx.models import GPT, from_run
from tinygrad_tx.train import Forgetting, RunFolder, held_out_loss, source_name

__all__ = ["Start", "after_training", "check_text", "start_from", "with_parent"]

NAMED = 8  # unknown characters that a message shows


@dataclasses.dataclass(frozen=True)
class Start:
    """What a parent gives to the run that starts from it."""

    folder: RunFolder
    settings: dict[str, Any]
    model: GPT
    units: Tokenizer


def start_from(path: Path, asked: Mapping[str, Any]) -> Start:
    """The parent's model, tokenizer and settings.

    Errors: DataError where `asked` (option -> value, None for not given) has other sizes than the
    parent; CheckpointError for a folder that is no finished run.
    """
    run = RunFolder(path)
    settings = run.read_config()
    model, units = from_run(path)
    own = {**settings["model"], "tokenizer": units.kind, "bpe units": units.vocab_size}
    for name, value in asked.items():
        if value is not None and value != own.get(name):
            what = f"{name} is {value}, but {path} has {own.get(name)}"
            remedy = "leave it out: sizes and tokenizer come with the weights"
            raise DataError(explain("--start-from", what, remedy=remedy))
    return Start(run, settings, model, units)


def check_text(text: Corpus, start: Start, name: str) -> None:
    """Errors: DataError where the parent's tokenizer has no token for some characters, or tokens
    were made by another one."""
    if isinstance(text, TokenData):
        if text.sets[0].tokenizer.to_json() != start.units.to_json():
            remedy = f"prepare it with --tokenizer {start.folder.tokenizer}"
            what = f"has other tokens than {start.folder.path}"
            raise DataError(explain(f"data {text.name}", what, remedy=remedy))
        return
    alphabet = getattr(start.units, "alphabet", None)
    unknown = sorted(set(text) - set(alphabet)) if alphabet is not None else []
    if unknown:
        shown = ", ".join(f"{c!r} (U+{ord(c):04X})" for c in unknown[:NAMED])
        more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
        what = f"{len(unknown)} characters are unknown to {start.folder.path}: {shown}{more}"
        remedy = (
            "leave them out of the text, or train the parent with --tokenizer byte or bpe, which "
            "take any text"
        )
        raise DataError(explain(f"text {name}", what, remedy=remedy))


def with_parent(run: RunFolder, settings: Mapping[str, Any], start: Start) -> dict[str, Any]:
    """The settings with all that the run needs to know of its parent from now on.

    Measures the held-out loss on the parent's corpus, where that is found, before anything is
    learnt; a resumed run then needs the parent no more.
    """
    text, data = start.settings.get("text"), start.settings.get("data")
    try:
        path = os.path.relpath(start.folder.path, run.path)
    except ValueError:  # no way from one drive to another
        path = str(start.folder.path.resolve())
    corpus = _corpus_of(text, data)
    loss = _loss_on(corpus, start.model, start.units, settings)
    parent = {"path": path, "digest": start.folder.digest(), "text": text, "loss": loss}
    parent |= {"data": data} if data else {}
    return {**settings, "parent": parent | {"text_digest": _digest(corpus)}}


def after_training(settings: Mapping[str, Any], model: GPT, units: Tokenizer) -> Forgetting | None:
    """The loss on the parent's corpus before and now; None where it was not found to begin with.

    A corpus that is gone or has changed since gives no loss now. Errors: CheckpointError where
    config.json does not say.
    """
    parent = settings.get("parent")
    if not parent:
        return None
    try:
        text, before, digest = parent["text"], parent["loss"], parent["text_digest"]
    except (KeyError, TypeError) as error:
        raise CheckpointError(explain("config.json", f"has a damaged parent: {error}")) from None
    if before is None:
        return None
    corpus = _corpus_of(text, parent.get("data"))
    is_same = _digest(corpus) == digest
    after = _loss_on(corpus, model, units, settings) if is_same else None
    return Forgetting(source_name(text), before, after)


def _corpus_of(text: str | None, data: Mapping[str, Any] | None) -> Corpus | None:
    """What a run was trained on, or None where it is gone."""
    try:
        return corpus_of(text, data)
    except DataError:
        return None


def _digest(corpus: Corpus | None) -> str | None:
    return None if corpus is None else digest_of(corpus)


def _loss_on(
    corpus: Corpus | None, model: GPT, units: Tokenizer, settings: Mapping[str, Any]
) -> float | None:
    """The held-out loss on a corpus; None where it has changed and no longer fits."""
    if corpus is None:
        return None
    training = settings["training"]
    try:
        windows = held_out_of(corpus, units, training["batch"], model.config.context)
    except DataError:
        return None
    return held_out_loss(model, windows, training["validation_batches"])
