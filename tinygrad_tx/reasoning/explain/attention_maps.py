"""Attention maps: where every head looks, and two ways to follow attention through the layers.

Rollout and flow: Abnar and Zuidema 2020, sections 3.1 and 3.2. What they are not: an explanation of
the output. A head's weights say from where it reads, not what, nor whether anyone uses it; other
weights can give the same output (Jain and Wallace 2019), though not from a model trained to give
both (Wiegreffe and Pinter 2019). Check with interventions what a map suggests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tinygrad_tx.errors import IndexRangeError, PointError, ShapeError, explain
from tinygrad_tx.reasoning.explain.max_flow import max_flow
from tinygrad_tx.reasoning.explain.pictures import heat_map
from tinygrad_tx.reasoning.explain.stream import arrays_of, at_rest, finite, listed
from tinygrad_tx.reasoning.explain.words import Decodes, words_of
from tinygrad_tx.reasoning.look import Model, capture
from tinygrad_tx.reasoning.point import matching
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tensor import no_grad

__all__ = [
    "AttentionPatterns",
    "Followed",
    "attention_flow",
    "attention_patterns",
    "attention_rollout",
]

Array = np.ndarray[Any, Any]
LIMITS = (
    "Attention says from where a head reads, not what it reads nor what becomes of it.",
    "Other weights can give the same output (Jain and Wallace 2019); whether that matters depends"
    " on what is asked (Wiegreffe and Pinter 2019). Check by intervening.",
)
FOLLOWED = (
    "Heads are averaged; half of each layer's flow is the residual path, whatever the norms are.",
    "Values, projections and feed-forward networks are left out.",
)


@shown_as_table
@dataclass(frozen=True)
class AttentionPatterns:
    """The weights of all heads: patterns[path] is (batch, heads, queries, keys), rows sum to 1.

    queries, keys: the tokens along them, (batch, time), for each path.
    """

    patterns: dict[str, Array]
    queries: dict[str, Array]
    keys: dict[str, Array]
    tokenizer: Decodes | None = None

    def __getitem__(self, path: str) -> Array:
        if path not in self.patterns:
            matching([path], self.patterns)  # raises, and offers the nearest
        return self.patterns[path]

    def table(self, example: int = 0) -> Table:
        """For each head how spread its weights are, how far back it looks, and at what mostly."""
        rows = []
        for path, pattern in self.patterns.items():
            words = words_of(self.keys[path][example], self.tokenizer)
            is_self = path.rpartition(".")[0].endswith(".attention")
            for head, weights in enumerate(pattern[example].astype(np.float64)):
                spread = float(-(weights * np.log(np.maximum(weights, 1e-300))).sum(-1).mean())
                queries, keys = weights.shape
                back = np.arange(queries)[:, None] - np.arange(keys)
                distance = float((weights * np.abs(back)).sum(-1).mean()) if is_self else None
                most = int(weights.mean(0).argmax())
                share = float(weights[:, most].mean())
                rows.append((path, head, spread, distance, f"{most} {words[most]}", share))
        columns = ("pattern", "head", "entropy", "mean distance", "most weight on", "share")
        return Table("Attention of each head", columns, tuple(rows), LIMITS)

    def picture(self, path: str, head: int, example: int = 0) -> Figure:
        """One head: queries by keys. Errors: PointError, IndexRangeError."""
        pattern = self[path][example]
        if not -len(pattern) <= head < len(pattern):
            what = f"head {head} is not among the {len(pattern)} of {path}"
            raise IndexRangeError(explain("AttentionPatterns", what))
        # The first query stands at the top.
        return heat_map(
            pattern[head][::-1], words_of(self.queries[path][example], self.tokenizer)[::-1],
            words_of(self.keys[path][example], self.tokenizer), title=f"{path}, head {head}",
            label="weight",
        )  # fmt: skip


@shown_as_table
@dataclass(frozen=True)
class Followed:
    """Attention followed down to the first layer: shares (batch, outputs, inputs), rows sum to 1.

    positions: of the outputs. raw: before rows were made to sum to 1.
    """

    method: str
    shares: Array
    raw: Array
    positions: tuple[int, ...]
    tokens: Array
    notes: tuple[str, ...] = (*FOLLOWED, *LIMITS)
    tokenizer: Decodes | None = None

    def table(self, example: int = 0, output: int = -1) -> Table:
        """The shares of the inputs in one output, largest first."""
        shares = self.shares[example, output]
        words = words_of(self.tokens[example], self.tokenizer)
        order = np.argsort(-shares, kind="stable")
        rows = tuple((int(i), words[i], float(shares[i])) for i in order)
        title = f"{self.method} of position {self.positions[output]}"
        return Table(title, ("position", "token", "share"), rows, self.notes)

    def picture(self, example: int = 0) -> Figure:
        """Outputs by inputs, the first output at the top."""
        words = words_of(self.tokens[example], self.tokenizer)
        return heat_map(
            self.shares[example][::-1], [words[p] for p in self.positions][::-1], words,
            title=self.method, label="share",
        )  # fmt: skip


def attention_patterns(
    model: Model, inputs: Any, at: str = "*.pattern", *, tokenizer: Decodes | None = None
) -> AttentionPatterns:
    """The weights of every head of every layer: of an encoder, of a decoder, and between both.

    at: paths or a glob, as "decoder.*.cross_attention.pattern". A query that sees no key has zeros.
    Limits: see above. Errors: PointError for a model that does not attend; NonFiniteError.
    """
    arrays = arrays_of(inputs)
    with at_rest(model), no_grad():
        found = {p: np.asarray(v.numpy()) for p, v in capture(model, arrays, at).items()}
    for path, value in found.items():
        finite(value, path)
    sides = len(arrays) > 1 and any(path.startswith("decoder.") for path in found)
    written, read = (arrays[1], arrays[0]) if sides else (arrays[0], arrays[0])
    queries = {p: written if p.startswith("decoder.") else arrays[0] for p in found}
    keys = {p: read if "cross_attention" in p else queries[p] for p in found}
    return AttentionPatterns(found, queries, keys, tokenizer)


def attention_rollout(
    model: Model, inputs: Any, *, side: str | None = None, tokenizer: Decodes | None = None
) -> Followed:
    """How much of each input reaches each output if attention were all that mixes tokens.

        A_l = (mean over heads + I) / 2, rows made to sum to 1;  rollout = A_L ... A_1

    side: "encoder" or "decoder" of a model with both; the decoder, and there its self-attention
    alone, if not given. Limits: see `Followed.notes`. Errors: PointError, NonFiniteError.
    Source: Abnar and Zuidema 2020, section 3.1.
    """
    layers, tokens = _mixing(model, inputs, side)
    shares = layers[0]
    for layer in layers[1:]:
        shares = layer @ shares
    positions = tuple(range(shares.shape[1]))
    return Followed("Attention rollout", shares, shares, positions, tokens, tokenizer=tokenizer)


def attention_flow(
    model: Model,
    inputs: Any,
    positions: Sequence[int] = (-1,),
    *,
    side: str | None = None,
    tokenizer: Decodes | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Followed:
    """How much can flow from each output to each input if the weights were capacities of pipes.

    The layers are a network: an edge from token i after layer l to token j before it holds
    A_l[i, j] of `attention_rollout`. For each output and input, the maximum flow between the two
    alone. positions: of the outputs. Cost: outputs x inputs flows; on_progress: flows done, of all.
    Limits: as rollout; early inputs of a causal model get more, because more ways lead there.
    Errors: IndexRangeError, PointError. Source: Abnar and Zuidema 2020, section 3.2.
    """
    layers, tokens = _mixing(model, inputs, side)
    batch, time, _ = layers[0].shape
    bad = [p for p in positions if not -time <= p < time]
    if bad:
        what = f"positions {bad} are not within the {time} tokens"
        raise IndexRangeError(explain("attention_flow", what))
    chosen = tuple(p % time for p in positions)
    raw = np.zeros((batch, len(chosen), time))
    done, every = 0, batch * len(chosen) * time
    for example in range(batch):
        capacity = network([layer[example] for layer in layers])
        for row, position in enumerate(chosen):
            source = len(layers) * time + position
            for token in range(time):
                raw[example, row, token] = max_flow(capacity, source, token)
                done += 1
                if on_progress is not None:
                    on_progress(done, every)
    shares = raw / np.maximum(raw.sum(-1, keepdims=True), 1e-300)
    return Followed("Attention flow", shares, raw, chosen, tokens, tokenizer=tokenizer)


def network(layers: Sequence[Array]) -> Array:
    """Capacities between all (layer, token): token j before layer l is node l x time + j."""
    time = layers[0].shape[0]
    size = (len(layers) + 1) * time
    capacity = np.zeros((size, size))
    for i, layer in enumerate(layers):
        rows = slice((i + 1) * time, (i + 2) * time)
        capacity[rows, i * time : (i + 1) * time] = layer
    return capacity


def _mixing(model: Model, inputs: Any, side: str | None) -> tuple[list[Array], Array]:
    """A_l of each layer, (batch, time, time), and the tokens."""
    arrays = arrays_of(inputs)
    paths = [p for p in listed(model, arrays) if p.endswith(".attention.pattern")]
    sides = sorted({p.partition("blocks.")[0] for p in paths})
    if side is not None:
        paths = [p for p in paths if p.startswith(f"{side}.")]
    elif len(sides) > 1:
        paths = [p for p in paths if p.startswith("decoder.")]
    if not paths:
        where = f" of {side}" if side else ""
        known = ", ".join(s.rstrip(".") or "the whole model" for s in sides) or "none"
        what = f"no self-attention{where} is here"
        raise PointError(explain("attention_rollout", what, remedy=f"sides that attend: {known}"))
    found = attention_patterns(model, arrays)
    layers = []
    for path in paths:
        mean = found[path].mean(1, dtype=np.float64)
        if mean.shape[1] != mean.shape[2]:
            what = f"{path} has {mean.shape[1]} queries and {mean.shape[2]} keys"
            raise ShapeError(explain("attention_rollout", what, remedy="leave out the prefix"))
        mixed = 0.5 * mean + 0.5 * np.eye(mean.shape[1])
        layers.append(mixed / mixed.sum(-1, keepdims=True))
    return layers, found.queries[paths[0]]
