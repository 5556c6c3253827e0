"""The errors of the project: one family, one form of message.

Every message reads: operation: what is wrong: the values; where the tensors were made; what to do.
Each class is also a subclass of the built-in that people already catch.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "ArgumentError",
    "AxisError",
    "CaptureError",
    "CheckpointError",
    "CompileError",
    "DTypeError",
    "DataError",
    "DeviceError",
    "DrawError",
    "GraphError",
    "GroupError",
    "IndexRangeError",
    "NoSuchNameError",
    "NonFiniteError",
    "OnnxError",
    "PointError",
    "Rejected",
    "ShapeError",
    "SharingError",
    "TinygradTxError",
    "explain",
]


LONGEST = 4000
"""Characters of a message."""


class TinygradTxError(Exception):
    """Base of every error that tinygrad_tx raises on purpose."""


class ShapeError(TinygradTxError, ValueError):
    """Sizes or axes that do not fit the operation."""


class AxisError(ShapeError, IndexError):
    """An axis that is not there; people catch it as either, as NumPy's."""


class DTypeError(TinygradTxError, TypeError):
    """An element type, or a Python type, that the operation does not take."""


class ArgumentError(TinygradTxError, TypeError, ValueError):
    """Arguments that a function does not take, or one that it needs and was not given."""


class NoSuchNameError(TinygradTxError, AttributeError):
    """A name that a tensor, a module or this package does not have."""


class IndexRangeError(TinygradTxError, IndexError):
    """An integer index outside the axis that it points into."""


class GraphError(TinygradTxError, RuntimeError):
    """A graph that cannot be built, differentiated or rewritten as asked."""


class GroupError(TinygradTxError, RuntimeError):
    """Processes that cannot train together: one is missing, silent, or was started otherwise."""


class SharingError(TinygradTxError, BufferError, ValueError):
    """Memory that cannot be used by two libraries without a copy."""


class DeviceError(TinygradTxError, ValueError):
    """A device that is not there: everything here is computed on the CPU."""


class CaptureError(TinygradTxError, RuntimeError):
    """Something that cannot be done while `tx.jit` captures a function."""


class CompileError(TinygradTxError, RuntimeError):
    """A graph that cannot be turned into a Program."""


class NonFiniteError(TinygradTxError, ArithmeticError):
    """A NaN or an infinity where a finite number is required."""


class PointError(TinygradTxError, LookupError):
    """A name that no point of a graph has."""


class CheckpointError(TinygradTxError, ValueError):
    """A checkpoint or run folder that cannot be written, read or matched."""


class DataError(TinygradTxError, ValueError):
    """Text or tokens that cannot be used."""


class DrawError(TinygradTxError, RuntimeError):
    """A picture that cannot be rendered or written."""


class OnnxError(DrawError):
    """An ONNX file that cannot be read, drawn or run, or a function that cannot become one."""


class Rejected(Exception):  # noqa: N818  # never leaves the package
    """What an operator's `infer` raises; the Builder turns it into `kind` with names and places."""

    def __init__(self, kind: type[TinygradTxError], what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.kind = kind
        self.what = what
        self.remedy = remedy


def explain(
    operation: str, what: str, *, made: Iterable[tuple[str, str]] = (), remedy: str = ""
) -> str:
    """One message in the project's form.

    `made` pairs a word for each operand with the place (`file:line`) where it was made.
    """
    places = ", ".join(f"{word} made at {place}" for word, place in made if place)
    whole = "; ".join(part for part in (f"{operation}: {what}", places, remedy) if part)
    return _one_line(whole if whole.endswith("?") else f"{whole}.")


def _one_line(text: str) -> str:
    """Whatever a file says that is complained of: no line ends, no signs that steer a terminal, and
    no more of it than can be read."""
    if len(text) > LONGEST:
        half = LONGEST // 2
        text = f"{text[:half]} … {text[-half:]}"
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )
