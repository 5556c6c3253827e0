"""Pictures of the graph: block diagrams as in papers, and every operation."""

from tinygrad_tx.viz.draw import draw
from tinygrad_tx.viz.render import Drawing, Plot

__all__ = ["Drawing", "Plot", "draw"]
