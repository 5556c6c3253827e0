"""Tensor: the handle that people hold on a Node. Operations add nodes; reading computes them."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

import tinygrad_tx.tensor as functions
from tinygrad_tx import capture
from tinygrad_tx.autodiff import reverse
from tinygrad_tx.dtypes import DType, is_float, promote, scalar_dtype
from tinygrad_tx.errors import ArgumentError, DTypeError, GraphError, ShapeError, explain
from tinygrad_tx.graph.builder import Builder
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.place import current_scope, user_place
from tinygrad_tx.graph.registry import find
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.missing import knows_arguments
from tinygrad_tx.runtime.buffer import Array, Buffer
from tinygrad_tx.runtime.evaluate import evaluate
from tinygrad_tx.shapes import Shape
from tinygrad_tx.tensor.arrays import array_of, settle_foreign, used
from tinygrad_tx.tensor.methods import Methods
from tinygrad_tx.tensor.no_grad import are_gradients_on, no_grad
from tinygrad_tx.tensor.protocols import Protocols
from tinygrad_tx.tensor.refusals import Refusals, no_leaf

__all__ = [
    "Tensor",
    "TensorLike",
    "as_tensor",
    "build",
    "no_grad",
    "promoted",
    "wrap",
]

TensorLike = Any
"""A Tensor, a NumPy array, a number, or a nested list of numbers."""


class Tensor(Methods, Protocols, Refusals):
    """An array of numbers, known or still to be computed.

    Concrete tensors stand on a Buffer, all others on a Node. `requires_grad` on a concrete tensor
    makes it a leaf for `backward`, which leaves the gradient in `.grad`. Operators and methods
    are the functions of `tx`: `x.sum(0)` is `tx.sum(x, 0)`, and `x @ y` is `tx.matmul(x, y)`.
    """

    __slots__ = ("__weakref__", "_asks", "_capture", "_grad", "_value")

    def __init__(self, value: Node | Buffer, requires_grad: bool = False) -> None:
        self._value = value
        self._grad: Tensor | None = None
        self._capture = capture.current()
        self._asks = False
        if isinstance(value, Node):
            self._asks = requires_grad and is_float(value.dtype)
            if self._capture is None:
                capture.pending[id(self)] = self
        elif not isinstance(value, Buffer):
            what = f"is not made of {type(value).__name__} by its class"
            raise ArgumentError(
                explain("Tensor", what, remedy="use tx.tensor(data), tx.zeros(shape)")
            )
        elif requires_grad:
            self.requires_grad_()

    # What it is

    @property
    def node(self) -> Node:
        """The node that stands for this tensor here and now."""
        recording = capture.current()
        value = self._value
        if isinstance(value, Buffer):
            if recording is not None:
                return recording.leaf(value)
            if value.is_foreign:
                used.buffers.append(value)
            return value.leaf
        if recording is not None and self._capture is not recording:
            return recording.lift(value)
        if recording is None and self._capture is not None:
            what = "this tensor exists only inside the function that tx.jit recorded"
            made, remedy = [("it", value.where)], "return it from the function"
            raise GraphError(explain("tensor", what, made=made, remedy=remedy))
        return value

    @property
    def shape(self) -> Shape:
        """The length of each axis."""
        return self._value.shape

    @property
    def dtype(self) -> DType:
        """The element type, a `numpy.dtype`."""
        return self._value.dtype

    @property
    def ndim(self) -> int:
        """How many axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def device(self) -> str:
        """ "cpu", as the array API standard asks."""
        return "cpu"

    @property
    def buffer(self) -> Buffer:
        """The memory of a concrete tensor. Errors: GraphError where it is computed from others."""
        if isinstance(self._value, Node):
            what = "only a tensor that stands on memory can be assigned or ask for gradients"
            made, remedy = [("it", self._value.where)], "use detach() for a tensor of its own"
            raise GraphError(explain("tensor", what, made=made, remedy=remedy))
        return self._value

    @property
    def array(self) -> Array:
        """The memory itself, computed if need be. It may change under a later step: see numpy()."""
        value = self._value
        return value.array if isinstance(value, Buffer) else self._array()

    # Reading values

    def realize(self) -> Tensor:
        """Computes the value now."""
        capture.refuse("realize")
        self._array()
        return self

    def _array(self) -> Array:
        if isinstance(self._value, Buffer):
            return self._value.array
        (array,) = evaluate([self.node])
        if isinstance(self._value, Node):
            capture.pending.pop(id(self), None)
            if not self.requires_grad:
                # What needs no gradient needs no history either: graphs do not grow for ever.
                self._value = Buffer(array, self._value.where)
                self._value.is_shared = True  # by whoever holds the node
        return array

    def numpy(self) -> Array:
        """The values as a read-only NumPy array, which later steps leave as it is.

        Without a copy, but where the tensor stands on memory of another library.
        """
        capture.refuse("numpy()")
        array = self.exported()
        if isinstance(self._value, Buffer) and self._value.is_foreign:
            array = array.copy()
            array.flags.writeable = False
        return array

    def exported(self) -> Array:
        """The memory itself to others, read-only: a step that would write there moves first."""
        view = self._array().view()
        view.flags.writeable = False
        if isinstance(self._value, Buffer):
            self._value.is_shared = True
        return view

    def item(self) -> Any:
        """The value of a tensor with one element, as a Python number."""
        capture.refuse("item()")
        if self.size != 1:
            remedy = "use tolist() or numpy() for all, or reduce it with sum(), mean() or max()"
            what = f"needs one element, the shape is {self.shape}"
            raise ShapeError(explain("item", what, remedy=remedy))
        return self._array().item()

    def tolist(self) -> Any:
        """Nested lists of Python numbers."""
        return self.numpy().tolist()

    def __bool__(self) -> bool:
        capture.refuse("the truth of a tensor", "choose with tx.where(condition, x, y)")
        if self.size != 1:
            remedy = "use .all() or .any(), and & | ~ in place of and, or, not"
            raise ShapeError(explain("truth", f"{self.shape} are many truths", remedy=remedy))
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        capture.refuse("a Python integer", "pass it as a Python number: each is recorded by itself")
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise DTypeError(explain("index", f"needs an integer tensor, got {self.dtype}"))
        capture.refuse("a Python integer", "pass it as a Python number: each is recorded by itself")
        return int(self.item())

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len: a 0-d tensor has no length")
        return self.shape[0]

    def __repr__(self) -> str:
        if capture.current() is not None:
            return f"Tensor({self.dtype}{list(self.shape)}, recorded)"
        values = np.array2string(self._array(), separator=", ", prefix="Tensor(")
        return f"Tensor({values}, {self.dtype})"

    # As a container

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    @property
    def T(self) -> Tensor:
        """All axes in the opposite order."""
        return functions.permute_dims(self, tuple(range(self.ndim))[::-1])

    @property
    def mT(self) -> Tensor:
        """The last two axes swapped: each matrix transposed."""
        return functions.swapaxes(self, -1, -2)

    # Gradients

    @property
    def is_leaf(self) -> bool:
        """Whether it stands on memory, and is not computed from other tensors."""
        return isinstance(self._value, Buffer)

    @property
    def requires_grad(self) -> bool:
        """Whether it asks for gradients; True may be set for a leaf of a floating-point type."""
        return self._asks

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        self.requires_grad_(wanted)

    @property
    def grad(self) -> Tensor | None:
        """What `backward` has added up for this leaf; None before, and once set to None."""
        if self._grad is None and self._asks and isinstance(self._value, Node):
            warnings.warn(no_leaf(self._value.where), stacklevel=2)
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        recording = capture.current()
        if recording is not None:
            recording.note_grad(self, self._grad)
        self._grad = value

    def requires_grad_(self, wanted: bool = True) -> Tensor:
        """Asks for gradients of this concrete floating-point tensor."""
        if wanted and not is_float(self.dtype):
            what, remedy = f"{self.dtype} has no gradients", "make it of floats, as tx.float32"
            raise DTypeError(explain("requires_grad", what, remedy=remedy))
        if self.buffer.is_foreign:
            self.buffer.own()
        self.buffer.owner = weakref.ref(self) if wanted else None
        self._asks = wanted
        return self

    def detach(self) -> Tensor:
        """The same values, cut off from the graph."""
        if isinstance(self._value, Buffer):
            return Tensor(self._value)
        result: Tensor = build("stop_gradient", self, keep=False)
        return result

    @knows_arguments
    def backward(self, gradient: TensorLike = None) -> None:
        """Adds to `.grad` of every leaf that this tensor was computed from."""
        node = self.node
        if not self.requires_grad:
            what, made = "no tensor behind this one asks for gradients", [("it", node.where)]
            remedy = "make one with requires_grad=True, and compute outside of tx.no_grad()"
            raise GraphError(explain("backward", what, made=made, remedy=remedy))
        b = Builder(current_scope(), user_place())
        if gradient is not None:
            cotangent = as_tensor(gradient, self.dtype).node
        elif self.size == 1:
            cotangent = b.full(self.shape, 1, self.dtype)
        else:
            raise ShapeError(
                explain(
                    "backward",
                    f"the tensor has shape {self.shape}",
                    made=[("it", node.where)],
                    remedy="reduce it to one number, or pass gradient=",
                )
            )
        leaves = _leaves_of(node)
        found = reverse([node], [cotangent], list(leaves))
        pairs = [(t, g) for t, g in zip(leaves.values(), found, strict=True) if g is not None]
        for tensor, grad in pairs:
            before = tensor.grad
            tensor.grad = Tensor(grad if before is None else b.add(before.node, grad))
        if capture.current() is None:
            evaluate([t.grad.node for t, _ in pairs if t.grad is not None])
            for tensor, _ in pairs:
                assert tensor.grad is not None
                tensor.grad.realize()

    def assign_(self, value: TensorLike) -> Tensor:
        """New contents for a concrete tensor. Errors: ShapeError, DTypeError, GraphError."""
        source = as_tensor(value, self.dtype)
        if source.shape != self.shape or source.dtype != self.dtype:
            kind = ShapeError if source.shape != self.shape else DTypeError
            what = f"cannot put {source.dtype}{source.shape} into {self.dtype}{self.shape}"
            remedy = "give a value of its shape and dtype: astype converts"
            raise kind(explain("assign", what, remedy=remedy))
        buffer, node, recording = self.buffer, source.node, capture.current()
        if recording is not None:
            recording.assign(buffer, node)
        else:
            (array,) = evaluate([node])
            buffer.replace(array.copy() if node.op.name == "buffer" else array)
        return self


