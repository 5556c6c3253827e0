"""What people try on a tensor that it does not do: each refusal says what to do instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from tinygrad_tx import capture
from tinygrad_tx.elsewhere import TENSOR
from tinygrad_tx.errors import GraphError, explain
from tinygrad_tx.missing import no_such_name

if TYPE_CHECKING:
    from tinygrad_tx.tensor.tensor import Tensor

__all__ = ["Refusals", "no_leaf"]


def _in_place(sign: str) -> Callable[[Any, Any], Any]:
    """`x += y` gives a new tensor; a parameter would then be none any more, without a word."""

    def refuse(self: Tensor, other: Any) -> Any:
        del other
        if not (self.requires_grad and self.is_leaf):
            return NotImplemented  # Python then computes x = x + y
        raise GraphError(
            explain(
                f"{sign}=",
                "this tensor asks for gradients, and would become the result of an operation",
                made=[("it", self.node.where)],
                remedy=f"use w.assign_(w {sign} change) to update it, or an optimiser; "
                f"y = w {sign} change for a new tensor",
            )
        )

    return refuse


class Refusals:
    """Assignments, formats and names of other libraries."""

    __slots__ = ()

    __iadd__ = _in_place("+")
    __isub__ = _in_place("-")
    __imul__ = _in_place("*")
    __itruediv__ = _in_place("/")
    __imatmul__ = _in_place("@")
    __ipow__ = _in_place("**")

    def __setitem__(self: Any, key: Any, value: Any) -> NoReturn:
        raise GraphError(
            explain(
                "setitem",
                "tensors are immutable",
                made=[("it", self.node.where)],
                remedy="tx.where(mask, value, x) and tx.scatter_add make a new one; a NumPy array "
                "can be changed before tx.tensor(array)",
            )
        )

    def __format__(self: Any, spec: str) -> str:
        """As the number that it holds, by `spec`; as `repr` without one."""
        if not spec or capture.current() is not None:
            return str(self)
        return format(self.item(), spec)

    if not TYPE_CHECKING:  # else a type checker would take every name for there

        def __getattr__(self, name: str) -> Any:
            raise no_such_name("tensor", name, dir(type(self)), TENSOR)


def no_leaf(where: str) -> str:
    """The warning for whoever reads the gradient of a result, which keeps none."""
    return explain(
        "grad",
        "only leaves keep a gradient, and this tensor is the result of an operation",
        made=[("it", where)],
        remedy="use tx.vjp, or tx.reasoning.gradients for points of a model",
    )
