"""Derivatives as graphs: reverse and forward mode, each from graph to graph.

Read reverse.py; forward.py is its mirror, and expansion.py opens composites that have no rule for
a mode.
"""

from tinygrad_tx.autodiff.forward import forward
from tinygrad_tx.autodiff.reverse import reverse

__all__ = ["forward", "reverse"]
