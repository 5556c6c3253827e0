"""The texts that a run has written lately: `generations.jsonl` in its folder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tinygrad_tx.files import write_whole
from tinygrad_tx.train.run import RunFolder
from tinygrad_tx.untrusted import parse_json, read_bytes

__all__ = ["KEPT", "Generation", "generations_of", "note_generation"]

KEPT = 20
"""The last so many stay in the file."""


@dataclass(frozen=True)
class Generation:
    """A text that a run wrote, with what it was asked.

    output: the new text alone. settings: tokens, temperature, top_k, top_p, seed.
    """

    prompt: str
    output: str
    settings: Mapping[str, Any]


def note_generation(run: RunFolder, generation: Generation) -> None:
    """Adds one to the file, which is written whole. Errors: OSError."""
    rows = [*generations_of(run), generation][-KEPT:]
    lines = (json.dumps(dataclasses.asdict(row), ensure_ascii=False) for row in rows)
    write_whole(run.generations, "".join(f"{line}\n" for line in lines))


def generations_of(run: RunFolder) -> list[Generation]:
    """The last ones, oldest first; lines that cannot be read are left out."""
    found = []
    try:
        # Only "\n" ends a line here: json keeps others, as U+2028, inside a text.
        lines = read_bytes(run.generations).decode(errors="replace").split("\n")
    except OSError:
        return []
    for line in lines:
        try:
            row = parse_json(line)
            prompt, output, settings = row["prompt"], row["output"], row["settings"]
        except (ValueError, KeyError, TypeError):
            continue
        if isinstance(prompt, str) and isinstance(output, str) and isinstance(settings, dict):
            found.append(Generation(prompt, output, settings))
    return found[-KEPT:]
