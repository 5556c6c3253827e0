"""Pictures of the graph: block diagrams as in papers, and every operation.

Read draw.py, views.py (which view is made where) and picture.py (boxes in frames, arrows); a file
for each view, then dot.py, mermaid.py and page.py write what was made and render.py draws it.
"""

from tinygrad_tx.viz.draw import draw
from tinygrad_tx.viz.render import Drawing, Plot

__all__ = ["Drawing", "Plot", "draw"]
