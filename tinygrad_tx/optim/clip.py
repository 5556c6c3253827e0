"""Clipping of gradients by their joint norm."""

from __future__ import annotations

from collections.abc import Iterable

from tinygrad_tx.errors import ArgumentError, GraphError, explain
from tinygrad_tx.tensor import Tensor, clip, no_grad, sqrt, square

__all__ = ["clip_grad_norm", "grad_norm"]


def grad_norm(parameters: Iterable[Tensor]) -> Tensor:
    """The joint norm of all gradients. Errors: GraphError where there is none."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        what = "no parameter has a gradient"
        raise GraphError(explain("grad_norm", what, remedy="call backward first"))
    with no_grad():
        terms = [square(g).sum() for g in gradients]
        return sqrt(sum(terms[1:], terms[0]))


def clip_grad_norm(
    parameters: Iterable[Tensor], largest: float, norm: Tensor | None = None
) -> Tensor:
    """Scales all gradients so that their joint norm is at most `largest`; returns the norm.

    norm: what the joint norm is, where these are not all that belong together. Source: Pascanu et
    al. 2013, algorithm 1. A norm that is not finite makes the gradients NaN.
    """
    if not largest > 0:
        what = f"the largest norm is {largest}, not above 0"
        raise ArgumentError(explain("clip_grad_norm", what, remedy="1.0 is usual"))
    chosen = [p for p in parameters if p.grad is not None]
    norm = grad_norm(chosen) if norm is None else norm
    with no_grad():
        factor = clip(largest / (norm + 1e-6), max=1.0)
        for parameter in chosen:
            assert parameter.grad is not None
            parameter.grad = parameter.grad * factor
    return norm
