"""ONNX operators in our words: what each is called here, which inputs are values, what it costs."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from tinygrad_tx.graph.node import Cost, Node
from tinygrad_tx.interop.foreign import UNKNOWN_RANK

__all__ = ["SIZES", "STEPS", "VIEWS", "WORDS", "cost_of", "values_of"]

WORDS = {
    "Abs": "abs",
    "Add": "add",
    "And": "logical_and",
    "ArgMax": "argmax",
    "ArgMin": "argmin",
    "Attention": "attention",
    "BiasGelu": "gelu",
    "Cast": "astype",
    "CastLike": "astype",
    "Ceil": "ceil",
    "Concat": "concat",
    "Cos": "cos",
    "CumSum": "cumsum",
    "Div": "divide",
    "Equal": "equal",
    "Erf": "erf",
    "Exp": "exp",
    "Expand": "broadcast_to",
    "FastGelu": "gelu",
    "Floor": "floor",
    "FusedMatMul": "matmul",
    "Gelu": "gelu",
    "Gemm": "matmul",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "GroupQueryAttention": "attention",
    "IsInf": "isinf",
    "IsNaN": "isnan",
    "LayerNormalization": "layer_norm",
    "Less": "less",
    "LessOrEqual": "less_equal",
    "Log": "log",
    "LogSoftmax": "log_softmax",
    "MatMul": "matmul",
    "MatMulInteger": "matmul",
    "MatMulNBits": "matmul",
    "Max": "maximum",
    "Min": "minimum",
    "Mod": "remainder",
    "Mul": "multiply",
    "MultiHeadAttention": "attention",
    "Neg": "negative",
    "Not": "logical_not",
    "Or": "logical_or",
    "Pad": "pad",
    "Pow": "power",
    "QLinearMatMul": "matmul",
    "QuickGelu": "gelu",
    "RMSNormalization": "rms_norm",
    "Range": "iota",
    "Reciprocal": "reciprocal",
    "ReduceMax": "max",
    "ReduceMin": "min",
    "ReduceProd": "prod",
    "ReduceSum": "sum",
    "Relu": "relu",
    "Reshape": "reshape",
    "Round": "round",
    "Sigmoid": "sigmoid",
    "Sign": "sign",
    "SimplifiedLayerNormalization": "rms_norm",
    "Sin": "sin",
    "SkipLayerNormalization": "layer_norm",
    "SkipSimplifiedLayerNormalization": "rms_norm",
    "Slice": "slice",
    "Softmax": "softmax",
    "Split": "split",
    "Sqrt": "sqrt",
    "Squeeze": "reshape",
    "Sub": "subtract",
    "Swish": "silu",
    "Tanh": "tanh",
    "Transpose": "permute_dims",
    "Unsqueeze": "reshape",
    "Flatten": "reshape",
    "Where": "where",
    "Xor": "logical_xor",
}
"""Names of operators here for those of ONNX and of ONNX Runtime that mean the same."""

STEPS = frozenset(
    ("Cast", "CastLike", "DequantizeLinear", "Dropout", "Identity", "QuantizeLinear", "Where")
)
"""Through these a value stays what it is in a paper's figure."""

VIEWS = frozenset(
    (
        "Cast",
        "CastLike",
        "DequantizeLinear",
        "Expand",
        "Flatten",
        "Identity",
        "QuantizeLinear",
        "Reshape",
        "Slice",
        "Split",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    )
)
"""The same numbers in another shape or form: an arrow passes through."""

SIZES = frozenset(("ConstantOfShape", "EyeLike", "RandomNormalLike", "RandomUniformLike", "Shape"))
SIZES |= {"Size"}
"""What reads no value, only a size. Here sizes are known before anything runs."""

_ONE_EACH = frozenset(
    (
        "BatchNormalization",
        "Celu",
        "Clip",
        "Dropout",
        "Elu",
        "Gather",
        "GatherElements",
        "GatherND",
        "GroupNormalization",
        "HardSigmoid",
        "HardSwish",
        "InstanceNormalization",
        "LeakyRelu",
        "Mish",
        "PRelu",
        "ReduceMean",
        "Selu",
        "Softplus",
        "Softsign",
        "Sum",
        "Tile",
        "Trilu",
    )
)
"""Counted like our own operators without a cost of their own: one FLOP for each result."""

