"""Shape and dtype rules that many operators share."""

from __future__ import annotations

from collections.abc import Callable

from tinygrad_tx.dtypes import bool_, is_float
from tinygrad_tx.errors import DTypeError, Rejected, ShapeError
from tinygrad_tx.graph.node import Aval

__all__ = ["alike", "comparison", "floating", "floating_test", "logical", "numeric"]

Infer = Callable[..., Aval]


def alike(*avals: Aval) -> Aval:
    """All of one shape and one dtype, which are the result's (the Builder has broadcast)."""
    first = avals[0]
    for other in avals[1:]:
        if other.shape != first.shape:
            raise Rejected(ShapeError, f"shapes differ: {first.shape} and {other.shape}")
        if other.dtype != first.dtype:
            raise Rejected(
                DTypeError,
                f"dtypes differ: {first.dtype} and {other.dtype}",
                "convert one with astype",
            )
    return first


def floating(*avals: Aval) -> Aval:
    """As `alike`, of a floating dtype."""
    result = alike(*avals)
    if not is_float(result.dtype):
        raise Rejected(
            DTypeError, f"takes floating-point numbers, got {result.dtype}", "use astype(float32)"
        )
    return result


def numeric(*avals: Aval) -> Aval:
    """As `alike`, of any dtype but bool."""
    result = alike(*avals)
    if result.dtype == bool_:
        raise Rejected(DTypeError, "takes numbers, got bool", "use astype(int32) first")
    return result


def logical(*avals: Aval) -> Aval:
    """As `alike`, all bool."""
    result = alike(*avals)
    if result.dtype != bool_:
        raise Rejected(DTypeError, f"takes bool, got {result.dtype}", "compare with != 0 first")
    return result


def comparison(*avals: Aval) -> Aval:
    """As `alike`; the result is bool."""
    return Aval(alike(*avals).shape, bool_)


def floating_test(*avals: Aval) -> Aval:
    """A floating-point operand; the result is bool."""
    return Aval(floating(*avals).shape, bool_)
