"""Rules for what is computed element by element."""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_tx.dtypes import bool_, is_float
from tinygrad_tx.interop.onnx_trace import OpenNode
from tinygrad_tx.interop.onnx_writing.rules import named, rule
from tinygrad_tx.interop.onnx_writing.writer import Writer

__all__: list[str] = []

for ours, theirs in (
    ("abs", "Abs"),
    ("add", "Add"),
    ("ceil", "Ceil"),
    ("cos", "Cos"),
    ("divide", "Div"),
    ("equal", "Equal"),
    ("erf", "Erf"),
    ("exp", "Exp"),
    ("floor", "Floor"),
    ("greater", "Greater"),
    ("greater_equal", "GreaterOrEqual"),
    ("isinf", "IsInf"),
    ("isnan", "IsNaN"),
    ("less", "Less"),
    ("less_equal", "LessOrEqual"),
    ("log", "Log"),
    ("logical_and", "And"),
    ("logical_not", "Not"),
    ("logical_or", "Or"),
    ("logical_xor", "Xor"),
    ("maximum", "Max"),
    ("minimum", "Min"),
    ("multiply", "Mul"),
    ("negative", "Neg"),
    ("power", "Pow"),
    ("reciprocal", "Reciprocal"),
    ("relu", "Relu"),
    ("round", "Round"),
    ("sigmoid", "Sigmoid"),
    ("sign", "Sign"),
    ("sin", "Sin"),
    ("sqrt", "Sqrt"),
    ("subtract", "Sub"),
    ("tanh", "Tanh"),
    ("where", "Where"),
):
    named(ours, theirs)


@rule("not_equal", "Equal, Not", broadcasts=True)
def not_equal(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    return writer.add("Not", [writer.add("Equal", inputs)])


@rule("square", "Mul")
def square(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    return writer.add("Mul", [inputs[0], inputs[0]])


@rule("rsqrt", "Sqrt, Reciprocal")
def rsqrt(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    return writer.add("Reciprocal", [writer.add("Sqrt", inputs)])


@rule("isfinite", "IsInf, IsNaN, Or, Not")
def isfinite(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    either = writer.add("Or", [writer.add("IsInf", inputs), writer.add("IsNaN", inputs)])
    return writer.add("Not", [either])


@rule("trunc", "Sign, Abs, Floor, Mul")
def trunc(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    """sign(x) floor(|x|)."""
    size = writer.add("Floor", [writer.add("Abs", inputs)])
    return writer.add("Mul", [writer.add("Sign", inputs), size])


@rule("expm1", "Exp, Tanh, Add, Mul")
def expm1(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    """tanh(x/2) (exp(x) + 1), which keeps what exp(x) - 1 loses near 0."""
    half = writer.add("Mul", [inputs[0], writer.scalar(0.5, node.dtype)])
    above = writer.add("Add", [writer.add("Exp", inputs), writer.scalar(1.0, node.dtype)])
    return writer.add("Mul", [writer.add("Tanh", [half]), above])


@rule("log1p", "Log, Atanh, Where")
def log1p(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    """2 atanh(x / (2 + x)) near 0, where log(1 + x) loses x; log(1 + x) beyond 1."""
    (x,) = inputs
    one, two = (writer.scalar(n, node.dtype) for n in (1.0, 2.0))
    share = writer.add("Div", [x, writer.add("Add", [x, two])])
    near = writer.add("Mul", [writer.add("Atanh", [share]), two])
    far = writer.add("Log", [writer.add("Add", [x, one])])
    is_near = writer.add("Less", [writer.add("Abs", [x]), one])
    return writer.add("Where", [is_near, near, far])


@rule("remainder", "Mod, Where", broadcasts=True)
def remainder(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    """Of floats ONNX has C's, with the sign of x: y is added where the signs differ."""
    if not is_float(node.dtype):
        return writer.add("Mod", inputs)
    rest = writer.add("Mod", inputs, fmod=1)
    signs = writer.add("Mul", [writer.add("Sign", [rest]), writer.add("Sign", inputs[1:])])
    differ = writer.add("Less", [signs, writer.scalar(0.0, node.dtype)])
    return writer.add("Where", [differ, writer.add("Add", [rest, inputs[1]]), rest])


@rule("floor_divide", "Mod, Div, Sub", broadcasts=True)
def floor_divide(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    """(x - x mod y) / y; ONNX divides integers towards 0."""
    rest = remainder(writer, node, inputs)
    found = writer.add("Div", [writer.add("Sub", [inputs[0], rest]), inputs[1]])
    return writer.add("Round", [found]) if is_float(node.dtype) else found


@rule("astype", "Cast")
def astype(writer: Writer, node: OpenNode, inputs: Sequence[str]) -> str:
    if is_float(node.inputs[0].dtype) and node.dtype == bool_:
        zero = writer.scalar(0.0, node.inputs[0].dtype)  # a Cast may take 0.5 for 0
        return writer.add("Not", [writer.add("Equal", [inputs[0], zero])])
    return writer.cast(inputs[0], node.dtype)
