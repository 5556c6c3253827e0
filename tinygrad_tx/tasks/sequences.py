"""Sequence to sequence: arrays for teacher forcing, and what a trained model writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_tx.data import Examples
from tinygrad_tx.data.units import CLS, PAD, SEP
from tinygrad_tx.models import EncoderDecoder

__all__ = ["START", "STOP", "padded", "pairs", "write", "write_with_beams"]

Array = np.ndarray[Any, Any]
START, STOP = CLS, SEP
NONE = -100


def padded(rows: Sequence[Sequence[int]], time: int, fill: int = PAD) -> Array:
    """(rows, time), cut and filled up on the right."""
    found = np.full((len(rows), time), fill, np.int64)
    for i, row in enumerate(rows):
        found[i, : min(len(row), time)] = row[:time]
    return found


def pairs(
    sources: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    times: tuple[int, int],
    batch: int,
    seed: int,
) -> Examples:
    """Batches for `EncoderDecoder.loss`. times: of source and target, which hold START and STOP."""
    source = padded(sources, times[0])
    given = padded([[START, *t] for t in targets], times[1])
    asked = padded([[*t, STOP] for t in targets], times[1], NONE)
    return Examples([source, given, asked, source != PAD], batch, seed)


def write(
    model: EncoderDecoder, sources: Sequence[Sequence[int]], most: int, batch: int = 256
) -> list[list[int]]:
    """The likeliest token each time, up to `most` or the end, for each source."""
    model.eval()
    found: list[list[int]] = []
    for start in range(0, len(sources), batch):
        some = sources[start : start + batch]
        found += model.generate_batch(some, most, start=START, stop=(STOP,))
    return found


def write_with_beams(
    model: EncoderDecoder, sources: Sequence[Sequence[int]], most: int, beams: int
) -> list[list[int]]:
    """The best text that a beam search finds, one source after another."""
    model.eval()
    return [
        list(model.generate(source, most, start=START, beams=beams, stop=(STOP,)))
        for source in sources
    ]
