"""A model unfolded into its edges: every reader of the residual stream has an input of its own.

Senders write into the stream (embeddings, heads, feed-forwards), receivers read from it (query, key
and value of each head, feed-forwards, logits). Receiver r reads

    x_r = sum over senders s before it of   what s sends now        if the edge s -> r carries it
                                            what s sent elsewhere   otherwise

through its own copy of the norm (Elhage et al. 2021; the edges of Conmy et al. 2023). With every
edge carried, that is the model. The parts are the model's own: its norms, weights and positions.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.errors import GraphError, PointError, explain
from tinygrad_tx.jit import jit
from tinygrad_tx.models.gpt import GPT
from tinygrad_tx.models.llama import Llama
from tinygrad_tx.reasoning.circuits.metric import Metric, measured
from tinygrad_tx.reasoning.sweep import MEMORY, Chunks
from tinygrad_tx.tensor import (
    Tensor,
    arange,
    as_tensor,
    attention,
    broadcast_to,
    no_grad,
    stack,
)

__all__ = ["Edge", "EdgeRuns", "Wiring", "contributions", "heard", "part_of", "unfolded", "wiring"]

Array = np.ndarray[Any, Any]
Edge = tuple[str, str]
"""A sender and a receiver."""
Read = Callable[[slice, Sequence[Tensor], Tensor | None], Tensor]
"""From the receivers' places, what was sent so far and what no part sends (biases of projections)
to the inputs (batch, receivers, time, width)."""


@dataclass(frozen=True)
class Wiring:
    """The parts of a model and which may hear which.

    senders: tokens, positions (where they are added to the stream), a0.h1 (head 1 of the attention
    of block 0), f0 (the feed-forward of block 0). receivers: a0.h1.query, .key, .value (of grouped
    heads a0.g0.key, one for each group), f0, logits. allowed (receivers, senders): true where the
    sender stands before the receiver.
    """

    senders: tuple[str, ...]
    receivers: tuple[str, ...]
    allowed: Array
    feeds: tuple[tuple[int, ...], ...]
    """For each receiver the senders that are computed from it; none for logits."""

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Every edge, by receiver and then by sender."""
        return tuple((self.senders[s], self.receivers[r]) for r, s in np.argwhere(self.allowed))

    @property
    def groups(self) -> tuple[int, ...]:
        """How many receivers read at a time: those of an attention, a feed-forward, the logits."""
        names = (r.split(".")[0] for r in self.receivers)
        return tuple(len(list(group)) for _, group in itertools.groupby(names))

    def place(self, edge: Edge) -> tuple[int, int]:
        """Row and column of an edge in `allowed`. Errors: PointError."""
        sender, receiver = edge
        row, column = _found(receiver, self.receivers), _found(sender, self.senders)
        if not self.allowed[row, column]:
            what = f"{sender} does not stand before {receiver}"
            raise PointError(explain("edges", what))
        return row, column

    def mask(self, edges: Iterable[Edge]) -> Array:
        """(receivers, senders), true for these edges. Errors: PointError."""
        mask = np.zeros(self.allowed.shape, bool)
        for edge in edges:
            mask[self.place(edge)] = True
        return mask

    def matching(self, pattern: str) -> list[str]:
        """Receivers by name, or all of a head (a1.h0) or of one kind (a1.query). Errors."""
        parts = pattern.split(".")
        hits = [
            r
            for r in self.receivers
            if r == pattern or (r.split(".")[0] == parts[0] and set(parts) <= set(r.split(".")))
        ]
        return hits or [self.receivers[_found(pattern, self.receivers)]]

    def connected(self, mask: Array) -> Array:
        """Those edges of a mask that lie on a way from an embedding to the logits."""
        mask = mask & self.allowed
        heard = np.array([s in ("tokens", "positions") for s in self.senders])
        needed = np.zeros(len(self.senders), bool)
        for row, feeds in enumerate(self.feeds):  # receivers stand in the order of computation
            if (mask[row] & heard).any():
                heard[list(feeds)] = True
        for row in reversed(range(len(self.receivers))):
            if self.receivers[row] == "logits" or needed[list(self.feeds[row])].any():
                needed |= mask[row]
        used = np.array([not f or bool(needed[list(f)].any()) for f in self.feeds])
        found: Array = mask & heard & used[:, None]
        return found


