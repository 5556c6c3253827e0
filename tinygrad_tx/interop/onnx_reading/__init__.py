"""What ONNX operators mean in our functions: a table, a file for each theme."""

from tinygrad_tx.interop.onnx_reading import (  # noqa: F401  # they fill the table
    elementwise,
    products,
    selection,
    shapes,
)
from tinygrad_tx.interop.onnx_reading.call import MEANINGS, MOST_ELEMENTS, Call, Value

__all__ = ["MEANINGS", "MOST_ELEMENTS", "Call", "Value"]
