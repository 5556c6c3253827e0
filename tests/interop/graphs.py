"""Small ONNX files for the tests of this folder, written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onnx import TensorProto, helper

WIDTH, HIDDEN, VOCAB = 8, 32, 11

node = helper.make_node


def weight(name: str, *dims: int) -> Any:
    """A float tensor whose numbers would lie in a file beside the model, which is not there."""
    tensor = TensorProto(name=name, dims=dims, data_type=TensorProto.FLOAT)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="missing.bin")
    return tensor


def values(name: str, *numbers: int) -> Any:
    return helper.make_tensor(name, TensorProto.INT64, [len(numbers)], numbers)


def typed(name: str, *dims: int | str, kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, dims)


def untyped(name: str) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)


def model(
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[str],
    stored: Sequence[Any] = (),
    functions: Sequence[Any] = (),
) -> Any:
    """opset 18, with local functions in the domain `local`."""
    graph = helper.make_graph(nodes, "g", inputs, [untyped(o) for o in outputs], list(stored))
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
    return helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=9)


def saved(made: Any, path: Path) -> Path:
    """Written as it is, without any check."""
    path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    return path


def relu(**options: Any) -> Any:
    """The smallest model; options go to its node."""
    return model([node("Relu", ["x"], ["y"], **options)], [typed("x", 2, 3)], ["y"])


def transformer(blocks: int = 3, heads: int = 2) -> Any:
    """Pre-norm blocks over an embedding, with the names that TorchScript's exporter gives."""
    nodes = [node("Gather", ["embedding.weight", "tokens"], ["h0"], name="/embedding/Gather")]
    stored = [
        weight("embedding.weight", VOCAB, WIDTH),
        values("heads", 0, 0, heads, WIDTH // heads),
        values("joined", 0, 0, WIDTH),
    ]
    for number in range(blocks):
        more, weights = _block(number)
        nodes += more
        stored += weights
    nodes.append(node("MatMul", [f"h{blocks}", "head.weight"], ["logits"], name="/head/MatMul"))
    stored.append(weight("head.weight", WIDTH, VOCAB))
    tokens = typed("tokens", "batch", "time", kind=TensorProto.INT64)
    return model(nodes, [tokens], ["logits"], stored)


def _block(number: int) -> tuple[list[Any], list[Any]]:
    at, path, nodes, stored = f"/blocks.{number}", f"blocks.{number}", [], []

    def add(op: str, scope: str, inputs: Sequence[str], result: str, **attrs: Any) -> str:
        count = sum(n.name.startswith(f"{at}{scope}/{op}") for n in nodes)
        name = f"{at}{scope}/{op}_{count}" if count else f"{at}{scope}/{op}"
        nodes.append(node(op, inputs, [f"{path}:{result}"], name=name, **attrs))
        return f"{path}:{result}"

    def stores(name: str, *dims: int) -> str:
        stored.append(weight(f"{path}.{name}", *dims))
        return f"{path}.{name}"

    scale, bias = stores("norm.weight", WIDTH), stores("norm.bias", WIDTH)
    normal = add("LayerNormalization", "/norm", [f"h{number}", scale, bias], "normal")
    split = {}
    for name, turn in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
        kernel = stores(f"attention.{name}.weight", WIDTH, WIDTH)
        made = add("MatMul", f"/attention/{name}", [normal, kernel], name)
        made = add("Reshape", "/attention", [made, "heads"], f"{name} heads")
        split[name] = add("Transpose", "/attention", [made], f"{name} turned", perm=turn)
    scores = add("MatMul", "/attention", [split["query"], split["key"]], "scores")
    pattern = add("Softmax", "/attention", [scores], "pattern", axis=-1)
    context = add("MatMul", "/attention", [pattern, split["value"]], "context")
    context = add("Transpose", "/attention", [context], "context turned", perm=[0, 2, 1, 3])
    context = add("Reshape", "/attention", [context, "joined"], "context joined")
    first = add("Add", "", [f"h{number}", context], "first")
    up = add("MatMul", "/up", [first, stores("up.weight", WIDTH, HIDDEN)], "up")
    hidden = add("Relu", "", [up], "hidden")
    down = add("MatMul", "/down", [hidden, stores("down.weight", HIDDEN, WIDTH)], "down")
    add("Add", "", [first, down], "out")
    nodes[-1].output[0] = f"h{number + 1}"
    return nodes, stored


def elements(made: Any) -> int:
    """Numbers in the float tensors of a model."""
    total = 0
    for tensor in made.graph.initializer:
        size = 1
        for dim in tensor.dims:
            size *= dim
        total += size * (tensor.data_type == TensorProto.FLOAT)
    return total