def _found(name: str, names: Sequence[str]) -> int:
    if name not in names:
        near = difflib.get_close_matches(name, names, 3, 0.4) or list(names[:3])
        what = f"no part is called {name!r}"
        raise PointError(explain("edges", what, remedy=f"nearest: {', '.join(near)}"))
    return names.index(name)


def part_of(receiver: str) -> str:
    """The part to which a receiver belongs: a0.h1.query to a0.h1."""
    head, _, kind = receiver.rpartition(".")
    return head if kind in ("query", "key", "value") else receiver


def wiring(model: Any) -> Wiring:
    """The parts of a GPT or Llama. Errors: GraphError for a model whose stream is not a sum."""
    if not isinstance(model, (GPT, Llama)):
        what = f"{type(model).__name__} is no decoder whose blocks add to one residual stream"
        remedy = "edges need a GPT or Llama; activation_patching takes any model"
        raise GraphError(explain("edges", what, remedy=remedy))
    senders = ["tokens", *(["positions"] if isinstance(model, GPT) else [])]
    receivers, before, feeds = [], [], []
    for i, block in enumerate(model.blocks):
        heads, groups = block.attention.heads, block.attention.kv_heads
        letter, each, first = "h" if heads == groups else "g", heads // groups, len(senders)
        for kind in ("query", "key", "value"):
            for h in range(heads if kind == "query" else groups):
                receivers.append(f"a{i}.{'h' if kind == 'query' else letter}{h}.{kind}")
                read = (h,) if kind == "query" else range(h * each, (h + 1) * each)
                feeds.append(tuple(first + j for j in read))
                before.append(first)
        senders += [f"a{i}.h{h}" for h in range(heads)]
        receivers.append(f"f{i}")
        before.append(len(senders))
        feeds.append((len(senders),))
        senders.append(f"f{i}")
    receivers.append("logits")
    before.append(len(senders))
    feeds.append(())
    allowed = np.arange(len(senders)) < np.array(before)[:, None]
    return Wiring(tuple(senders), tuple(receivers), allowed, tuple(feeds))


def unfolded(model: Any, embedded: Tensor, read: Read) -> tuple[Tensor, list[Tensor]]:
    """Logits, and what each sender sent (batch, time, width), where `read` gives the inputs.

    embedded: the tokens' embeddings (batch, time, width). Dropout is left out.
    """
    sent = [embedded]
    if isinstance(model, GPT):
        sent.append(broadcast_to(model.position(arange(embedded.shape[1])), embedded.shape))
    constant: Tensor | None = None
    place = 0
    for block in model.blocks:
        every = block.attention.heads + 2 * block.attention.kv_heads
        x = read(slice(place, place + every), tuple(sent), constant)
        heads = _heads(block.attention, block.attention_norm(x))
        sent += [heads[:, h] for h in range(block.attention.heads)]
        bias = block.attention.projection.bias
        constant = bias if constant is None or bias is None else constant + bias
        x = read(slice(place + every, place + every + 1), tuple(sent), constant)
        sent.append(block.feed_forward(block.feed_forward_norm(x))[:, 0])
        place += every + 1
    x = read(slice(place, place + 1), tuple(sent), constant)
    return model.logits(x[:, 0]), sent


def _heads(part: Any, normed: Tensor) -> Tensor:
    """What each head writes, from an input for each reader (batch, readers, time, width)."""
    batch, every, time, width = normed.shape
    wide, heads, groups = part.head_width, part.heads, part.kv_heads
    weight = part.qkv.weight.reshape((width, every, wide)).permute_dims((1, 0, 2))
    read = normed @ weight  # (batch, every, time, head width)
    if part.qkv.bias is not None:
        read = read + part.qkv.bias.reshape((every, 1, wide))
    q = part.position.turned(read[:, :heads])
    k = part.position.turned(read[:, heads : heads + groups])
    bias, scale = part.position.bias(q, time), part.scale
    v = read[:, heads + groups :]
    context = attention(q, k, v, causal=part.causal, bias=bias, scale=scale)
    result: Tensor = context @ part.projection.weight.reshape((heads, wide, width))
    return result


