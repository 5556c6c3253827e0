"""Chart: a figure of Matplotlib that shows itself in a notebook, without %matplotlib."""

from __future__ import annotations

import io

import matplotlib
from matplotlib.figure import Figure

from tinygrad_tx.viz.render import fitted

__all__ = ["Chart"]


class Chart(Figure):
    """A Figure like any other; at the end of a cell it is an SVG whose text stays text."""

    def _repr_svg_(self) -> str:
        out = io.BytesIO()
        # A fixed salt and no date: the same run gives the same bytes.
        with matplotlib.rc_context({"svg.hashsalt": "tinygrad_tx", "svg.fonttype": "none"}):
            self.savefig(out, format="svg", metadata={"Date": None})
        return fitted(out.getvalue().decode())
