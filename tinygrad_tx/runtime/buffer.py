"""Buffer: the memory of a concrete tensor, and what is known of nodes that have been computed."""

from __future__ import annotations

import ctypes
import sys
import weakref
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import DType, as_dtype
from tinygrad_tx.errors import GraphError, explain
from tinygrad_tx.graph.node import Aval, Node, make_node
from tinygrad_tx.graph.registry import find
from tinygrad_tx.shapes import Shape, size_of

__all__ = [
    "AbstractBuffer",
    "Array",
    "Buffer",
    "Recycler",
    "Slab",
    "address_of_array",
    "aligned",
    "realized",
]

Array = np.ndarray[Any, Any]

ALIGNMENT = 64  # one cache line, one AVX-512 register

realized: weakref.WeakKeyDictionary[Node, Array] = weakref.WeakKeyDictionary()
"""Values of nodes that have been computed, for as long as somebody holds the node."""


def aligned(shape: Shape, dtype: DType) -> Array:
    """Uninitialised C-ordered memory that starts on a cache line."""
    return Recycler(shape, dtype).take()


def address_of_array(array: Array) -> int:
    """Where its first element lies; a third of what `array.ctypes.data` takes."""
    address: int = array.__array_interface__["data"][0]
    return address


class Slab:
    """Memory for all results of a Program side by side, `times` over.

    NumPy asks for large pages from 4 MB on. With small ones many results of some size, as all
    points of a model, cost a miss of the address cache for every 4 KB. A result that is held holds
    it all, and so does the Program that writes there again.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = tuple(sizes)
        rounded = (n + -n % ALIGNMENT for n in self._sizes)
        self._starts = tuple(accumulate(rounded, initial=0))
        self._raws: list[Array] = []

    def block(self, number: int, time: int) -> Any:
        """The memory of result `number`, from the start of a cache line; an object of its own, so
        that its references tell whether somebody holds it."""
        while len(self._raws) <= time:
            self._raws.append(np.empty(self._starts[-1] + ALIGNMENT, np.uint8))
        raw = self._raws[time]
        start = -address_of_array(raw) % ALIGNMENT + self._starts[number]
        return (ctypes.c_uint8 * self._sizes[number]).from_buffer(raw.data, start)


def _references(kept: list[Any], number: int) -> int:
    """How many hold an element of a list, counted in one place: what the count itself adds differs
    between versions of Python (3.14 borrows where 3.11 counts)."""
    return sys.getrefcount(kept[number])


def _count_of_free() -> int:
    """The count of what only its list holds; -1, which no count is, where a view does not show in
    it: memory is then never given out again."""
    kept = [np.empty(1, np.uint8)]
    free = _references(kept, 0)
    view = kept[0][:1]
    return free if _references(kept, 0) == free + 1 and view.base is kept[0] else -1


_FREE = _count_of_free()


class Recycler:
    """Memory for one result of a Program: what nobody holds any more is given out again.

    Fresh memory of some size costs a page fault for every 4 KB, often more than the work itself.
    slab: where result `number` lies beside others.
    """

    KEPT = 3

    def __init__(
        self, shape: Shape, dtype: DType, slab: Slab | None = None, number: int = 0
    ) -> None:
        self._shape, self._dtype = shape, dtype
        self._nbytes = size_of(shape) * dtype.itemsize
        self._slab, self._number = slab, number
        self._kept: list[Any] = []
        self._starts: list[tuple[int, int]] = []
        """Of each of the kept: the first byte that is used, and its address."""

    def take(self) -> Array:
        """An array with any contents, C-ordered, at the start of a cache line."""
        return self.take_with_address()[0]

    def take_with_address(self) -> tuple[Array, int]:
        """As `take`, and where the array begins."""
        for number in range(len(self._kept)):
            if _references(self._kept, number) == _FREE:
                return self._view(self._kept[number], self._starts[number])
        is_kept = len(self._kept) < self.KEPT
        if is_kept and self._slab is not None:
            raw = self._slab.block(self._number, len(self._kept))
            start = (0, ctypes.addressof(raw))
        else:
            raw = np.empty(self._nbytes + ALIGNMENT, np.uint8)
            address = address_of_array(raw)
            start = (-address % ALIGNMENT, address + -address % ALIGNMENT)
        if is_kept:
            self._kept.append(raw)
            self._starts.append(start)
        return self._view(raw, start)

    def _view(self, raw: Any, start: tuple[int, int]) -> tuple[Array, int]:
        return np.ndarray(self._shape, self._dtype, raw, start[0]), start[1]


class Buffer:
    """Memory with an identity: what a concrete tensor, a parameter or a moment stands on.

    `array` may be written in place by a captured step. Every change makes a new version with a
    leaf of its own, so that graphs built on the old leaf never read new contents.
    """

    __slots__ = (
        "__weakref__",
        "_leaf",
        "array",
        "is_foreign",
        "is_shared",
        "owner",
        "version",
        "where",
    )

    def __init__(self, array: Array, where: str = "") -> None:
        self.array = array
        self.where = where
        """The user's file and line that asked for it."""
        self.version = 0
        self.owner: weakref.ref[Any] | None = None
        self.is_shared = False
        """Whether others may read this memory: it is left to them before a step writes there."""
        self.is_foreign = False
        """Whether others may write there, at any time."""
        self._leaf: weakref.ref[Node] | None = None

    @classmethod
    def of(cls, data: Any, dtype: DType | None = None, where: str = "") -> Buffer:
        """A buffer with a copy of `data`."""
        source = np.asarray(data, dtype)
        array = aligned(source.shape, as_dtype(source.dtype))
        array[...] = source
        return cls(array, where)

    @classmethod
    def on(cls, array: Array, where: str = "") -> Buffer:
        """A buffer on the memory of another library, which keeps its right to write there.

        `array` is contiguous, aligned and in the byte order of the machine.
        """
        buffer = cls(array, where)
        buffer.is_shared = buffer.is_foreign = True
        return buffer

    def own(self) -> None:
        """Moves to memory that nobody else knows, where this is not."""
        if self.is_shared:
            array = aligned(self.shape, self.dtype)
            array[...] = self.array
            self.array = array
            self.is_shared = self.is_foreign = False

    @property
    def is_real(self) -> bool:
        """Whether it has memory."""
        return True

    @property
    def shape(self) -> Shape:
        return tuple(self.array.shape)

    @property
    def dtype(self) -> DType:
        dtype: DType = self.array.dtype
        return dtype

    @property
    def leaf(self) -> Node:
        """The node of the present version."""
        leaf = self._leaf() if self._leaf is not None else None
        if leaf is None:
            attrs = {"buffer": self, "tag": self.version}
            aval = Aval(self.shape, self.dtype)
            leaf = make_node(find("buffer"), (), attrs, (aval,), "", "", self.where)
            self._leaf = weakref.ref(leaf)
        return leaf

    def replace(self, array: Array) -> None:
        """New contents. Graphs on the old leaf keep the old array."""
        leaf = self._leaf() if self._leaf is not None else None
        if leaf is not None and self.is_real:
            realized[leaf] = self.array
        self.array = array
        self.is_shared, self.is_foreign = True, False  # it is the value of a node, too
        self.touch()

    def touch(self) -> None:
        """Starts a new version, after the contents changed."""
        self.version += 1
        self._leaf = None


class AbstractBuffer(Buffer):
    """A shape and a dtype without memory, until something is put into it."""

    __slots__ = ("_array", "_aval")

    def __init__(self, shape: Shape, dtype: DType) -> None:
        self._aval = Aval(shape, dtype)
        self._array: Array | None = None
        self.where = ""
        self.version = 0
        self.owner = None
        self.is_shared = self.is_foreign = False
        self._leaf = None

    @property
    def is_real(self) -> bool:
        return self._array is not None

    @property
    def array(self) -> Array:
        """Errors: GraphError as long as nothing was put into it."""
        if self._array is None:
            what = f"{self._aval} has a shape and no values: the model is abstract"
            remedy = "build the model itself, or load weights into it"
            raise GraphError(explain("tensor", what, remedy=remedy))
        return self._array

    @array.setter
    def array(self, array: Array) -> None:
        self._array = array

    @property
    def shape(self) -> Shape:
        return self._aval.shape

    @property
    def dtype(self) -> DType:
        return self._aval.dtype
