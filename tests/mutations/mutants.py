"""Plausible bugs: wrong gradient rules, wrong kernels, wrong passes. Each can be switched on.

A mutant of an operator replaces fields of its Operator in the registry; other mutants patch the
compiler. Nothing else changes, so that a check that fails has found the mutant.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_tx.graph import registry
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node, Operator
from tinygrad_tx.ops import scatter_add
from tinygrad_tx.ops.kernels.kernel import floats, int64s, kernel, share
from tinygrad_tx.shapes import size_of


@dataclass(frozen=True)
class Mutant:
    """operator: whose row finds it first, or "" for a mutant of the compiler. rule: it is a wrong
    derivative, which other gradient checkers can look for too."""

    name: str
    operator: str
    what: str
    switch: Callable[[], Any]
    rule: bool = True


MUTANTS: list[Mutant] = []


@contextmanager
def replaced(name: str, change: Callable[[Operator], dict[str, Any]]) -> Iterator[None]:
    op = registry.find(name)
    registry._operators[name] = dataclasses.replace(op, **change(op))
    try:
        yield
    finally:
        registry._operators[name] = op


def mutant(
    operator: str, what: str, rule: bool = True
) -> Callable[[Callable[[Operator], dict[str, Any]]], None]:
    """Registers `change(op) -> new fields` as a mutant."""

    def add(change: Callable[[Operator], dict[str, Any]]) -> None:
        name = f"{operator}: {what}"
        MUTANTS.append(Mutant(name, operator, what, lambda: replaced(operator, change), rule))

    return add


def partials(operator: str, what: str, make: Callable[..., Any]) -> None:
    """make(b, node, *inputs) gives the wrong partial derivatives."""
    mutant(operator, what)(lambda op: {"partials": lambda b, n: make(b, n, *n.inputs)})


def gradient(operator: str, what: str, make: Callable[..., Any]) -> None:
    """make(b, node, right, *cotangents) spoils what the right rule gives."""

    def change(op: Operator) -> dict[str, Any]:
        rule = op.gradient
        assert rule is not None
        return {"gradient": lambda b, n, *c: make(b, n, list(rule(b, n, *c)), *c)}

    mutant(operator, what)(change)


def constant_like(b: Builder, x: Node, value: float) -> Node:
    return b.full(x.shape, value, x.dtype)


# Elementwise rules.
partials("tanh", "1 - y, the square is missing", lambda b, n, x: (b.subtract(1, n),))
partials("exp", "x in place of exp x", lambda b, n, x: (x,))
partials("log", "1 / x^2", lambda b, n, x: (b.reciprocal(b.square(x)),))
partials("sqrt", "the factor 1/2 is missing", lambda b, n, x: (b.reciprocal(n),))
partials("rsqrt", "the sign is lost", lambda b, n, x: (b.multiply(0.5, b.divide(n, x)),))
partials("sigmoid", "y (1 + y)", lambda b, n, x: (b.multiply(n, b.add(1, n)),))
partials(
    "erf", "the factor 2/sqrt(pi) is missing", lambda b, n, x: (b.exp(b.negative(b.square(x))),)
)
partials("silu", "the second term is missing", lambda b, n, x: (b.sigmoid(x),))
partials("relu", "passes where x < 0", lambda b, n, x: (b.astype(b.less(x, 0), dtype=x.dtype),))
partials("abs", "the sign is squared", lambda b, n, x: (b.square(b.sign(x)),))
partials("sin", "sin in place of cos", lambda b, n, x: (n,))
partials("cos", "the sign is lost", lambda b, n, x: (b.sin(x),))
partials("reciprocal", "1 / x in place of 1 / x^2", lambda b, n, x: (b.negative(n),))
partials("square", "the factor 2 is missing", lambda b, n, x: (x,))
partials("expm1", "expm1 x in place of exp x", lambda b, n, x: (n,))
partials("log1p", "1 / x in place of 1 / (1 + x)", lambda b, n, x: (b.reciprocal(x),))
partials(
    "divide", "the sign of the second is lost", lambda b, n, x, y: (b.reciprocal(y), b.divide(n, y))
)
partials("multiply", "the operands are swapped", lambda b, n, x, y: (x, y))
partials(
    "subtract",
    "the second is +1",
    lambda b, n, x, y: (constant_like(b, x, 1), constant_like(b, x, 1)),
)
partials(
    "power",
    "the exponent is not reduced",
    lambda b, n, x, y: (b.multiply(y, n), b.multiply(n, b.log(x))),
)
partials(
    "maximum",
    "both get all at a tie",
    lambda b, n, x, y: tuple(
        b.astype(c, dtype=x.dtype) for c in (b.greater_equal(x, y), b.less_equal(x, y))
    ),
)
partials(
    "minimum",
    "goes to the larger",
    lambda b, n, x, y: tuple(b.astype(c, dtype=x.dtype) for c in (b.greater(x, y), b.less(x, y))),
)
partials(
    "where",
    "the mask is lost",
    lambda b, n, c, x, y: (None, constant_like(b, x, 1), constant_like(b, x, 1)),
)
partials(
    "gelu", "0.1 % too much", lambda b, n, x: (b.multiply(1.001, b.gelu_gradient(x, **n.attrs)),)
)


# Reductions, shapes, selections.
gradient(
    "sum",
    "the mean's gradient",
    lambda b, n, right, c: [
        b.multiply(r, 1 / max(1, size_of(r.shape) // max(1, size_of(n.shape)))) for r in right
    ],
)


def lost_sum(b: Builder, node: Node, right: list[Node], c: Node) -> list[Node]:
    """Only the first of the repeated elements."""
    source, shape = node.inputs[0].shape, node.shape
    new = len(shape) - len(source)
    stop = tuple(n if i >= new and source[i - new] == n else min(n, 1) for i, n in enumerate(shape))
    cut = b.slice(c, start=(0,) * len(shape), stop=stop, step=(1,) * len(shape))
    return [b.reshape(cut, shape=source)] if size_of(cut.shape) == size_of(source) else right


gradient("broadcast_to", "the sum over repeats is lost", lost_sum)


def whole_ties(b: Builder, node: Node, right: list[Node], c: Node) -> list[Node]:
    x = node.inputs[0]
    axes = node.attrs["axes"]
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    chosen = b.astype(b.equal(x, b.reshape(node, shape=kept)), dtype=x.dtype)
    return [b.multiply(chosen, b.reshape(c, shape=kept))]


gradient("max", "every tie gets all", whole_ties)
gradient("min", "every tie gets all", whole_ties)
gradient(
    "prod", "is the product itself", lambda b, n, right, c: [b.multiply(right[0], n.inputs[0])]
)
gradient("cumsum", "not reversed", lambda b, n, right, c: [b.cumsum(c, **n.attrs)])
gradient(
    "permute_dims",
    "the axes are not inverted",
    lambda b, n, right, c: [b.permute_dims(c, axes=n.attrs["axes"])],
)
gradient(
    "concat",
    "the pieces are swapped",
    lambda b, n, right, c: right[::-1] if len({r.shape for r in right}) == 1 else right,
)
gradient(
    "pad",
    "off by one",
    lambda b, n, right, c: [
        b.slice(
            c,
            start=tuple(0 for _ in c.shape),
            stop=right[0].shape,
            step=(1,) * len(c.shape),
        )
    ],
)
gradient(
    "slice",
    "goes to the start",
    lambda b, n, right, c: [
        b.pad(
            c,
            widths=tuple((0, m - k) for m, k in zip(n.inputs[0].shape, c.shape, strict=True)),
            value=0.0,
        )
    ],
)
gradient(
    "reshape",
    "the order is turned",
    lambda b, n, right, c: [
        b.slice(
            right[0],
            start=tuple(m - 1 for m in right[0].shape),
            stop=(-1,) * len(right[0].shape),
            step=(-1,) * len(right[0].shape),
        )
    ],
)
gradient("take_along_axis", "doubled", lambda b, n, right, c: [b.multiply(right[0], 2.0), None])


@mutant("scatter_add", "repeated indices overwrite", rule=False)
def overwrite(op: Operator) -> dict[str, Any]:
    def reference(updates: Any, indices: Any, axis: int, size: int) -> Any:
        end = axis + indices.ndim
        result = np.zeros((size, *updates.shape[:axis], *updates.shape[end:]), updates.dtype)
        result[indices] = np.moveaxis(updates, range(axis, end), range(indices.ndim))
        return np.moveaxis(result, 0, axis)

    return {"reference": reference}


@mutant("take", "the gradient sees the first of repeated indices only")
def first_only(op: Operator) -> dict[str, Any]:
    def rule(b: Builder, node: Node, c: Node) -> list[Node | None]:
        x, indices = node.inputs
        axis = node.attrs["axis"]
        added = b.scatter_add(c, indices, axis=axis, size=x.shape[axis])
        ones = b.scatter_add(constant_like(b, c, 1), indices, axis=axis, size=x.shape[axis])
        return [b.divide(added, b.maximum(ones, 1)), None]

    return {"gradient": rule}


# Products.
def transposed(b: Builder, x: Node) -> Node:
    n = len(x.shape)
    result: Node = b.permute_dims(x, axes=(*range(n - 2), n - 1, n - 2))
    return result


def not_transposed(b: Builder, node: Node, right: list[Node], c: Node) -> list[Node]:
    x, y = node.inputs
    square = y.shape[-1] == y.shape[-2]
    return [b.matmul(c, y) if square else right[0], right[1]]


gradient("matmul", "an operand is not transposed where it is square", not_transposed)
gradient(
    "matmul",
    "the second gradient is halved",
    lambda b, n, right, c: [right[0], b.multiply(right[1], 0.5)],
)
mutant("matmul", "forward mode forgets the second operand")(lambda op: {"linear_in": (0,)})
mutant("concat", "forward mode keeps the other pieces")(lambda op: {"jointly_linear": False})
mutant("max", "forward mode sums the ties")(
    lambda op: {"tangent": lambda b, n, x: b.sum(x, **n.attrs)}
)


# Composites.
gradient("softmax", "the sum over the row is missing", lambda b, n, right, c: [b.multiply(n, c)])
gradient("log_softmax", "the softmax term is missing", lambda b, n, right, c: [c])
gradient(
    "cross_entropy",
    "the one-hot is missing",
    lambda b, n, right, c: [
        b.multiply(
            b.softmax(n.inputs[0]),
            b.broadcast_to(b.reshape(c, shape=(*c.shape, 1)), n.inputs[0].shape),
        ),
        None,
    ],
)
gradient(
    "cross_entropy",
    "ignored targets count",
    lambda b, n, right, c: [b.cross_entropy_gradient(*n.inputs, c, ignore_index=-100), None],
)


def norm_without(term: str) -> Callable[..., list[Node]]:
    """dx of layer norm, with one of its two means left out."""

    def make(b: Builder, node: Node, right: list[Node], c: Node) -> list[Node]:
        x, weight, _ = node.inputs
        last, width = len(x.shape) - 1, x.shape[-1]

        def mean(v: Node) -> Node:
            result: Node = b.multiply(b.sum(v, axes=(last,), keepdims=True), 1 / max(width, 1))
            return result

        centred = b.subtract(x, mean(x))
        scale = b.rsqrt(b.add(mean(b.square(centred)), node.attrs["epsilon"]))
        hat, g = b.multiply(centred, scale), b.multiply(c, weight)
        found = g if term == "mean" else b.subtract(g, mean(g))
        if term != "product":
            found = b.subtract(found, b.multiply(hat, mean(b.multiply(g, hat))))
        return [b.multiply(found, scale), *right[1:]]

    return make


gradient("layer_norm", "the mean of dy is missing", norm_without("mean"))
gradient("layer_norm", "the mean of dy x is missing", norm_without("product"))
gradient(
    "layer_norm",
    "the weight's gradient is the bias's",
    lambda b, n, right, c: [right[0], right[2], right[2]],
)


def attention_with(**changes: Any) -> Callable[..., list[Node]]:
    def make(
        b: Builder, node: Node, right: list[Node], dout: Node | None, dlse: Node | None
    ) -> list[Node]:
        q, k, v, *rest = node.inputs
        out, lse = b.apply(node.op, *node.inputs, **node.attrs)
        dout = constant_like(b, q, 0) if dout is None else dout
        dlse = b.full(q.shape[:-1], 0, q.dtype) if dlse is None else dlse
        attrs = {k: changes.get(k, v) for k, v in node.attrs.items()}
        found = b.attention_gradient(q, k, v, out, lse, dout, dlse, *rest, **attrs)
        return [*found, *right[3:]]

    return make


gradient("attention", "the gradient forgets the mask", attention_with(causal=False))
gradient("attention", "the gradient forgets the scale", attention_with(scale=1.0))


@mutant("attention", "the log-sum-exp has no gradient")
def no_lse(op: Operator) -> dict[str, Any]:
    rule = op.gradient
    assert rule is not None
    return {"gradient": lambda b, n, dout, dlse: rule(b, n, dout, None)}


# Kernels: what they compute, and NaN.
mutant("exp", "the kernel is 10^-4 too large", rule=False)(
    lambda op: {"emit": lambda dtype, x: f"(exp{dtype.itemsize * 8}({x}) * np.float32(1.0001))"}
)
mutant("maximum", "the kernel swallows a NaN", rule=False)(
    lambda op: {"emit": lambda dtype, x, y: f"({x} if {x} > {y} else {y})"}
)
mutant("relu", "the kernel swallows a NaN", rule=False)(
    lambda op: {"emit": lambda dtype, x: f"({x} if {x} > 0 else np.float32(0))"}
)
mutant("sqrt", "NumPy's form swallows a NaN", rule=False)(
    lambda op: {"ufunc": None, "reference": lambda x: np.nan_to_num(np.sqrt(x)), "emit": None}
)


class Spoiled:
    """A Lowering whose kernel calls pass through `change`."""

    def __init__(self, inner: Any, change: Callable[[list[Any]], list[Any]]) -> None:
        self._inner, self._change = inner, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def call(self, run: Any, *operands: Any, shares: int = 1) -> None:
        self._inner.call(run, *self._change([run, *operands])[1:], shares=shares)


def operands_of(operator: str, what: str, change: Callable[[list[Any]], list[Any]]) -> None:
    def fields(op: Operator) -> dict[str, Any]:
        lower = op.lower
        assert lower is not None
        return {"lower": lambda lowering, node: lower(Spoiled(lowering, change), node)}

    mutant(operator, what, rule=False)(fields)


def one_less(at: int, name: str) -> Callable[[list[Any]], list[Any]]:
    """Operand `at` of the kernel called `name` is one too small."""

    def change(call: list[Any]) -> list[Any]:
        if call[0].name.startswith(name) and call[1 + at] > 1:
            call[1 + at] -= 1
        return call

    return change


operands_of(
    "cross_entropy", "the kernel ignores another index", lambda c: [*c[:6], c[6] + 100, *c[7:]]
)
operands_of("matmul", "the kernel drops the last product", one_less(3, "matmul.multiply"))
operands_of("sum", "the kernel drops the last element", one_less(1, "sum.rows"))
operands_of("take", "the kernel drops the last row", one_less(0, "take"))
operands_of(
    "layer_norm_gradient",
    "a block of rows is left out of the sum",
    one_less(0, "rows.add_blocks"),
)


@kernel("mutant.scatter_add")
def racing(ith: int, nth: int, operands: Any, arena: int) -> None:
    """Shares take rows of updates, so that two of them add to one row at once."""
    count, width, size = operands[0], operands[1], operands[2]
    indices = int64s(operands[4], count)
    low, high = share(count, ith, nth)
    for i in range(low, high):
        target = floats(operands[5] + 4 * (indices[i] % size) * width, width)
        source = floats(operands[3] + 4 * i * width, width)
        for j in range(width):
            target[j] += source[j]


@mutant("scatter_add", "a race: shares add to the same rows", rule=False)
def race(op: Operator) -> dict[str, Any]:
    def lower(lowering: Any, node: Node) -> None:
        (updates, indices), (z,) = lowering.reads, lowering.writes
        lowering.fill(z, 0.0)
        width = size_of(z.shape[1:])
        operands = (updates, indices, z, lowering.tag)
        shares = max(1, min(16, updates.size // 4096))
        lowering.call(racing, indices.size, width, z.shape[0], *operands, shares=shares)

    assert op.lower is scatter_add.lower
    return {"lower": lower}