def _leaves_of(node: Node) -> dict[Node, Tensor]:
    """The tensors with `requires_grad` behind `node`, by the node that stands for them."""
    recording = capture.current()
    owners = recording.owners if recording is not None else {}

    def owner(n: Node) -> Tensor | None:
        if n.op.name == "buffer":
            reference = getattr(n.attrs["buffer"], "owner", None)
            return reference() if reference is not None else None
        return owners.get(n)

    nodes = collect([node], stop=lambda n: owner(n) is not None)
    return {n: t for n in nodes if (t := owner(n)) is not None}


def as_tensor(value: TensorLike, beside: DType | None = None) -> Tensor:
    """`value` as a Tensor. Numbers take the dtype `beside`, weakly."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (bool, int, float)) and beside is not None:
        return Tensor(Builder().constant(value, scalar_dtype(value, beside)))
    return Tensor(Buffer.of(array_of(value), where=user_place()))


def _is_weak(value: Any) -> bool:
    """A Python number; np.float64 is one too, but has a dtype (NEP 50)."""
    return isinstance(value, (bool, int, float)) and not isinstance(value, np.generic)


def promoted(*values: TensorLike) -> list[Node]:
    """Nodes of one dtype, by the promotion of the array API; Python numbers are weak."""
    tensors = [v if isinstance(v, Tensor) or _is_weak(v) else as_tensor(v) for v in values]
    dtypes = [t.dtype for t in tensors if isinstance(t, Tensor)]
    if not dtypes:
        tensors = [as_tensor(v) for v in values]
        dtypes = [t.dtype for t in tensors if isinstance(t, Tensor)]
    common = dtypes[0]
    for dtype in dtypes[1:]:
        common = promote(common, dtype)
    for value in tensors:
        if not isinstance(value, Tensor):
            common = scalar_dtype(value, common)
    b = Builder(current_scope(), user_place())
    nodes = []
    for value in tensors:
        node = value.node if isinstance(value, Tensor) else b.constant(value, common)
        nodes.append(node if node.dtype == common else b.astype(node, dtype=common))
    return nodes


def build(op: str, /, *inputs: Any, keep: bool = True, **attrs: Any) -> Any:
    """The tensor(s) of operator `op`; gradients are asked for where an input asks for them."""
    b = Builder(current_scope(), user_place())
    nodes = [i.node if isinstance(i, Tensor) else i for i in inputs]
    wants = keep and any(isinstance(i, Tensor) and i.requires_grad for i in inputs)
    return wrap(b.apply(find(op), *nodes, **attrs), wants)


def wrap(result: Any, wants: bool) -> Any:
    """Tensors of what the Builder returned."""
    wants = wants and are_gradients_on()
    tensors = tuple(Tensor(r, wants) for r in (result if isinstance(result, tuple) else (result,)))
    if used.buffers:
        settle_foreign(tensors)
    return tensors if isinstance(result, tuple) else tensors[0]
