"""Random graphs of our operators, always valid, and random small transformers.

A graph is a list of steps over a pool of values. Most steps are drawn for the pool (elementwise,
reductions, products, shapes, selections); any operator can also come with inputs out of its own row
of samples, so that every operator with a row is reachable. Values are kept moderate by squashing
what would grow, so that results stay finite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from hypothesis import event, strategies as st

from tinygrad_tx.graph.node import Operator
from tinygrad_tx.graph.registry import operators
from tinygrad_tx.models import GPT, GPTConfig
from tinygrad_tx.shapes import Shape
from tinygrad_tx.tensor import (
    broadcast_to,
    concat,
    expand_dims,
    flip,
    log,
    matmul,
    permute_dims,
    reshape,
    softmax,
    split,
    sqrt,
    square,
    take,
    tanh,
    where,
)
from tinygrad_tx.tensor.tensor import Tensor
from tinygrad_tx.testing.operators import apply
from tinygrad_tx.testing.strategies import shapes
from tinygrad_tx.testing.subjects import Array

__all__ = ["VIEWS", "RandomGraph", "functions", "graphs", "loss_of", "reachable", "transformers"]

VIEWS = ("turn", "flip", "cut", "scale")
"""Steps that show the same memory in other ways, and one that reads it."""

Step = tuple[str, int, int, int]


@dataclass(frozen=True)
class RandomGraph:
    """A function of tensors, with arrays to call it on. `steps` say what it does."""

    inputs: tuple[Array, ...]
    steps: tuple[Step, ...]
    seed: int
    rows: tuple[str, ...] = field(default=())
    """Operators that come with inputs of their own."""

    def __call__(self, *tensors: Tensor) -> Tensor:
        """The last value of the pool, and something of every other, as one number each."""
        pool = list(tensors)
        for name, a, b, c in self.steps:
            # Counted from the end: 0, which examples shrink to, goes on from the last value.
            x, y = pool[-1 - a % len(pool)], pool[-1 - b % len(pool)]
            pool.append(_STEPS[name](x, y, c))
        for name in self.rows:
            pool += _from_row(name, self.seed)
        ends = [reshape(value.sum(), (1,)) for value in pool[:-1]]
        return concat([reshape(pool[-1], (pool[-1].size,)), *ends])

    def __repr__(self) -> str:
        given = ", ".join(str(a.shape) for a in self.inputs)
        steps = "; ".join(f"{n}({a}, {b}, {c})" for n, a, b, c in self.steps)
        rows = f"; rows {' '.join(self.rows)}" if self.rows else ""
        return f"RandomGraph(inputs {given}: {steps}{rows})"


def _alike(x: Tensor, y: Tensor) -> Tensor:
    """y in the shape of x, whatever it was: its mean, broadcast, where shapes do not fit."""
    if x.shape == y.shape:
        return y
    return broadcast_to(y.sum() * (1 / max(y.size, 1)), x.shape)


def _chosen(x: Tensor, c: int) -> int:
    return c % x.ndim


def _reduced(name: str) -> Callable[[Tensor, Tensor, int], Tensor]:
    def step(x: Tensor, y: Tensor, c: int) -> Tensor:
        if not x.ndim or 0 in x.shape:
            return x
        result: Tensor = getattr(x, name)(axis=_chosen(x, c), keepdims=bool(c & 16))
        return result

    return step


def _product(x: Tensor, y: Tensor, c: int) -> Tensor:
    """x x^T over the last two axes, or with y where it fits."""
    if x.ndim < 2:
        return x * x.sum() * 0.1
    other = y if y.shape == x.shape else x
    return tanh(matmul(x, other.swapaxes(-1, -2)))


def _turned(x: Tensor, y: Tensor, c: int) -> Tensor:
    order = np.random.default_rng(c).permutation(x.ndim)
    return permute_dims(x, [int(a) for a in order])


def _taken(x: Tensor, y: Tensor, c: int) -> Tensor:
    if not x.ndim or not x.shape[_chosen(x, c)]:
        return x
    axis = _chosen(x, c)
    chosen = np.random.default_rng(c).integers(-x.shape[axis], x.shape[axis], 3)
    return take(x, chosen, axis)


def _cut(x: Tensor, y: Tensor, c: int) -> Tensor:
    if not x.ndim:
        return x
    step = (1, 2, -1)[c % 3]
    axis = _chosen(x, c)
    return x[(*[slice(None)] * axis, slice(None, None, step))]


def _joined(x: Tensor, y: Tensor, c: int) -> Tensor:
    return concat([x, _alike(x, y)], _chosen(x, c)) if x.ndim else x + _alike(x, y)


def _parted(x: Tensor, y: Tensor, c: int) -> Tensor:
    if not x.ndim:
        return x
    axis = _chosen(x, c)
    first = x.shape[axis] // 2
    return split(x, (first, x.shape[axis] - first), axis)[c % 2]


_STEPS: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    "tanh": lambda x, y, c: tanh(x),
    "add": lambda x, y, c: x + _alike(x, y),
    "multiply": lambda x, y, c: tanh(x) * _alike(x, y),
    "subtract": lambda x, y, c: x - _alike(x, y),
    "divide": lambda x, y, c: x / (square(_alike(x, y)) + 0.5),
    "scale": lambda x, y, c: x * (c % 5 - 2.5) + 0.25,
    "exp": lambda x, y, c: tanh(x).exp(),
    "log": lambda x, y, c: log(square(x) + 0.5),
    "sqrt": lambda x, y, c: sqrt(square(x) + 0.5),
    "square": lambda x, y, c: square(tanh(x)),
    "sigmoid": lambda x, y, c: x.sigmoid(),
    "gelu": lambda x, y, c: x.gelu(),
    "silu": lambda x, y, c: x.silu(),
    "erf": lambda x, y, c: x.erf(),
    "sin": lambda x, y, c: x.sin(),
    "where": lambda x, y, c: where(x < _alike(x, y), x * 0.5, _alike(x, y)),
    "softmax": lambda x, y, c: softmax(x, _chosen(x, c)) if x.ndim and x.size else x,
    "logsumexp": _reduced("logsumexp"),
    "sum": _reduced("sum"),
    "mean": _reduced("mean"),
    "max": _reduced("max"),
    "cumsum": lambda x, y, c: x.cumsum(_chosen(x, c)) if x.ndim else x,
    "matmul": _product,
    "turn": _turned,
    "flat": lambda x, y, c: reshape(x, (x.size,)),
    "new axis": lambda x, y, c: expand_dims(x, 0),
    "flip": lambda x, y, c: flip(x, _chosen(x, c)) if x.ndim else x,
    "take": _taken,
    "cut": _cut,
    "concat": _joined,
    "part": _parted,
}


def _from_row(name: str, seed: int) -> list[Tensor]:
    """Real results of an operator on the inputs of one of its samples."""
    op = reachable()[name]
    assert op.row is not None
    samples = list(op.row.samples(np.random.default_rng(seed)))
    sample = samples[seed % len(samples)]
    found = apply(op, *sample.inputs, **sample.attrs)
    results = found if isinstance(found, tuple) else (found,)
    return [r.astype("float64") for r in results]


def reachable() -> dict[str, Operator]:
    """Every operator that random graphs can hold."""
    return {op.name: op for op in operators() if op.row is not None}


@st.composite
def graphs(
    draw: st.DrawFn,
    max_ops: int = 6,
    max_inputs: int = 2,
    max_rows: int = 1,
    only: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
    sizes: st.SearchStrategy[Shape] | None = None,
) -> RandomGraph:
    """Random graphs with example inputs in float64; fewer steps come first when they shrink.

    only: names of operators with a row to draw from. kinds: names of steps, as `VIEWS`. sizes: of
    the inputs.
    """
    seed = draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    count = draw(st.integers(1, max_inputs))
    chosen = shapes(max_side=4, max_size=40) if sizes is None else sizes
    inputs = tuple(rng.normal(size=draw(chosen)) for _ in range(count))
    number, recent = st.integers(0, 31), st.sampled_from([0, 0, 0, 1, 2, 5])
    step = st.tuples(st.sampled_from(list(kinds or _STEPS)), recent, number, number)
    steps = tuple(draw(st.lists(step, min_size=1, max_size=max_ops)))
    names = sorted(only if only is not None else reachable())
    rows = tuple(draw(st.lists(st.sampled_from(names), max_size=max_rows)))
    for name, *_ in steps:
        event(f"step: {name}")
    for name in rows:
        event(f"row: {name}")
    return RandomGraph(inputs, steps, seed, rows)


def functions(max_ops: int = 4) -> st.SearchStrategy[RandomGraph]:
    """Functions of one tensor: graphs with one input and nothing from outside."""
    return graphs(max_ops=max_ops, max_inputs=1, max_rows=0)


@st.composite
def transformers(draw: st.DrawFn) -> tuple[GPT, Array]:
    """A small GPT with tokens to call it on. Widths are multiples of the heads, not of a tile."""
    heads = draw(st.integers(1, 3))
    context = draw(st.integers(1, 6))
    config = GPTConfig(
        vocab_size=draw(st.integers(2, 7)),
        context=context,
        layers=draw(st.integers(1, 2)),
        heads=heads,
        width=heads * draw(st.integers(1, 4)),
    )
    event(f"transformer: {config.layers} layers")
    time = draw(st.integers(1, context))
    batch = draw(st.integers(1, 2))
    model = GPT(config, seed=draw(st.integers(0, 99)))
    tokens = np.random.default_rng(0).integers(0, config.vocab_size, (batch, time + 1))
    return model, tokens


def loss_of(model: GPT, tokens: Array) -> tuple[Callable[..., Tensor], list[Array]]:
    """The loss as a function of all parameters, in float64, and their values."""
    names = [name for name, _ in model.named_parameters()]
    values = [p.numpy().astype(np.float64) for p in model.parameters()]

    def loss(*parameters: Tensor) -> Tensor:
        with model.exchanged(dict(zip(names, parameters, strict=True))):
            return model.loss(tokens[:, :-1], tokens[:, 1:])

    return loss, values
