"""Direct logit attribution: a logit as the sum of what every part writes into the residual stream.

With what each norm divides by kept as it is, the way from a part's output along the stream to a
logit is linear, so that a logit is exactly

    sum over parts p of  g . p(x)  +  what the biases behind the stream add,   g = d logit / d p

where g goes along the stream alone: what later attention and feed-forwards make of p is theirs
(Elhage et al. 2021, "A mathematical framework for transformer circuits"; Wang et al. 2023).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tinygrad_tx.errors import PointError, ShapeError, explain
from tinygrad_tx.jit import jit
from tinygrad_tx.nn import Linear, Module
from tinygrad_tx.reasoning.change import replace, zero
from tinygrad_tx.reasoning.explain.pictures import heat_map
from tinygrad_tx.reasoning.explain.stream import (
    Stream,
    arrays_of,
    at_rest,
    finite,
    listed,
    stream_of,
)
from tinygrad_tx.reasoning.explain.target import tokens_at
from tinygrad_tx.reasoning.explain.words import Decodes, word_of, words_of
from tinygrad_tx.reasoning.look import Activations, Model, capture, gradients, look
from tinygrad_tx.reasoning.point import Point
from tinygrad_tx.table import Table, shown_as_table
from tinygrad_tx.tensor import Tensor, no_grad, stop_gradient, take_along_axis

__all__ = ["DirectAttribution", "completeness", "direct_attribution", "head_outputs"]

Array = np.ndarray[Any, Any]
FROZEN = (
    "Direct paths only: what a part does through later parts counts as theirs.",
    "What the norms divide by is kept as it was: a part's effect on it is not counted.",
)
INEXACT = 1e-3
"""An error of the sum, relative to the largest of its terms, from which on it is no sum."""


@shown_as_table
@dataclass(frozen=True)
class DirectAttribution:
    """What each part adds to the explained number at each position.

    parts: as "embedding", "block 0 head 1", "block 0 attention bias", "block 0 feed-forward", and
    last "biases behind the stream". contributions: (parts, batch, time). value: (batch, time), the
    model's own. error: the largest |sum of contributions - value|; scale: the largest |term|.
    """

    parts: tuple[str, ...]
    contributions: Array
    value: Array
    tokens: Array
    asked: Array
    against: Array | None
    error: float
    scale: float
    notes: tuple[str, ...]
    tokenizer: Decodes | None = None

    @property
    def exact(self) -> bool:
        """Whether the parts add up to the value, but for rounding."""
        return self.error <= INEXACT * max(self.scale, 1e-12)

    def heads(self) -> dict[str, Array]:
        """What each head adds, (batch, time), by its name."""
        return {p: c for p, c in zip(self.parts, self.contributions, strict=True) if " head " in p}

    def table(self, example: int = 0, position: int = -1, most: int | None = None) -> Table:
        """Parts by the size of what they add. most: how many; the rest are one row."""
        here = self.contributions[:, example, position].astype(np.float64)
        order = np.argsort(-np.abs(here), kind="stable")
        shown = order if most is None else order[:most]
        rows: list[tuple[Any, ...]] = [(self.parts[i], float(here[i])) for i in shown]
        if len(shown) < len(order):
            left = order[len(shown) :]
            rows.append((f"{len(left)} other parts", float(here[left].sum())))
        rows += [("sum", float(here.sum())), ("the model", float(self.value[example, position]))]
        asked = self.explained(example, position)
        return Table(f"What adds to {asked}", ("part", "adds"), tuple(rows), self.notes)

    def picture(self, example: int = 0) -> Figure:
        """Parts by positions."""
        return heat_map(
            self.contributions[:, example], self.parts,
            words_of(self.tokens[example], self.tokenizer),
            title="What each part adds to the logit of the next word", label="logit", signed=True,
        )  # fmt: skip

    def explained(self, example: int, position: int) -> str:
        """As in "the logit of 'Paris' less that of 'Rome'"."""
        first = word_of(int(self.asked[example, position]), self.tokenizer)
        if self.against is None:
            return f"the logit of {first!r}"
        other = word_of(int(self.against[example, position]), self.tokenizer)
        return f"the logit of {first!r} less that of {other!r}"


def direct_attribution(
    model: Model,
    inputs: Any,
    token: Any = None,
    against: Any = None,
    *,
    tokenizer: Decodes | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> DirectAttribution:
    """What embedding, every head, attention bias and feed-forward add to a logit, at all positions.

    token: one, or (batch, time); the model's own likeliest words if not given. against: likewise;
    then a difference of two logits is explained. on_progress: examples done, of all.

    In pre-norm models (GPT, Llama, T5's decoder) one norm is frozen. In post-norm models every norm
    of the stream is: the sum is still exact, but the further back a part stands the more the
    frozen norms suppose; trust the last block. BERT's masked-word head is not linear: its parts
    do not add up, the error says by how much.
    Cost: two passes forward and one back for each example. The error of the sum is always in the
    result, see `completeness`. Errors: PointError, ShapeError, IndexRangeError, NonFiniteError.
    """
    arrays = arrays_of(inputs)
    known = listed(model, arrays)
    stream = stream_of(known)
    terms = _terms(model, stream, known)
    with at_rest(model):
        forward, rest = jit(_forward(model, terms)), jit(_rest(model, terms))
        with no_grad():
            logits = finite(np.asarray(capture(model, arrays, ()).output.numpy()), "logits")
        if logits.ndim != 3:
            what = f"the model gives {logits.shape}, not logits (batch, time, vocab)"
            raise ShapeError(explain("direct_attribution", what))
        asked = tokens_at(token, logits, "direct_attribution")
        other = None if against is None else tokens_at(against, logits, "direct_attribution")
        found = []
        for i in range(len(logits)):
            one = [a[i : i + 1] for a in arrays]
            chosen = [t[i : i + 1] for t in (asked, other) if t is not None]
            parts, scales = forward(one, chosen)
            constant = rest(one, chosen, scales)
            # The biases of attention are in both: in what stands when every part says nothing.
            biases = sum((parts[t.name].numpy() for t in terms.biases), np.zeros(1))
            heads = {name: value.numpy() for name, value in parts.items()}
            found.append(_rows(terms, heads, constant.numpy() - biases))
            if on_progress is not None:
                on_progress(i + 1, len(logits))
    value = _picked(logits, asked, other)
    contributions = np.concatenate(found, 1)
    error = float(np.abs(contributions.sum(0, dtype=np.float64) - value).max())
    scale = float(np.abs(contributions).max(initial=0.0))
    tokens = stream.tokens(arrays)
    notes: tuple[str, ...] = (
        f"The parts differ from the model's own logits by at most {error:.2g}.",
        *FROZEN,
    )
    if error > INEXACT * max(scale, 1e-12):
        notes = ("The head is not linear: the parts do not add up, see the error.", *notes)
    elif terms.is_post_norm:
        notes = (*notes, "Norms stand in the stream: trust the last block, less those before it.")
    return DirectAttribution(
        terms.names(), contributions, value, tokens, asked, other, error, scale, notes, tokenizer
    )


def completeness(found: DirectAttribution) -> Table:
    """Do the parts add up? The error of the sum, beside the largest of its terms."""
    relative = found.error / max(found.scale, 1e-12)
    row = (found.error, found.scale, relative, found.exact)
    columns = ("largest error", "largest term", "relative error", "adds up")
    return Table("Completeness", columns, (row,), found.notes)


def head_outputs(model: Module, inputs: Any, at: str = "*attention.context") -> dict[str, Array]:
    """What each head writes into the residual stream, by the path of its attention.

    Shapes: (batch, heads, time, width). The bias of the projection is no head's: the heads and it
    make `attention.output`. at: a glob of contexts. Errors: PointError.
    """
    arrays = arrays_of(inputs)
    with at_rest(model), no_grad():
        found = capture(model, arrays, at)
    result = {}
    for path, value in found.items():
        where = path.rpartition(".")[0]
        context = np.asarray(value.numpy())  # (batch, heads, time, head width)
        heads, width = context.shape[1], context.shape[3]
        weight = _projection(model, where).weight.numpy().reshape(heads, width, -1)
        result[where] = np.einsum("bhtd,hdw->bhtw", context, weight, optimize=True)
    return result


@dataclass(frozen=True)
class _Term:
    """name: in words. path: the point of what it writes or, for heads, reads."""

    name: str
    path: str
    heads: int = 0
    bias: str = ""
    """For the bias of a projection, the parameter's path; the point is the projection's output."""


@dataclass(frozen=True)
class _Terms:
    parts: tuple[_Term, ...]
    is_post_norm: bool

    @property
    def biases(self) -> tuple[_Term, ...]:
        return tuple(t for t in self.parts if t.bias)

    @property
    def frozen(self) -> tuple[str, ...]:
        """What is held where it is: all that writes into the stream."""
        return tuple(t.path for t in self.parts if not t.bias)

    def names(self) -> tuple[str, ...]:
        found: list[str] = []
        for t in self.parts:
            found += [f"{t.name} {h}" for h in range(t.heads)] if t.heads else [t.name]
        return (*found, "biases behind the stream")


def _terms(model: Model, stream: Stream, known: Mapping[str, Point]) -> _Terms:
    """All that writes into the stream, in order."""
    own = {path: p for path, p in known.items() if path.startswith(stream.side)}
    parameters = dict(model.named_parameters()) if isinstance(model, Module) else {}
    parts = []
    for path, p in own.items():
        block = path.removeprefix(f"{stream.side}blocks.").partition(".")[0]
        kind = "cross-attention" if "cross_attention" in path else "attention"
        if p.name.endswith("_embedding"):
            name = p.name.replace("token_embedding", "embedding").replace("_", " ")
            parts.append(_Term(name, path))
        elif p.name == "context":
            word = "head" if kind == "attention" else "cross-attention head"
            parts.append(_Term(f"block {block} {word}", path, p.shape[p.axes.index("heads")]))
        elif path.endswith("attention.output"):
            bias = f"{p.module}.projection.bias"
            if bias in parameters:
                parts.append(_Term(f"block {block} {kind} bias", path, bias=bias))
        elif path.endswith("feed_forward.output"):
            parts.append(_Term(f"block {block} feed-forward", path))
    order = list(own)
    block = stream.last.rpartition(".")[0]
    norm = f"{block}.feed_forward_norm.normalized"
    # A norm that comes after the part: its result is the stream itself.
    is_post_norm = norm in own and order.index(norm) > order.index(f"{block}.feed_forward.output")
    return _Terms(tuple(parts), is_post_norm)


def _forward(model: Model, terms: _Terms) -> Callable[..., Any]:
    """What each part adds to the chosen logits, and what every norm divides by."""

    def forward(args: list[Tensor], chosen: list[Tensor]) -> Any:
        held = dict.fromkeys((*terms.frozen, "*.scale"), stop_gradient)
        at = [*dict.fromkeys(t.path for t in terms.parts), "*.scale"]
        found = look(model, tuple(args), at, held)
        value = _chosen(found.output, chosen).sum()
        slopes = gradients(value, found.at(*dict.fromkeys(t.path for t in terms.parts)))
        parts = {t.name: _added(model, t, found, slopes) for t in terms.parts}
        return parts, dict(found.at("*.scale"))

    return forward


def _added(model: Model, term: _Term, found: Activations, slopes: Activations) -> Tensor:
    """(1, time), or (1, heads, time)."""
    slope = slopes[term.path]
    if term.bias:
        assert isinstance(model, Module)
        return (slope * dict(model.named_parameters())[term.bias]).sum(-1)
    added = (slope * found[term.path]).sum(-1)
    return added if len(added.shape) > 1 else added[None]


def _rest(model: Model, terms: _Terms) -> Callable[..., Tensor]:
    """The chosen logits where every part says nothing and the norms divide as they did."""

    def rest(args: list[Tensor], chosen: list[Tensor], scales: dict[str, Tensor]) -> Tensor:
        silent = {path: zero() for path in terms.frozen}
        kept = {path: replace(value) for path, value in scales.items()}
        with no_grad():
            return _chosen(look(model, tuple(args), (), {**silent, **kept}).output, chosen)

    return rest


def _chosen(logits: Tensor, chosen: Sequence[Tensor]) -> Tensor:
    """(batch, time): of one token, or of one less another."""
    found = [take_along_axis(logits, t[:, :, None], -1)[:, :, 0] for t in chosen]
    return found[0] if len(found) == 1 else found[0] - found[1]


def _picked(logits: Array, asked: Array, against: Array | None) -> Array:
    value = np.take_along_axis(logits, asked[..., None], -1)[..., 0]
    if against is None:
        return value
    other: Array = np.take_along_axis(logits, against[..., None], -1)[..., 0]
    return value - other


def _rows(terms: _Terms, parts: Mapping[str, Array], constant: Array) -> Array:
    """(parts, 1, time), heads apart."""
    rows: list[Array] = []
    for t in terms.parts:
        rows += list(parts[t.name][0]) if t.heads else [parts[t.name][0]]
    return np.stack([*rows, constant[0]])[:, None]


def _projection(model: Module, path: str) -> Linear:
    """The projection of the attention at `path`. Errors: PointError."""
    found = dict(model.named_modules()).get(f"{path}.projection")
    if not isinstance(found, Linear):
        what = f"{path}.projection is {type(found).__name__}, not a linear map"
        raise PointError(explain("head_outputs", what, remedy="merge adapters into the weights"))
    return found
