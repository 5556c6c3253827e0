"""Lens: what each layer would say if the head read it.

    logit lens:  head(h_l)                   nostalgebraist 2020, "interpreting GPT: the logit lens"
    tuned lens:  head(h_l + h_l A_l + b_l)   Belrose et al. 2023, equation 8; see tuned_lens.py

The head is the graph between the stream's last point and the logits (final norm and unembedding;
for BERT the masked-word head), so that the last layer of a lens says what the model says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from matplotlib.figure import Figure

from tinygrad_tx.errors import ShapeError, explain
from tinygrad_tx.reasoning.explain.pictures import heat_map
from tinygrad_tx.reasoning.explain.stream import (
    arrays_of,
    at_rest,
    finite,
    head_of,
    listed,
    stream_of,
)
from tinygrad_tx.reasoning.explain.target import tokens_at
from tinygrad_tx.reasoning.explain.words import Decodes, word_of, words_of
from tinygrad_tx.reasoning.look import Model, capture
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tensor import no_grad

__all__ = ["Lens", "Translator", "divergences", "log_probabilities", "logit_lens"]

Array = np.ndarray[Any, Any]
MOST_SHOWN = 24  # positions of a picture
LIMITS = (
    "A layer that the head cannot read need not know nothing: it may write in other directions.",
    "What a lens reads out of a layer need not be what later layers use.",
)


class Translator(Protocol):
    """What a lens does to a layer before the head reads it."""

    def translated(self, path: str, residual: Array) -> Array: ...


@shown_as_table
@dataclass(frozen=True)
class Lens:
    """What the head reads in each layer. KL and entropy in nats; a rank of 1 is the likeliest.

    Shapes: tokens (batch, time); top_tokens and top_probabilities (layers, batch, time, words);
    entropy, divergence (KL from the layer's words to the final ones), probability and rank (of the
    asked tokens) (layers, batch, time). logits (layers, batch, time, vocab) if they were kept.
    """

    layers: tuple[str, ...]
    paths: tuple[str, ...]
    tokens: Array
    asked: Array
    """The token whose rank and probability are followed, (batch, time)."""
    top_tokens: Array
    top_probabilities: Array
    entropy: Array
    divergence: Array
    probability: Array
    rank: Array
    logits: Array | None
    method: str
    tokenizer: Decodes | None = None

    def table(self, example: int = 0, position: int = -1) -> Table:
        """A row for each layer, at one position of one example."""
        at = (slice(None), example, position)
        asked = word_of(int(self.asked[example, position]), self.tokenizer)
        rows = [
            (name, ", ".join(words_of(top, self.tokenizer)), *(float(x) for x in figures))
            for name, top, *figures in zip(
                self.layers,
                self.top_tokens[at],
                self.top_probabilities[at][:, 0],
                self.rank[at],
                self.probability[at],
                self.entropy[at],
                self.divergence[at],
                strict=True,
            )
        ]
        rows = [(*row[:3], int(row[3]), *row[4:]) for row in rows]
        follows = word_of(int(self.tokens[example, position]), self.tokenizer)
        title = f"{self.method} at {position}, on {follows!r}"
        columns = (
            "layer", "words", "probability", f"rank of {asked!r}", f"probability of {asked!r}",
            "entropy", "KL to the final",
        )  # fmt: skip
        return Table(title, columns, tuple(rows), LIMITS)

    def picture(
        self, example: int = 0, of: str = "probability", positions: Sequence[int] | None = None
    ) -> Figure:
        """Layers by positions, with the likeliest word in each cell.

        of: what colours say: "probability" of that word, "entropy" or "divergence". positions:
        those shown; the last MOST_SHOWN if not given.
        """
        known = {
            "probability": (self.top_probabilities[..., 0], "probability of the word shown"),
            "entropy": (self.entropy, "entropy (nats)"),
            "divergence": (self.divergence, "KL to the final words (nats)"),
        }
        if of not in known:
            raise ValueError(explain("Lens", f"of is {of!r}, not one of {', '.join(known)}"))
        cells, label = known[of]
        shown = self.tokens[example]
        time = len(shown)
        places = list(range(time))[-MOST_SHOWN:] if positions is None else [*positions]
        words = [words_of(row[places], self.tokenizer) for row in self.top_tokens[:, example, :, 0]]
        of_all = "" if len(places) == time else f", {len(places)} of {time} positions"
        return heat_map(
            cells[:, example][:, places], self.layers, words_of(shown[places], self.tokenizer),
            words=words, title=f"{self.method}: the likeliest word in each layer{of_all}",
            label=label,
        )  # fmt: skip


def logit_lens(
    model: Model,
    inputs: Any,
    *,
    token: Any = None,
    words: int = 5,
    parts: bool = False,
    keep_logits: bool = False,
    translator: Translator | None = None,
    tokenizer: Decodes | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Lens:
    """What the head would say to each layer of the residual stream, at every position.

    For models that give logits (batch, time, vocab): GPT, Llama, BERT (words at masked places), an
    encoder-decoder (the decoder's stream). token: whose rank and probability are followed: one, or
    (batch, time); the final likeliest ones if not given. words: how many of the likeliest are kept.
    parts: also between attention and feed-forward. translator: a TunedLens. on_progress: layers
    done, of all.
    Cost: one forward pass, and the head once for each layer; one layer's logits in memory.
    Limits: the logit lens supposes that all layers write in the directions that the head reads,
    which holds worse in early layers and for post-norm models. Errors: PointError, ShapeError,
    IndexRangeError, NonFiniteError.
    Source: nostalgebraist 2020; with a translator Belrose et al. 2023.
    """
    arrays = arrays_of(inputs)
    stream = stream_of(listed(model, arrays))
    paths = stream.residuals if parts else stream.blocks()
    with at_rest(model):
        with no_grad():
            found = capture(model, arrays, paths)
        head = head_of(model, stream.last)
        logits = np.asarray(found.output.numpy()) if hasattr(found.output, "numpy") else None
        if logits is None or logits.ndim != 3:
            what = f"the model gives {getattr(found.output, 'shape', 'no tensor')}"
            remedy = "a lens needs logits (batch, time, vocab)"
            raise ShapeError(explain("logit_lens", what, remedy=remedy))
        final = log_probabilities(finite(logits, "logits"))
        asked = tokens_at(token, final, "logit_lens")
        rows, kept = [], []
        for done, path in enumerate(paths, 1):
            residual = finite(np.asarray(found[path].numpy()), path)
            if translator is not None:
                residual = translator.translated(path, residual)
            here = head(residual, *arrays).numpy()
            rows.append(_figures(log_probabilities(here), final, asked, words))
            if keep_logits:
                kept.append(np.array(here))
            if on_progress is not None:
                on_progress(done, len(paths))
    top, likeliest, entropy, divergence, probability, rank = map(np.stack, zip(*rows, strict=True))
    return Lens(
        layers=tuple(map(stream.name, paths)),
        paths=paths,
        tokens=stream.tokens(arrays),
        asked=asked,
        top_tokens=top,
        top_probabilities=likeliest,
        entropy=entropy,
        divergence=divergence,
        probability=probability,
        rank=rank,
        logits=np.stack(kept) if kept else None,
        method="logit lens" if translator is None else "tuned lens",
        tokenizer=tokenizer,
    )


def log_probabilities(logits: Array) -> Array:
    """log softmax over the last axis, in float64."""
    x: Array = np.asarray(logits, np.float64)
    x = x - x.max(-1, keepdims=True)
    found: Array = x - np.log(np.exp(x).sum(-1, keepdims=True))
    return found


def divergences(final: Array, here: Array) -> Array:
    """KL(final || here) = sum_v p(v) (log p(v) - log q(v)), in nats, of log-probabilities."""
    found: Array = (np.exp(final) * (final - here)).sum(-1)
    at_least: Array = np.maximum(found, 0.0)  # rounding alone can take it below
    return at_least


def _figures(here: Array, final: Array, asked: Array, words: int) -> Sequence[Array]:
    """Top tokens, their probabilities, entropy, KL, the asked tokens' probability and rank."""
    count = max(1, min(words, here.shape[-1]))
    some = np.argpartition(here, -count, axis=-1)[..., -count:]
    order = np.argsort(-np.take_along_axis(here, some, -1), axis=-1, kind="stable")
    top = np.take_along_axis(some, order, -1)
    own = np.take_along_axis(here, asked[..., None], -1)
    entropy = -(np.exp(here) * here).sum(-1)
    rank = (here > own).sum(-1) + 1
    likeliest = np.exp(np.take_along_axis(here, top, -1))
    return top, likeliest, entropy, divergences(final, here), np.exp(own[..., 0]), rank
