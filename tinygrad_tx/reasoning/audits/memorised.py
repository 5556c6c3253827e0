"""Memorised training text: what a model goes on with word for word, and secrets it prefers.

extracted: the likeliest token after a prefix is the true one, at each place to the end
exposure of a secret s among candidates R: log2 |R| - log2 rank(s)       Carlini et al. 2019
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import DataError, explain
from tinygrad_tx.reasoning.audits.statistics import difference_of_shares, fisher, wilson
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tasks.predict import predict
from tinygrad_tx.tasks.task import Figure
from tinygrad_tx.tensor import Tensor, argmax, cross_entropy

__all__ = ["Extracted", "Memorised", "memorised"]

Array = np.ndarray[Any, Any]
Row = Sequence[int] | Array
LEAST = 20


@dataclass(frozen=True)
class Extracted:
    """A training text that the model completes. copies: how often it is in the training text.
    surprise: nats the model needs for the continuation; reference: what another model needs."""

    tokens: tuple[int, ...]
    copies: int
    surprise: float
    reference: float | None = None

    @property
    def excess(self) -> float:
        """How much more the other model needs: what this one knows of this text alone."""
        return 0.0 if self.reference is None else self.reference - self.surprise


@shown_as_table
@dataclass(frozen=True)
class Memorised:
    """How much of its training texts a model goes on with word for word.

    train, held_out: shares of texts completed exactly. gap: their difference, None where a part
    is too small. extracted: each different training text that is completed, the one first that a
    reference model would be most surprised by, else the most repeated.
    """

    prefix: int
    train: Figure
    held_out: Figure | None
    gap: Figure | None
    p: float | None
    extracted: tuple[Extracted, ...]
    note: str = ""
    most: float | None = None
    """The largest excess of a held-out text, where there is a reference."""

    @property
    def beyond(self) -> tuple[Extracted, ...]:
        """Texts completed that the reference model is more surprised by, against this one, than by
        any held-out text. Of m texts and n held-out ones m / (n + 1) are so by chance, narrowly."""
        return tuple(e for e in self.extracted if self.most is not None and e.excess > self.most)

    def table(self, decode: Callable[[Sequence[int]], str] = str, most: int = 20) -> Table:
        rows = tuple(
            (decode(e.tokens), e.copies, e.surprise, e.reference) for e in self.extracted[:most]
        )
        columns = ("text", "copies", "nats", "nats of reference")
        notes = [f"completed of the training texts: {self.train.text()}"]
        if self.held_out is not None:
            notes.append(
                f"of held-out ones: {self.held_out.text()}: what can be guessed, not known"
            )
        if self.gap is not None:
            notes.append(f"difference: {self.gap.text()}, p {self.p:.2g}")
        if self.most is not None:
            notes.append(f"held-out texts cost the reference at most {self.most:.2f} nats more")
        title = f"Training texts completed after {self.prefix} tokens"
        return Table(title, columns, rows, (*notes, *filter(None, [self.note])))

    def json(self) -> dict[str, Any]:
        shares = {"train": self.train, "held_out": self.held_out, "gap": self.gap}
        figures = {n: None if f is None else [f.value, f.low, f.high] for n, f in shares.items()}
        rows = [{"tokens": list(e.tokens), "copies": e.copies, "nats": e.surprise,
                 "reference": e.reference}
                for e in self.extracted]  # fmt: skip
        return {"prefix": self.prefix, **figures, "p": self.p, "extracted": rows, "note": self.note,
                "most": self.most}  # fmt: skip


def memorised(
    model: Any,
    train: Sequence[Row],
    held_out: Sequence[Row],
    prefix: int,
    reference: Any = None,
    batch: int = 64,
) -> Memorised:
    """Which training texts a causal model completes exactly from their first `prefix` tokens.

    train, held_out: texts as tokens, without padding. Writing the likeliest token each time gives
    the true continuation exactly if it is the likeliest after each true beginning, so that one pass
    over the texts is enough. A continuation that follows from the language or from a fact is
    completed too: the share of held-out texts says how many such there are, and only what is beyond
    it is memory. reference: a model of the same vocabulary that has not read these texts; what it
    finds likely as well comes last. Errors: DataError for texts that leave nothing to complete, or
    are too long. Source: Carlini et al. 2021 (extraction; other models as reference), 2023
    (definition 3.1, extractable with k tokens).
    """
    parts = [_rows(part, prefix, model) for part in (train, held_out)]
    if not parts[0]:
        raise DataError(explain("memorised", f"no training text beyond {prefix} tokens"))
    copies = Counter(parts[0])
    (known, nats), (others, held_nats) = (
        _completed(model, p, prefix, batch) for p in (list(copies), parts[1])
    )
    by_text = dict(zip(copies, known, strict=True))
    right = sum(by_text[t] for t in parts[0])
    texts = [t for t in copies if by_text[t]]
    other = None if reference is None else _completed(reference, texts, prefix, batch)[1]
    cost = dict(zip(copies, nats.tolist(), strict=True))
    found = [
        Extracted(t, copies[t], cost[t], None if other is None else float(other[i]))
        for i, t in enumerate(texts)
    ]
    found.sort(key=lambda e: (-e.excess, -e.copies, e.surprise))
    share = wilson(right, len(parts[0]))
    if len(parts[1]) < LEAST:
        note = f"{len(parts[1])} held-out texts: too few to say what can be guessed"
        return Memorised(prefix, share, None, None, None, tuple(found), note)
    most = None
    if reference is not None:
        most = float((_completed(reference, parts[1], prefix, batch)[1] - held_nats).max())
    count, rest, guessed = len(parts[0]), len(parts[1]), int(others.sum())
    return Memorised(
        prefix, share, wilson(guessed, rest), difference_of_shares(right, count, guessed, rest),
        fisher(right, count, guessed, rest), tuple(found), "", most,
    )  # fmt: skip


def _rows(texts: Sequence[Row], prefix: int, model: Any) -> list[tuple[int, ...]]:
    if prefix < 1:
        raise DataError(explain("memorised", f"prefix is {prefix}", remedy="give at least 1"))
    rows = [tuple(int(t) for t in text) for text in texts]
    longest, context = max(map(len, rows), default=0), int(model.config.context)
    if longest > context + 1:
        what = f"a text of {longest} tokens in a context of {context}"
        raise DataError(explain("memorised", what, remedy="cut the texts into windows"))
    return [r for r in rows if len(r) > prefix]


def _completed(
    model: Any, texts: Sequence[tuple[int, ...]], prefix: int, batch: int
) -> tuple[Array, Array]:
    """For each text whether it is completed, and how many nats that costs: (texts,) each."""
    if not texts:
        return np.zeros(0, bool), np.zeros(0)
    time = max(map(len, texts)) - 1
    tokens, targets = np.zeros((len(texts), time), np.int64), np.full((len(texts), time), -100)
    for i, text in enumerate(texts):
        tokens[i, : len(text) - 1] = text[:-1]
        targets[i, prefix - 1 : len(text) - 1] = text[prefix:]

    def likeliest(tokens: Tensor, asked: Tensor) -> Tensor:
        return argmax(model(tokens), -1)

    def surprise(tokens: Tensor, asked: Tensor) -> Tensor:
        return cross_entropy(model(tokens), asked, reduction="none")

    said = predict(model, likeliest, (tokens, targets), batch)
    nats = predict(model, surprise, (tokens, targets), batch).astype(np.float64).sum(1)
    if not np.isfinite(nats).all():
        what = f"the model's probabilities of {int((~np.isfinite(nats)).sum())} texts are none"
        raise DataError(
            explain("memorised", what, remedy="find where by not_finite(model, inputs)")
        )
    return ((said == targets) | (targets < 0)).all(1), nats
