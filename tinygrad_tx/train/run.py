"""The run folder: configuration, checkpoint, metrics, pictures, summary.

A checkpoint says its own digest, and the one before it is kept: a flipped bit is found out, and
training then goes on from a little earlier.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from tinygrad_tx.errors import CheckpointError, explain
from tinygrad_tx.files import keep_as, locked, write_whole
from tinygrad_tx.untrusted import opened, parse_json, read_safetensors, read_text

__all__ = ["RunFolder"]

FORMAT, FORMAT_NAME = 1, "tinygrad_tx"
"""Of config.json and of checkpoints ("tinygrad_tx 1" there). Files that say nothing are of 1."""

LONGEST_LINE = 1_000_000
"""Bytes of a row of metrics."""

State = dict[str, np.ndarray[Any, Any]]


class NewerFormatError(CheckpointError):
    """A file of a later version: not damaged, so that nothing stands in for it or replaces it."""


class RunFolder:
    """Names and formats of what a run leaves behind."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.checkpoint = self.path / "checkpoint.safetensors"
        self.previous = self.path / "checkpoint.previous.safetensors"
        self.best = self.path / "best.safetensors"
        self.bad_step = self.path / "bad_step.safetensors"
        self.lock = self.path / ".lock"
        self.config = self.path / "config.json"
        self.tokenizer = self.path / "tokenizer.json"
        self.metrics = self.path / "metrics.jsonl"
        self.summary = self.path / "summary.md"
        self.record = self.path / "record.json"
        self.trial = self.path / "trial.json"
        self.generations = self.path / "generations.jsonl"
        self._is_held = False

    def create(self) -> None:
        """Makes the folder and tries to write. Errors: CheckpointError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            write_whole(self.path / ".probe", "")
            (self.path / ".probe").unlink()
        except OSError as error:
            what = f"cannot be written: {error.strerror}"
            raise CheckpointError(explain(f"run folder {self.path}", what)) from None

    def write(self, path: Path, data: bytes | str) -> None:
        """Errors: CheckpointError; then the file is as it was."""
        try:
            write_whole(path, data)
        except OSError as error:
            what = f"cannot be written: {error.strerror}"
            remedy = "what was saved before is kept; free space or choose another --out"
            raise CheckpointError(explain(str(path), what, remedy=remedy)) from None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other processes from training here; nests. Errors: CheckpointError."""
        if self._is_held:
            yield
            return
        self.create()
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(self.lock))
            except BlockingIOError as error:
                what = f"is being trained by {error}"
                remedy = "wait for its end, or choose another --out"
                raise CheckpointError(
                    explain(f"run folder {self.path}", what, remedy=remedy)
                ) from None
            except OSError as error:
                what = f"cannot be locked: {error.strerror}"
                raise CheckpointError(explain(f"run folder {self.path}", what)) from None
            self._is_held = True
            try:
                yield
            finally:
                self._is_held = False

    def save_checkpoint(self, state: Mapping[str, Any], notes: Mapping[str, str]) -> None:
        """Arrays by name and notes, as safetensors; the one before stays as `previous`."""
        data = sealed(state, notes)
        if self.checkpoint.exists():
            with contextlib.suppress(OSError):  # a spare: the new one matters more
                keep_as(self.checkpoint, self.previous)
        self.write(self.checkpoint, data)

    def load_checkpoint(self) -> tuple[State, dict[str, str]]:
        """The last one, or the one before it where that is damaged: its notes then say so as
        "recovered". Errors: CheckpointError where neither can be read."""
        try:
            return unsealed(self.checkpoint)
        except NewerFormatError:
            raise
        except CheckpointError as error:
            try:
                state, notes = unsealed(self.previous)
            except CheckpointError:
                raise error from None
            what = f"{str(error)[:-1]}; the one before it, of step {notes.get('step')}, is taken"
            return state, {**notes, "recovered": what}

    def save_best(self, state: Mapping[str, Any], notes: Mapping[str, str]) -> None:
        """Weights that did better than any before. Errors: CheckpointError."""
        self.write(self.best, sealed(state, notes))

    def load_weights(self) -> State:
        """What is to be used, by the paths of parameters: the best weights where the run kept
        them, else their average where it made one, else the last ones. Errors: CheckpointError."""
        if self.best.exists():
            state, _ = unsealed(self.best)
        else:
            state, _ = self.load_checkpoint()
            state = part_of(state, "average.weights.") or part_of(state, "model.")
        return state

    def load_bad_step(self) -> tuple[State, dict[str, str]]:
        """Weights, moments and batch of the last step that failed. Errors: CheckpointError."""
        return unsealed(self.bad_step)

    def digest(self) -> str:
        """SHA-256 of the checkpoint file: other weights have another. Errors: CheckpointError."""
        try:
            with opened(self.checkpoint) as (file, _):
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            what = f"cannot be read: {error.strerror}"
            raise CheckpointError(explain(f"checkpoint {self.checkpoint}", what)) from None

    def write_config(self, settings: Mapping[str, Any]) -> None:
        """Errors: CheckpointError."""
        self.write(self.config, json.dumps({"format": FORMAT, **settings}, indent=2) + "\n")

    def read_config(self) -> dict[str, Any]:
        """The settings. Errors: CheckpointError if this is no run folder, or of a later version."""
        try:
            found = parse_json(read_text(self.config))
            if not isinstance(found, dict):
                raise ValueError("it is not an object")
        except OSError as error:
            what = f"is not a run folder: config.json cannot be read: {error.strerror}"
            remedy = "give a folder that `tinygrad-tx train` made"
            raise CheckpointError(explain(str(self.path), what, remedy=remedy)) from None
        except ValueError as error:
            raise CheckpointError(explain(str(self.config), f"is damaged: {error}")) from None
        _check_format(self.config, found.pop("format", FORMAT))
        return found

    def metric_rows(self) -> Iterator[dict[str, Any]]:
        """The rows so far; a line cut short by a crash, or damaged, is left out."""
        return (row for row, _ in self._metric_lines())

    def read_metrics(self) -> list[dict[str, Any]]:
        """All of `metric_rows`."""
        return list(self.metric_rows())

    def cut_metrics(self, step: int) -> None:
        """Takes away the rows behind that of `step`, and a line cut short. Errors: OSError."""
        if self.metrics.exists():
            kept = (end for row, end in self._metric_lines() if row["step"] <= step)
            os.truncate(self.metrics, max(kept, default=0))

    def _metric_lines(self) -> Iterator[tuple[dict[str, Any], int]]:
        """Rows, each with where its line ends in the file."""
        if not self.metrics.exists():
            return
        end = 0
        with opened(self.metrics) as (file, _):
            while line := file.readline(LONGEST_LINE):
                end += len(line)
                with contextlib.suppress(ValueError):
                    row = parse_json(line.decode(errors="replace"))
                    is_whole = line.endswith(b"\n") and isinstance(row, dict)
                    if is_whole and type(row.get("step")) is int:
                        yield row, end