_FIRST_IS_VALUE = VIEWS | {"CumSum", "Dropout", "OneHot", "Resize", "Tile", "TopK", "Trilu"}
_FIRST_IS_VALUE |= {"Upsample"}


def values_of(op_type: str, count: int) -> range:
    """Which of `count` inputs are values; the others say sizes, axes and the like."""
    if op_type in SIZES:
        return range(0)
    if op_type == "Pad":
        return range(0, count, 2)[:2]  # data and the value to pad with
    if op_type in _FIRST_IS_VALUE or op_type.startswith("Reduce"):
        return range(min(count, 1))
    return range(count)


def cost_of(op_type: str, word: str, equation: str) -> Callable[[Node], Cost] | None:
    """The work of a node from its shapes; None where it is one operation for each element.

    equation: of an Einsum.
    """
    if op_type in ("Gemm", "MatMul", "FusedMatMul", "MatMulInteger"):
        return _costing(_product)
    if op_type in ("Conv", "ConvTranspose"):
        return _costing(_convolution if op_type == "Conv" else _transposed_convolution)
    if op_type == "Einsum":
        return _costing(lambda node: _einsum(node, equation))
    if op_type in ("Attention", "MultiHeadAttention"):
        return _costing(_attention)
    if op_type in WORDS and word not in ("matmul", "attention"):
        return None
    # What is not known is no figure, rather than a wrong one.
    return None if op_type in _ONE_EACH or op_type in VIEWS else _costing(lambda node: 0)


def _costing(flops: Callable[[Node], int]) -> Callable[[Node], Cost]:
    def cost(node: Node) -> Cost:
        moved = sum(a.nbytes for a in node.outputs) + sum(i.aval.nbytes for i in node.inputs)
        shapes = [a.shape for a in (node.aval, *(i.aval for i in node.inputs))]
        known = not any(UNKNOWN_RANK in shape for shape in shapes)
        return Cost(flops(node) if known else 0, moved)

    return cost


def _product(node: Node) -> int:
    """2 m n k a matrix, and one addition an element where a Gemm adds a bias."""
    if len(node.inputs) < 2 or not node.inputs[0].shape or not node.shape:
        return 0
    left, right = node.inputs[0].aval, node.inputs[1].aval
    # k is what the operands have and the result has not: left is m k, right is k n, result m n.
    columns = node.shape[-1] if len(right.shape) > 1 else 1
    rows = left.shape if len(right.shape) < 2 else right.shape[-2:]
    inner = prod(rows) // max(columns, 1) if len(right.shape) > 1 else right.shape[-1]
    added = node.aval.size if len(node.inputs) > 2 else 0
    return 2 * node.aval.size * inner + added


def _convolution(node: Node) -> int:
    if len(node.inputs) < 2 or not node.inputs[1].shape:
        return 0
    kernel = prod(node.inputs[1].shape[1:])  # channels of a group, and the window
    return (2 * kernel + (len(node.inputs) > 2)) * node.aval.size


def _transposed_convolution(node: Node) -> int:
    if len(node.inputs) < 2 or not node.inputs[1].shape:
        return 0
    kernel = prod(node.inputs[1].shape[1:])
    return 2 * kernel * node.inputs[0].aval.size + (len(node.inputs) > 2) * node.aval.size


def _attention(node: Node) -> int:
    """Both products: queries x keys x width of all heads, 2 FLOPs each."""
    if len(node.inputs) < 3 or len(node.inputs[1].shape) < 3:
        return 0
    query, key = node.inputs[0].aval, node.inputs[1].aval
    return 2 * (query.size + node.aval.size) * key.shape[-2]


def _einsum(node: Node, equation: str) -> int:
    """2 for each combination of all indices; unknown with an ellipsis."""
    left = equation.replace(" ", "").partition("->")[0].split(",")
    if len(left) != len(node.inputs) or "." in equation:
        return 0
    size: dict[str, int] = {}
    for letters, source in zip(left, node.inputs, strict=True):
        if len(letters) != len(source.shape):
            return 0
        size |= dict(zip(letters, source.shape, strict=True))
    return 2 * prod(size.values())
