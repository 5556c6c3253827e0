"""What an operator's `lower` sees: views of memory to read and write, and kernels to call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from tinygrad_tx.dtypes import DType, float32
from tinygrad_tx.shapes import Shape, size_of

__all__ = ["MOST_SHARES", "Call", "Kernel", "Lowering", "Operand", "View", "shares_of"]

MOST_SHARES = 16


@dataclass(frozen=True, slots=True)
class Kernel:
    """A serial function `(ith, nth, operands, arena)` that does share `ith` of `nth`.

    name: unique, as `matmul.pack`. function: the `njit` function, found as `<attribute>.function`
    in the module that defines it (see ops/kernels/kernel.py). Generated kernels have their module
    text in `source` instead.
    """

    name: str
    function: Any = field(default=None, compare=False)
    source: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """A strided piece of a buffer. `offset` and `strides` count elements of `dtype`."""

    buffer: int
    offset: int
    shape: Shape
    strides: Shape
    dtype: DType

    @property
    def size(self) -> int:
        return size_of(self.shape)


Operand = View | Kernel | int | float
"""A view is passed as the address of its first element, a kernel as that of its code, a float as
the bits of a float64."""


@dataclass(frozen=True, slots=True)
class Call:
    """A row of the tape: a kernel, its operands, and into how many shares it is cut."""

    kernel: Kernel
    operands: tuple[Operand, ...]
    shares: int = 1


def shares_of(work: int, of_a_share: int, items: int = MOST_SHARES) -> int:
    """Into how many shares a row of the tape is cut: none smaller than `of_a_share`.

    It depends on sizes alone, so that any number of threads gives the same bits, and is a power of
    two, so that two or four threads get equal parts. `items`: what cannot be cut further.
    """
    most = min(MOST_SHARES, items, work // of_a_share)
    return 1 << (most.bit_length() - 1) if most > 1 else 1


class Lowering(Protocol):
    """The compiler's side of `lower`."""

    @property
    def reads(self) -> tuple[View, ...]:
        """One view for each input, in a layout that the operator's `reads` allows."""

    @property
    def writes(self) -> tuple[View, ...]:
        """One view for each result, in a layout that the operator's `writes` allows."""

    @property
    def epilogue(self) -> Call | None:
        """Elementwise work on the result, row by row (share i of n is row i where n is the number
        of rows), that is still to be done. Only for operators that say `epilogue=True`."""

    @property
    def tag(self) -> int:
        """Number of this node in the Program: pass it to a kernel that may report a status."""

    def copy(self, source: View, target: View) -> None:
        """Copies element by element; nothing if both are the same memory."""

    def fill(self, target: View, value: float) -> None:
        """Sets every element."""

    def workspace(self, count: int, dtype: DType = float32) -> View:
        """Memory that lives for this node only, 64-byte aligned; its content is undefined."""

    def call(self, kernel: Kernel, *operands: Any, shares: int = 1) -> None:
        """Adds one row to the tape. `shares` must depend on sizes alone, never on the machine."""
