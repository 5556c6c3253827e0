"""Code that reproduces a failure: a few lines that run as pasted."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_tx.autodiff.expansion import open_where
from tinygrad_tx.graph.node import Node
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.ops.call import is_checkpoint, owner_of
from tinygrad_tx.testing.subjects import Array, NumpySubject, Subject

__all__ = ["code_of_array", "code_of_call", "code_of_graph"]


def code_of_array(array: Array) -> str:
    """An expression for an array, every bit of it."""
    if array.size == 0:
        return f"np.zeros({array.shape}, np.{array.dtype})"
    text = np.array2string(
        array, separator=", ", threshold=sys.maxsize, floatmode="unique", max_line_width=90
    )
    text = text.replace("nan", "np.nan").replace("inf", "np.inf")
    return f"np.array({text}, {str(array.dtype)!r})"


def _importable(thing: Any, described: Any = None) -> tuple[str, str] | None:
    """(module, name) under which other code finds `thing`."""
    described = thing if described is None else described
    module, name = getattr(described, "__module__", ""), getattr(described, "__qualname__", "")
    found = getattr(sys.modules.get(module), name, None) if name.isidentifier() else None
    return (module, name) if found is thing and module != "__main__" else None


def _definition(function: Callable[..., Any], name: str) -> str:
    """Lines that define `function` as `name`: an import, its source, or a lambda's expression."""
    place = _importable(function)
    if place is not None:
        shown = place[1] if place[1] == name else f"{place[1]} as {name}"
        return f"from {place[0]} import {shown}"
    try:
        source = textwrap.dedent(inspect.getsource(function))
        tree = ast.parse(source)
    except (OSError, TypeError, SyntaxError):
        return f"# {name}: its source cannot be shown"
    for node in ast.walk(tree):
        if isinstance(node, ast.Lambda):
            text = ast.get_source_segment(source, node) or ""
            code = compile(text, "lambda", "eval").co_consts[0]
            if code.co_code == function.__code__.co_code and (
                code.co_consts[1:] == function.__code__.co_consts[1:]
            ):
                return f"{name} = {text}"
    own = getattr(function, "__name__", name)
    return source if own == name else f"{source}\n{name} = {own}"


def _call(name: str, arrays: Sequence[Array], more: str = "") -> str:
    listed = "".join(f"    {code_of_array(a)},\n" for a in arrays)
    return f"gradcheck({name}, (\n{listed}){more})\n"


def code_of_call(subject: Subject, arrays: Sequence[Array]) -> str:
    """For functions of other libraries."""
    lines = ["import numpy as np", "", _definition(subject.function, "f")]
    if isinstance(subject, NumpySubject):
        word, rule = subject.rule
        lines += [_definition(rule, "g"), "from tinygrad_tx.testing import gradcheck", ""]
        return "\n".join(lines) + "\n" + _call("f", arrays, f", {word}=g")
    wrapper = type(subject).__name__
    lines += [f"from tinygrad_tx.testing import {wrapper}, gradcheck", ""]
    return "\n".join(lines) + "\n" + _call(f"{wrapper}(f)", arrays)


def code_of_graph(
    subject: Subject, leaves: Sequence[Node], outputs: Sequence[Node], arrays: Sequence[Array]
) -> str:
    """For functions of tensors: by import, or written out from the graph that they made."""
    if _importable(subject.function) is not None:
        head = ["import numpy as np", _definition(subject.function, "f")]
        return "\n".join(
            [*head, "from tinygrad_tx.testing import gradcheck", "", _call("f", arrays)]
        )
    writer = _Writer(leaves)
    result = ", ".join(writer.name(o) for o in writer.written(outputs))
    arguments = ", ".join(writer.names[leaf] for leaf in leaves)
    body = "\n".join(f"    {line}" for line in writer.lines)
    return "\n".join(
        [
            "import numpy as np",
            "import tinygrad_tx as tx",
            "from tinygrad_tx.testing import apply, gradcheck",
            "",
            *writer.outside,
            f"\ndef f({arguments}):",
            *([body] if body else []),
            f"    return {result}\n",
            _call("f", arrays),
        ]
    )


class _Writer:
    """Names for nodes, lines that compute them, and lines for what they read from outside."""

    def __init__(self, leaves: Sequence[Node]) -> None:
        self.names = {leaf: f"x{i}" for i, leaf in enumerate(leaves)}
        self.lines: list[str] = []
        self.outside: list[str] = []
        self._custom: dict[int, str] = {}

    def written(self, outputs: Sequence[Node]) -> tuple[Node, ...]:
        """Writes what the outputs need; returns the nodes that stand for them."""
        outputs = open_where(outputs, list(self.names), is_checkpoint)
        for node in collect(outputs):
            if node not in self.names and node.op.name != "part":
                self._write(node)
        return tuple(outputs)

    def name(self, node: Node) -> str:
        if node.op.name == "part":
            return f"{self.names[node.inputs[0]]}[{node.attrs['index']}]"
        return self.names[node]

    def _write(self, node: Node) -> None:
        name = self.names[node] = f"t{len(self.names)}"
        if node.op.name == "buffer":
            data = code_of_array(node.attrs["buffer"].array)
            self.outside.append(f"{name} = tx.tensor({data})")
            return
        inputs = [self.name(i) for i in node.inputs]
        owner = owner_of(node)
        if owner is not None:
            count = getattr(node.attrs.get("body"), "arguments", len(inputs))
            self.lines.append(f"{name} = {self._custom_name(owner)}({', '.join(inputs[:count])})")
            return
        attrs = [f"{k}={_value(v)}" for k, v in node.attrs.items()]
        self.lines.append(f"{name} = apply({', '.join([repr(node.op.name), *inputs, *attrs])})")

    def _custom_name(self, owner: Any) -> str:
        if id(owner) not in self._custom:
            name = f"custom{len(self._custom)}"
            place = _importable(owner, owner.__wrapped__)
            if place is not None:
                self.outside.append(f"from {place[0]} import {place[1]} as {name}")
            else:
                for function, own in ((owner.__wrapped__, "forward"), (owner.rule, "gradient")):
                    text = _definition(function, f"{name}_{own}")
                    kept = [x for x in text.splitlines() if not x.startswith("@")]
                    self.outside.append("\n".join(kept))
                self.outside.append(
                    f"{name} = tx.custom_op({name}_forward, gradient={name}_gradient)"
                )
            self._custom[id(owner)] = name
        return self._custom[id(owner)]


def _value(value: Any) -> str:
    if isinstance(value, np.dtype):
        return f"np.dtype({str(value)!r})"
    if isinstance(value, float) and not np.isfinite(value):
        return f"float({str(value)!r})"
    return repr(value)
