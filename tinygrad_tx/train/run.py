"""The run folder: configuration, checkpoint, metrics, pictures, summary."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from tinygrad_tx.errors import CheckpointError, explain
from tinygrad_tx.files import write_whole

__all__ = ["RunFolder"]

State = dict[str, np.ndarray[Any, Any]]


class RunFolder:
    """Names and formats of what a run leaves behind."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.checkpoint = self.path / "checkpoint.safetensors"
        self.config = self.path / "config.json"
        self.tokenizer = self.path / "tokenizer.json"
        self.metrics = self.path / "metrics.jsonl"
        self.summary = self.path / "summary.md"
        self.record = self.path / "record.json"
        self.generations = self.path / "generations.jsonl"

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

    def save_checkpoint(self, state: Mapping[str, Any], notes: Mapping[str, str]) -> None:
        """Arrays by name and notes, as safetensors."""
        # safetensors has no way for 0-d contiguous checks: arrays are made contiguous here.
        arrays = {name: np.ascontiguousarray(a).reshape(np.shape(a)) for name, a in state.items()}
        self.write(self.checkpoint, save(arrays, dict(notes)))

    def load_checkpoint(self) -> tuple[State, dict[str, str]]:
        """Errors: CheckpointError for a missing or damaged file."""
        try:
            raw = self.checkpoint.read_bytes()
            state = load(raw)
            size = struct.unpack("<Q", raw[:8])[0]
            notes = json.loads(raw[8 : 8 + size]).get("__metadata__", {})
        except OSError as error:
            what = f"cannot be read: {error.strerror}"
            raise CheckpointError(explain(f"checkpoint {self.checkpoint}", what)) from None
        except (SafetensorError, ValueError, struct.error) as error:
            what = f"is damaged: {error}"
            raise CheckpointError(explain(f"checkpoint {self.checkpoint}", what)) from None
        return state, notes

    def digest(self) -> str:
        """SHA-256 of the checkpoint file: other weights have another. Errors: CheckpointError."""
        try:
            return hashlib.sha256(self.checkpoint.read_bytes()).hexdigest()
        except OSError as error:
            what = f"cannot be read: {error.strerror}"
            raise CheckpointError(explain(f"checkpoint {self.checkpoint}", what)) from None

    def read_config(self) -> dict[str, Any]:
        """Errors: CheckpointError if this is no run folder."""
        try:
            found = json.loads(self.config.read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise ValueError("it is not an object")
        except OSError as error:
            what = f"is not a run folder: config.json cannot be read: {error.strerror}"
            remedy = "give a folder that `tinygrad-tx train` made"
            raise CheckpointError(explain(str(self.path), what, remedy=remedy)) from None
        except ValueError as error:
            raise CheckpointError(explain(str(self.config), f"is damaged: {error}")) from None
        return found

    def read_metrics(self) -> list[dict[str, Any]]:
        """The rows so far; a line cut short by a crash is left out."""
        rows = []
        if self.metrics.exists():
            for line in self.metrics.read_text(encoding="utf-8").splitlines():
                try:
                    rows.append(json.loads(line))
                except ValueError:
                    continue
        return rows
