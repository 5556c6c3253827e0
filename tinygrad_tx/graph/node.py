"""Node, the one value of the graph, and Operator, all that is known of an operation.

A Node is immutable and hash-consed: asking twice for the same operation on the same inputs gives
the same object. Serial numbers grow with creation and inputs exist before their users, so sorting
by serial is a topological order.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tinygrad_tx.dtypes import DType
from tinygrad_tx.shapes import Shape, size_of

if TYPE_CHECKING:
    from tinygrad_tx.graph.builder import Builder
    from tinygrad_tx.graph.lowering import Lowering

__all__ = ["Aval", "Cost", "Layout", "Node", "Operator", "Sample", "TestRow", "make_node"]

Layout = Literal["any", "rows", "matrix", "contiguous"]
"""What strides a kernel takes.

any: any strides. rows: last axis contiguous and the others collapse to one row stride.
matrix: last two axes strided, one of them with stride 1; batch axes any. contiguous: C order.
"""


@dataclass(frozen=True, slots=True)
class Aval:
    """Abstract value: what is known of a tensor before it has data."""

    shape: Shape
    dtype: DType

    @property
    def size(self) -> int:
        return size_of(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


@dataclass(frozen=True, slots=True)
class Cost:
    """Work of one node: floating-point operations and bytes read and written."""

    flops: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One valid call of an operator: arrays (floats in float64) and attributes."""

    inputs: tuple[np.ndarray[Any, Any], ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    nan: bool = True
    """Whether a NaN in an input comes through; not where something of it is masked."""


@dataclass(frozen=True, slots=True)
class TestRow:
    """How an operator is tested: sample calls, and where its derivative is not defined.

    `samples(rng)` yields small valid calls with inputs away from kinks; `tolerance` bounds the
    float32 kernel against the float64 truth, relative to the largest magnitude of the result.
    """

    __test__ = False  # not a pytest class

    samples: Callable[[np.random.Generator], Iterable[Sample]]
    tolerance: float = 2e-6
    kinks: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Operator:
    """All that is known of an operation; each stands whole in one file of `ops/`.

    Derivative rules, one of these (absent means not differentiable):
      partials(b, node): elementwise; the partial derivative for each input (None: zero). Serves
        reverse and forward mode.
      linear_in: the inputs in which the operation is linear, one at a time; forward mode applies
        the operation to the tangents; `gradient` is its transpose.
      gradient(b, node, *cotangents): a cotangent for each input (None: zero). An operator with
    several results gets one cotangent for each; those that nobody uses are None.
      tangent(b, node, *tangents): only where none of the above and no `expand` gives it.
    """

    name: str
    infer: Callable[..., Aval | tuple[Aval, ...]]
    """infer(*avals, **attrs): shape and dtype of the result(s); raises `Rejected` on bad input."""

    partials: Callable[[Builder, Node], Sequence[Node | None]] | None = None
    linear_in: Sequence[int] = ()
    jointly_linear: bool = False
    """Linear in those inputs taken together (concat), not one at a time (matmul)."""
    gradient: Callable[..., Sequence[Node | None]] | None = None
    tangent: Callable[..., Any] | None = None

    reference: Callable[..., Any] | None = None
    """reference(*arrays, **attrs): NumPy; an array, or a tuple for several results."""
    ufunc: np.ufunc | None = None
    """Elementwise operators whose NumPy form can write into a given array."""
    expand: Callable[[Builder, Node], Any] | None = None
    """expand(b, node): the same value from primitives; a Node, or a tuple for several results."""

    emit: Callable[..., str] | None = None
    """emit(dtype, *names): a Python expression for generated kernels; marks it as elementwise."""
    reduce: str | None = None
    """For reductions that generated kernels know: "sum", "max" or "min"."""
    lower: Callable[[Lowering, Node], None] | None = None
    """lower(lowering, node): adds the kernel calls."""
    fits: Callable[[Node], bool] | None = None
    """fits(node): whether `lower` serves this node (dtypes, sizes); absent: always. Where it does
    not, the compiler uses `reference`, or else `expand`."""
    reads: Layout | tuple[Layout, ...] = "contiguous"
    writes: Layout = "contiguous"
    inplace: tuple[int, ...] = ()
    """Inputs whose dying buffer the (first) result may take."""
    epilogue: bool = False
    """Whether `lower` also runs `lowering.epilogue` on its result while that is in the cache."""
    view: Callable[[Node, Shape, int], tuple[int, Shape] | None] | None = None
    """view(node, strides, index): (element offset, strides) of result `index` as a view of
    input 0 with the given strides, or None where only a copy would do."""
    unview: Callable[[Node, Shape], Shape | None] | None = None
    """unview(node, strides): the strides input 0 must be written with so that the result has the
    given strides; for views that show every element once."""

    cost: Callable[[Node], Cost] | None = None
    row: TestRow | None = None
    formula: str = ""
    """One line of maths for the table of operators."""

    def __repr__(self) -> str:
        return f"Operator({self.name})"

    @property
    def is_elementwise(self) -> bool:
        return self.emit is not None

    @property
    def is_composite(self) -> bool:
        return self.expand is not None


def _key_of(value: Any) -> Any:
    """A hashable key that tells 1 from 1.0 and True, and -0.0 from 0.0."""
    if isinstance(value, tuple):
        return tuple(_key_of(v) for v in value)
    if isinstance(value, (bool, int, float)):
        return (type(value).__name__, repr(value))
    return value


_serials = itertools.count()
_interned: weakref.WeakValueDictionary[Any, Node] = weakref.WeakValueDictionary()


class Node:
    """One operation of the graph with its result(s). Make it through a Builder.

    op, inputs, attrs: what is computed. outputs: the abstract value of each result.
    scope: path of the module that asked for it, as `blocks.3.attention`. name: a point that
    someone may ask for, as `pattern`. where: the user's `file:line`.
    """

    __slots__ = (
        "__weakref__",
        "attrs",
        "inputs",
        "name",
        "op",
        "outputs",
        "scope",
        "serial",
        "where",
    )

    op: Operator
    inputs: tuple[Node, ...]
    attrs: Mapping[str, Any]
    outputs: tuple[Aval, ...]
    scope: str
    name: str
    where: str
    serial: int

    def __setattr__(self, key: str, value: Any) -> None:
        raise AttributeError(f"a Node is immutable: cannot set {key}")

    @property
    def shape(self) -> Shape:
        return self.outputs[0].shape

    @property
    def dtype(self) -> DType:
        return self.outputs[0].dtype

    @property
    def aval(self) -> Aval:
        return self.outputs[0]

    @property
    def path(self) -> str:
        """Scope and name, as `blocks.3.attention.pattern`."""
        return ".".join(part for part in (self.scope, self.name) if part)

    def __repr__(self) -> str:
        shown = ", ".join(str(o) for o in self.outputs)
        return f"Node(%{self.serial} = {self.op.name} -> {shown})"


def make_node(
    op: Operator,
    inputs: tuple[Node, ...],
    attrs: Mapping[str, Any],
    outputs: tuple[Aval, ...],
    scope: str,
    name: str,
    where: str,
) -> Node:
    """The interned Node of this operation; scope and place are those of the first request."""
    key = (
        op,
        tuple(n.serial for n in inputs),
        tuple((k, _key_of(attrs[k])) for k in sorted(attrs)),
        name,
    )
    node = _interned.get(key)
    if node is None:
        node = Node()
        put = object.__setattr__
        put(node, "op", op)
        put(node, "inputs", inputs)
        put(node, "attrs", MappingProxyType(dict(attrs)))
        put(node, "outputs", outputs)
        put(node, "scope", scope)
        put(node, "name", name)
        put(node, "where", where)
        put(node, "serial", next(_serials))
        _interned[key] = node
    return node