def part_of(state: Mapping[str, Any], prefix: str) -> State:
    """What stands under names that begin with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def sealed(state: Mapping[str, Any], notes: Mapping[str, str]) -> bytes:
    """Arrays by name and notes as a safetensors file with their digest among the notes."""
    # safetensors has no way for 0-d contiguous checks: arrays are made contiguous here.
    arrays = {name: np.ascontiguousarray(a).reshape(np.shape(a)) for name, a in state.items()}
    notes = {"format": f"{FORMAT_NAME} {FORMAT}", **notes}
    return save(arrays, {**notes, "digest": _digest(arrays, notes)})


def unsealed(path: Path) -> tuple[State, dict[str, str]]:
    """What `sealed` wrote. Errors: CheckpointError for a missing or damaged file."""
    try:
        file = read_safetensors(path)
        state = {name: np.asarray(stored) for name, stored in file.arrays.items()}
        notes = dict(file.notes)
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise CheckpointError(explain(f"checkpoint {path}", what)) from None
    except ValueError as error:
        what = f"is damaged: {error}"
        raise CheckpointError(explain(f"checkpoint {path}", what)) from None
    name, _, number = notes.get("format", "").rpartition(" ")
    if name == FORMAT_NAME and number.isdecimal():
        _check_format(path, int(number))
    said = notes.pop("digest", None)
    # Those of version 0.1 have none.
    if said is not None and said != _digest(state, notes):
        what = "is damaged: its digest is not that of its contents"
        raise CheckpointError(explain(f"checkpoint {path}", what))
    notes.pop("format", None)
    return state, notes


def _check_format(path: Path, number: Any) -> None:
    """Errors: NewerFormatError, CheckpointError."""
    if type(number) is not int or number < 1:
        raise CheckpointError(explain(str(path), f"is damaged: its format is {number!r}"))
    if number > FORMAT:
        what = f"is of format {number}, and this version reads formats up to {FORMAT}"
        remedy = "use the version of tinygrad_tx that wrote it, or a later one"
        raise NewerFormatError(explain(str(path), what, remedy=remedy))


def unsealed_bytes(raw: bytes) -> tuple[State, dict[str, str]]:
    """What `sealed` gave in another process of this run."""
    state = load(raw)
    size = struct.unpack("<Q", raw[:8])[0]
    return state, json.loads(raw[8 : 8 + size]).get("__metadata__", {})


def _digest(arrays: Mapping[str, Any], notes: Mapping[str, str]) -> str:
    """SHA-256 of names, shapes, bytes and notes."""
    found = hashlib.sha256(json.dumps(dict(notes), sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"{name} {array.dtype} {array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
