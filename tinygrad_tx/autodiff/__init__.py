"""Derivatives as graphs: reverse and forward mode, each from graph to graph."""

from tinygrad_tx.autodiff.forward import forward
from tinygrad_tx.autodiff.reverse import reverse

__all__ = ["forward", "reverse"]
