"""A run's metrics as an event file, which TensorBoard reads.

metrics.jsonl is the truth: whenever a run goes on, a new event file begins with its rows and takes
the place of the old one, so that no step stands twice, whatever instant the run was killed at.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_tx.errors import CheckpointError, DataError, explain
from tinygrad_tx.train.progress import Progress
from tinygrad_tx.train.run import RunFolder

__all__ = ["TensorBoard"]

TAGS = {
    "loss": "loss/training",
    "validation": "loss/held_out",
    "learning_rate": "optimizer/learning_rate",
    "gradient_norm": "optimizer/gradient_norm",
    "tokens_per_second": "speed/tokens_per_second",
}
SUFFIX = ".tinygrad_tx"


class TensorBoard:
    """Writes `events.out.tfevents.*` into the run folder; `on_step` is for `fit`.

    Needs tensorboardX, the extra `tensorboard`. Errors: DataError where that is not installed;
    CheckpointError for what cannot be written, from all methods.
    """

    def __init__(self, run: RunFolder) -> None:
        try:
            from tensorboardX import record_writer, summary
            from tensorboardX.proto import event_pb2, summary_pb2
        except ImportError as error:
            remedy = "pip install 'tinygrad-tx[tensorboard]'"
            what = f"tensorboardX cannot be imported: {error}"
            raise DataError(explain("--tensorboard", what, remedy=remedy)) from None
        self._run, self._make = run, summary
        self._events, self._summaries = event_pb2, summary_pb2
        self._open_file = record_writer.RecordWriter
        self._file: Any = None
        self._step = 0

    def __enter__(self) -> TensorBoard:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def on_step(self, progress: Progress) -> None:
        """Its figures. A step that is not the next one, after a resume or a rollback, begins a
        new file out of metrics.jsonl, where `fit` has noted it already."""
        if self._file is None or progress.step != self._step + 1:
            self._begin()
        else:
            self._add_row(vars(progress), time.time())
        if progress.validation is not None:
            self._flush()

    def text(self, name: str, text: str) -> None:
        """Text, shown as it stands, at the last step."""
        quoted = "\n".join(f"    {line}" for line in text.splitlines())
        self._add_summary(self._make.text(name, quoted))

    def image(self, name: str, pixels: np.ndarray[Any, Any]) -> None:
        """pixels: (height, width, 3 or 4) of uint8, or of floats in [0, 1]."""
        self._add_summary(self._make.image(name, pixels, dataformats="HWC"))

    def close(self) -> None:
        """The file is whole; what comes later would begin another."""
        if self._file is not None:
            self._flush()
            self._file.close()
            self._file = None

    def _begin(self) -> None:
        """A new file with all rows so far. Its name says its turn, not the time: clocks jump."""
        self.close()
        old = sorted(self._run.path.glob(f"events.out.tfevents.*{SUFFIX}"))
        turn = max((int(n) for p in old if (n := p.name.split(".")[3]).isdigit()), default=0) + 1
        path = self._run.path / f"events.out.tfevents.{turn:010d}{SUFFIX}"
        rows = self._run.read_metrics()
        now, last = time.time(), rows[-1].get("seconds", 0.0) if rows else 0.0
        self._step = 0
        try:
            self._file = self._open_file(str(path.absolute()))  # "a:b" alone names a scheme there
            self._write(self._events.Event(wall_time=now - last, file_version="brain.Event:2"))
            # A TensorBoard that is looking on forgets what it read from the old file.
            start = self._events.SessionLog(status=self._events.SessionLog.START)
            self._write(self._events.Event(wall_time=now - last, step=0, session_log=start))
            for row in rows:
                self._add_row(row, now - last + row.get("seconds", last))
            self._flush()
            for before in old:
                before.unlink(missing_ok=True)
        except OSError as error:
            raise self._failed(error) from None

    def _add_row(self, row: Mapping[str, Any], at: float) -> None:
        kind = self._summaries.Summary
        values = [
            kind.Value(tag=tag, simple_value=row[key])
            for key, tag in TAGS.items()
            if isinstance(row.get(key), (int, float))
        ]
        self._step = row["step"]
        self._add(kind(value=values), at)

    def _add_summary(self, summary: Any) -> None:
        if self._file is None:
            self._begin()
        self._add(summary, time.time())
        self._flush()

    def _add(self, summary: Any, at: float) -> None:
        self._write(self._events.Event(wall_time=at, step=self._step, summary=summary))

    def _write(self, event: Any) -> None:
        try:
            self._file.write(event.SerializeToString())
        except OSError as error:
            raise self._failed(error) from None

    def _flush(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error: OSError) -> CheckpointError:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()
        what = f"cannot be written: {error.strerror}"
        remedy = "what was saved before is kept; free space, or leave --tensorboard out"
        return CheckpointError(explain(f"event file in {self._run.path}", what, remedy=remedy))
