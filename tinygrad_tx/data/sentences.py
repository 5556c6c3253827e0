"""Sentences of the reference inside Python, in order, in runs that are held out or not as a whole.

Its topics repeat each other's paragraphs: each paragraph is kept once, so that nothing is in both.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pydoc_data.topics import topics

__all__ = ["Run", "sentence_runs"]

PARAGRAPHS = 8  # of a run: long enough for next sentences, short enough for a fair split
END = re.compile(r"(?<=[.!?])\s+(?=[\"“A-Z*])")


@dataclass(frozen=True)
class Run:
    """Sentences that follow one another. topic: where they come from."""

    topic: str
    sentences: tuple[str, ...]
    is_held_out: bool


def sentence_runs(
    texts: Mapping[str, str] = topics, held_out: float = 0.1, limit: int | None = None
) -> list[Run]:
    """Runs of sentences of `texts`, about a share `held_out` of them held out by a hash.

    A paragraph that occurs twice is kept at its first place, and no sentence of a held-out run is
    in one to learn from. limit: at most so many runs.
    """
    seen: set[str] = set()
    found = []
    for topic in sorted(texts):
        kept = []
        for paragraph in re.split(r"\n\s*\n", texts[topic]):
            key = " ".join(paragraph.split()).lower()
            if key and key not in seen:
                seen.add(key)
                kept.append(paragraph)
        for start in range(0, len(kept), PARAGRAPHS):
            some = kept[start : start + PARAGRAPHS]
            sentences = [s for p in some for s in _sentences(p)]
            digest = hashlib.sha256("\n".join(sentences).encode()).hexdigest()
            held = int(digest[:16], 16) < held_out * 2**64
            found.append(Run(topic, tuple(sentences), held))
    return _apart(found[:limit])


def _sentences(paragraph: str) -> list[str]:
    """Of prose its sentences; an indented listing stays whole."""
    flat = " ".join(line for line in paragraph.split("\n") if not _is_rule(line))
    flat = " ".join(flat.split())
    return [s for s in END.split(flat) if any(c.isalnum() for c in s)]


def _is_rule(line: str) -> bool:
    """Whether a line underlines a title."""
    return bool(line.strip()) and set(line.strip()) <= set("*=-~^")


def _apart(runs: list[Run]) -> list[Run]:
    """Held-out runs without sentences that stand in others; runs of one sentence are dropped."""
    learnt = {s.lower() for run in runs if not run.is_held_out for s in run.sentences}
    kept = []
    for run in runs:
        some = run.sentences
        if run.is_held_out:
            some = tuple(s for s in some if s.lower() not in learnt)
        if len(some) > 1:
            kept.append(Run(run.topic, some, run.is_held_out))
    return kept
