"""Generated sources come from the typed graph alone: no text that people choose gets in."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import tinygrad_tx as tx
from tinygrad_tx.compiler import generate, names
from tinygrad_tx.compiler.fuse import Body, Line
from tinygrad_tx.compiler.generate import Port, fused_kernel
from tinygrad_tx.compiler.names import expression, identifier, local, shown
from tinygrad_tx.dtypes import bool_, float32, float64, int32, int64
from tinygrad_tx.errors import CompileError
from tinygrad_tx.graph.lowering import Kernel
from tinygrad_tx.graph.node import Aval, Operator
from tinygrad_tx.graph.registry import operators
from tinygrad_tx.ops.kernels import vecmath
from tinygrad_tx.runtime import execute, kernels
from tinygrad_tx.runtime.kernels import address_of

HOSTILE = (
    '"""\n__import__("os").system("true")\n"""',
    "'; __import__('os') #",
    "x\ny",
    "{title}",
    "\\",
    "\u2028import os",
    "ℌ",
    "\0",
)

MEMORY = {"as_float", "doubles", "floats", "int32s", "int64s", "share", "uint8s"}
NUMPY = {"float32", "float64", "int32", "int64", "inf", "ceil", "floor", "rint", "trunc"}
NUMPY |= {"floor_divide", "remainder", "arccos", "arccosh", "arcsin", "arcsinh", "arctan"}
NUMPY |= {"arctan2", "arctanh", "copysign", "cosh", "hypot", "log10", "log2", "logaddexp"}
NUMPY |= {"nextafter", "signbit", "sinh", "tan"}
CALLS = MEMORY | set(vecmath.__all__) | {"abs", "min", "max", "range", "sqrt"}
NAMES = CALLS | {
    "np",
    "entry",
    "ith",
    "nth",
    "operands",
    "arena",
    "n",
    "m",
    "low",
    "high",
    "j",
    "_",
}
NAMES |= {"i0", "i1", "i2", "begin", "part", "total"}
NODES = (
    ast.Module,
    ast.FunctionDef,
    ast.arguments,
    ast.arg,
    ast.Import,
    ast.ImportFrom,
    ast.alias,
    ast.Expr,
    ast.Assign,
    ast.AugAssign,
    ast.For,
    ast.If,
    ast.IfExp,
    ast.Compare,
    ast.BinOp,
    ast.BoolOp,
    ast.boolop,
    ast.UnaryOp,
    ast.Call,
    ast.Attribute,
    ast.Subscript,
    ast.Tuple,
    ast.Name,
    ast.Constant,
    ast.operator,
    ast.unaryop,
    ast.cmpop,
    ast.expr_context,
)
IMPORTS = {"numpy", "tinygrad_tx.ops.kernels.kernel", "tinygrad_tx.ops.kernels.vecmath"}


def check_fused(text: str) -> None:
    """The allow-list of a generated kernel."""
    tree = ast.parse(text)
    assert len(tree.body) == 6, "a title, four imports, a function"
    title = tree.body[0].value.value  # type: ignore[attr-defined]
    assert shown(title) == title
    for node in ast.walk(tree):
        assert isinstance(node, NODES), ast.dump(node)
        if isinstance(node, ast.Name):
            assert node.id in NAMES or names._LOCAL.fullmatch(node.id), node.id
        elif isinstance(node, ast.Attribute):
            assert isinstance(node.value, ast.Name)
            assert node.value.id == "np"
            assert node.attr in NUMPY, node.attr
        elif isinstance(node, ast.Call):
            assert not node.keywords
            if isinstance(node.func, ast.Name):
                assert node.func.id in CALLS, node.func.id
        elif isinstance(node, ast.Constant):
            assert node.value == title or type(node.value) is int, node.value
        elif isinstance(node, ast.Import):
            assert [a.name for a in node.names] == ["numpy"]
        elif isinstance(node, ast.ImportFrom):
            assert node.module in IMPORTS


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> list[Kernel]:
    """The kernels that Programs ask for."""
    asked: list[Kernel] = []

    def address(kernel: Kernel) -> int:
        asked.append(kernel)
        return 0 if kernel.source else address_of(kernel)

    monkeypatch.setattr(execute, "address_of", address)
    monkeypatch.setattr(execute, "walk", lambda *_: None)
    return asked


def hostile_function(word: str) -> Any:
    """A model whose attributes, points, classes and file carry `word`."""
    part = type(word.replace("\0", ""), (tx.nn.Linear,), {})(4, 4, np.random.default_rng(0))
    model = tx.nn.Module()
    setattr(model, word, part)

    space: dict[str, Any] = {"tx": tx, "part": part, "word": word}
    text = "def f(x):\n    y = tx.tanh(part(x) * 2 + 1)\n    return tx.point(y, word) ** 2 + x\n"
    exec(compile(text, word.replace("\0", "_"), "exec"), space)
    space["f"].__name__ = word
    return space["f"]


@pytest.mark.parametrize("word", HOSTILE)
def test_names_of_people_do_not_reach_generated_source(word: str, sources: list[Kernel]) -> None:
    plain = hostile_function("part")
    x = np.ones((3, 4), np.float32)
    tx.jit(plain)(x)
    expected = {k.source for k in sources}
    assert any(expected)
    sources.clear()
    tx.jit(hostile_function(word))(x)
    assert {k.source for k in sources} == expected, "the same graph, the same text"
    for kernel in sources:
        if kernel.source:
            check_fused(kernel.source)


def elementwise() -> list[Operator]:
    return [op for op in operators() if op.emit is not None and op.name != "copy"]


ATTRS = {"astype": {"dtype": float32}, "gelu": {"approximate": True}}
ATTRS["gelu_gradient"] = ATTRS["gelu"]


@st.composite
def bodies(draw: st.DrawFn) -> tuple[Body, tuple[Port, ...], bool, bool]:
    """Any lines over any operands: more than the compiler would make."""
    dtypes = st.sampled_from([float32, float64, int32, int64, bool_])
    motions = st.sampled_from(["unit", "scalar", "strided", "constant"])
    reads = draw(st.lists(st.builds(Port, dtypes, motions), min_size=1, max_size=4))
    lines = []
    for k in range(draw(st.integers(1, 6))):
        op = draw(st.sampled_from(elementwise()))
        known = st.integers(0, len(reads) + k - 1)
        args = tuple(draw(known) for _ in range(_arity(op)))
        dtype = draw(st.sampled_from([float32, float64]))
        lines.append(Line(op, tuple(ATTRS.get(op.name, {}).items()), dtype, args))
    is_sum = draw(st.booleans())
    writes = () if is_sum else (Port(lines[-1].dtype, draw(st.sampled_from(["unit", "strided"]))),)
    aval = Aval((2, 3), lines[-1].dtype)
    body = Body(tuple(lines), (len(lines) - 1,), (aval,))
    return body, (*reads, *writes), draw(st.booleans()), is_sum


def _arity(op: Operator) -> int:
    for count in (1, 2, 3):
        try:
            op.emit(float32, *(["x0"] * count), **ATTRS.get(op.name, {}))  # type: ignore[misc]
        except TypeError:
            continue
        return count
    raise AssertionError(op.name)


@given(made=bodies())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_source_that_can_be_generated_is_of_the_alphabet(
    made: tuple[Body, tuple[Port, ...], bool, bool],
) -> None:
    body, ports, is_flat, is_sum = made
    check_fused(fused_kernel(body, ports, is_flat, is_sum).source)


@pytest.mark.parametrize("word", HOSTILE)
def test_an_operator_with_a_hostile_name_or_expression(word: str) -> None:
    """The title of a kernel is made of names of operators; expressions are theirs altogether."""
    aval = Aval((3,), float32)
    ports = (Port(float32, "unit"), Port(float32, "unit"))
    named = Operator(word, infer=lambda x: x, emit=lambda dtype, x: f"({x} + {x})")
    body = Body((Line(named, (), float32, (0,)),), (0,), (aval,))
    check_fused(fused_kernel(body, ports, True).source)
    evil = Operator("evil", infer=lambda x: x, emit=lambda dtype, x: word)
    body = Body((Line(evil, (), float32, (0,)),), (0,), (aval,))
    with pytest.raises(CompileError, match=r"may not stand in its source|Python's own"):
        fused_kernel(body, ports, True)


@given(text=st.text() | st.sampled_from(HOSTILE))
def test_what_passes_is_plain(text: str) -> None:
    for check in (identifier, expression):
        try:
            passed = check(text)
        except CompileError:
            continue
        assert passed == text
        assert passed.isascii()
        assert "__" not in passed or check is identifier
        assert not set(passed) & set("\"'\n\r\\[]{}:;#@`$%?\0")
    assert not set(shown(text)) & set("\"'\n\r\\")


@pytest.mark.parametrize("text", ["import", "a.lambda", "a..b", "a.", "1a", "a b", "", "a\n"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(CompileError, match="generated kernel"):
        identifier(text)


def test_a_local_name_has_a_role_and_a_number() -> None:
    assert local("t", 12) == "t12"
    for role, number in (("t", -1), ("os", 1), ("t", "1()")):
        with pytest.raises(CompileError, match="may not stand"):
            local(role, number)  # type: ignore[arg-type]


@pytest.mark.parametrize("word", HOSTILE)
def test_a_handwritten_kernel_names_only_what_can_be_imported(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its module and attribute are names, its title shows nothing else, its file stays inside."""

    class Function:
        __module__ = word

    kernel = Kernel(word + "/../../x", Function())
    monkeypatch.setitem(kernels.sys.modules, word, type("M", (), {"kernel": kernel}))
    with pytest.raises(CompileError, match="generated kernel"):
        kernels._handwritten(kernel)
    monkeypatch.setattr(kernels, "folder", lambda: tmp_path)
    kernels.load_generated(word + "/../../x", "x", "x = 1\n", lambda found, stored: found)
    for path in tmp_path.iterdir():
        assert path.parent == tmp_path
        assert path.name.isascii()


def test_the_arrays_of_a_source_are_those_that_it_imports() -> None:
    assert set(generate._ARRAYS.values()) <= MEMORY