def heard(where: slice, sent: Sequence[Tensor], constant: Tensor | None) -> Tensor:
    """The inputs of the model as it is: to each receiver the sum of all that was sent."""
    x = sent[0]
    for part in sent[1:]:
        x = x + part
    x = x if constant is None else x + constant
    shape = (x.shape[0], where.stop - where.start, *x.shape[1:])
    return broadcast_to(x.reshape((x.shape[0], 1, *x.shape[1:])), shape)


def contributions(model: Any, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Logits, and what each sender sends (senders, batch, time, width), of the model as it is."""
    logits, sent = unfolded(model, model.embedding(tokens), heard)
    return logits, stack(sent)


class EdgeRuns:
    """Runs of a model in which some edges carry what their senders send, and the others what these
    sent elsewhere; many side by side in the batch of one compiled program.

    tokens (prompts, time). other (senders, prompts, time, width): what comes in the place of what
    an edge does not carry. memory: bytes; the number of runs at a time follows from it.
    """

    def __init__(
        self,
        model: Any,
        tokens: Array,
        other: Array,
        metric: Metric,
        *,
        memory: int = MEMORY,
        on_plan: Callable[[Chunks], None] | None = None,
        on_chunk: Callable[[int, int], None] | None = None,
    ) -> None:
        self.wiring, self.tokens, self.other = wiring(model), tokens, as_tensor(other)
        self.memory, self.on_plan, self.on_chunk = memory, on_plan, on_chunk
        self._step = jit(lambda *args: _step(model, metric, *args))
        self._each = 0

    def __call__(self, carried: Sequence[Array]) -> Array:
        """The metric (runs, prompts), for masks (receivers, senders) of the edges that carry."""
        if not len(carried):
            return np.zeros((0, len(self.tokens)))
        runs = self._runs(len(carried))
        if self.on_plan is not None:
            self.on_plan(Chunks(len(carried), runs, runs * self._each))
        found: list[Array] = []
        for first in range(0, len(carried), runs):
            part = list(carried[first : first + runs])
            part += [part[-1]] * (runs - len(part))
            found += list(self._step(*self._arguments(part)).numpy().reshape((runs, -1)))
            if self.on_chunk is not None:
                self.on_chunk(min(first + runs, len(carried)), len(carried))
        return np.array(found[: len(carried)])

    def _runs(self, wanted: int) -> int:
        """Runs at a time: a power of four, so that few programs are compiled."""
        if not self._each:
            one = [self.wiring.allowed]
            self._each = max(1, self._step.plan(*self._arguments(one)).peak_bytes)
        runs = 1
        while runs < wanted and 4 * runs * self._each <= self.memory:
            runs *= 4
        return runs

    def _arguments(self, part: Sequence[Array]) -> tuple[Any, ...]:
        rows = np.repeat(np.asarray(part, self.other.dtype), len(self.tokens), 0)
        return np.tile(self.tokens, (len(part), 1)), self.other, rows


def _step(model: Any, metric: Metric, tokens: Tensor, other: Tensor, carried: Tensor) -> Tensor:
    """The metric of each row. carried: (rows, receivers, senders)."""
    (senders, prompts, time, width), rows = other.shape, tokens.shape[0]
    wide = (senders, rows // prompts, prompts, time, width)
    given = broadcast_to(other.reshape((senders, 1, prompts, time, width)), wide)
    given = given.reshape((senders, rows, time, width))
    differences: list[Tensor] = []

    def read(where: slice, sent: Sequence[Tensor], constant: Tensor | None) -> Tensor:
        count = len(sent)
        differences.extend(sent[s] - given[s] for s in range(len(differences), count))
        flat = stack(differences, axis=1).reshape((rows, count, time * width))
        change = carried[:, where, :count] @ flat  # (rows, receivers, time x width)
        base = given[:count].sum(axis=0).reshape((rows, 1, time, width))
        base = base if constant is None else base + constant
        return base + change.reshape((rows, -1, time, width))

    with no_grad():
        return measured(metric, unfolded(model, model.embedding(tokens), read)[0])
