"""Gradient testing for our operators and for anyone's functions.

The strategies need Hypothesis: `from tinygrad_tx.testing.strategies import arrays, tensors, ...`,
`from tinygrad_tx.testing.graphs import graphs, transformers`. Read gradcheck.py and report.py;
rows.py takes our operators through it, programs.py whole graphs, plugin.py is pytest's side.
"""

from tinygrad_tx.missing import of_package
from tinygrad_tx.testing.gradcheck import check_jacobian, gradcheck
from tinygrad_tx.testing.operators import apply
from tinygrad_tx.testing.programs import check_program
from tinygrad_tx.testing.report import CheckInputError, GradientError, Report
from tinygrad_tx.testing.rows import check_operator, checked_operators
from tinygrad_tx.testing.subjects import from_jax, from_torch

__all__ = [
    "CheckInputError",
    "GradientError",
    "Report",
    "apply",
    "check_jacobian",
    "check_operator",
    "check_program",
    "checked_operators",
    "from_jax",
    "from_torch",
    "gradcheck",
]


__getattr__ = of_package(__name__, __all__)
