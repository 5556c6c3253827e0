"""Buffer: the memory of a concrete tensor, and what is known of nodes that have been computed."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from tinygrad_tx.dtypes import DType, as_dtype
from tinygrad_tx.graph.node import Aval, Node, make_node
from tinygrad_tx.graph.registry import find
from tinygrad_tx.shapes import Shape, size_of

__all__ = ["Array", "Buffer", "aligned", "realized"]

Array = np.ndarray[Any, Any]

ALIGNMENT = 64  # one cache line, one AVX-512 register

realized: weakref.WeakKeyDictionary[Node, Array] = weakref.WeakKeyDictionary()
"""Values of nodes that have been computed, for as long as somebody holds the node."""


def aligned(shape: Shape, dtype: DType) -> Array:
    """Uninitialised C-ordered memory that starts on a cache line."""
    nbytes = size_of(shape) * dtype.itemsize
    raw = np.empty(nbytes + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + nbytes].view(dtype).reshape(shape)


class Buffer:
    """Memory with an identity: what a concrete tensor, a parameter or a moment stands on.

    `array` may be written in place by a captured step. Every change makes a new version with a
    leaf of its own, so that graphs built on the old leaf never read new contents.
    """

    __slots__ = ("__weakref__", "_leaf", "array", "owner", "version", "where")

    def __init__(self, array: Array, where: str = "") -> None:
        self.array = array
        self.where = where
        """The user's file and line that asked for it."""
        self.version = 0
        self.owner: weakref.ref[Any] | None = None
        self._leaf: weakref.ref[Node] | None = None

    @classmethod
    def of(cls, data: Any, dtype: DType | None = None, where: str = "") -> Buffer:
        """A buffer with a copy of `data`."""
        source = np.asarray(data, dtype)
        array = aligned(source.shape, as_dtype(source.dtype))
        array[...] = source
        return cls(array, where)

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
        if leaf is not None:
            realized[leaf] = self.array
        self.array = array
        self.touch()

    def touch(self) -> None:
        """Starts a new version, after the contents changed."""
        self.version += 1
        self._leaf = None
