"""Names and arguments that do not exist: what is said of them, and that nothing else changes."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

import numpy as np
import pytest

import tinygrad_tx as tx
from tinygrad_tx import elsewhere
from tinygrad_tx.errors import ArgumentError, NoSuchNameError
from tinygrad_tx.missing import knowing_arguments, knows_arguments

TABLES = {
    "tensor": elsewhere.TENSOR,
    "module": elsewhere.MODULE,
    "optimizer": elsewhere.OPTIMIZER,
    "arguments": elsewhere.ARGUMENTS,
    "missing": elsewhere.MISSING,
    **elsewhere.PACKAGES,
}
REMEDIES = [text for table in TABLES.values() for text in table.values()]
CONFIG = tx.models.GPTConfig(vocab_size=9, context=4, layers=1, heads=1, width=8)


def owners() -> dict[str, Any]:
    model = tx.models.GPT(CONFIG)
    return {
        "tensor": tx.ones(2),
        "module": model,
        "optimizer": tx.optim.SGD(model.parameters(), 0.1),
    }


def test_every_name_that_a_remedy_mentions_is_there() -> None:
    known = {"tx": tx, "x": tx.ones((2, 2)), **owners()}
    known |= {"model": known["module"], "weight": known["tensor"], "y": known["tensor"]}
    for text in REMEDIES:
        plain = re.sub(r'"[^"]*"', "", text)
        for start, path in re.findall(rf"\b({'|'.join(known)})((?:\.[A-Za-z_]\w*)+)", plain):
            value = known[start]
            for name in path.removeprefix(".").split("."):
                if name != "name":  # model.name = part: any attribute
                    value = getattr(value, name)


def test_no_table_speaks_of_what_is_there() -> None:
    for owner, thing in owners().items():
        assert [n for n in TABLES[owner] if hasattr(thing, n)] == []
    for package, names in elsewhere.PACKAGES.items():
        module = importlib.import_module(package)
        assert [n for n in names if hasattr(module, n)] == []


@pytest.mark.parametrize("owner", ["tensor", "module", "optimizer"])
def test_a_name_that_is_not_there_is_an_attribute_error(owner: str) -> None:
    thing = owners()[owner]
    assert not hasattr(thing, "no_such_thing")
    assert getattr(thing, "no_such_thing", 7) == 7
    with pytest.raises(NoSuchNameError, match="no_such_thing"):
        _ = thing.no_such_thing


def test_protocols_that_ask_for_underscored_names_get_a_plain_answer() -> None:
    with pytest.raises(AttributeError) as caught:
        _ = tx.ones(2)._ipython_display_
    assert not isinstance(caught.value, NoSuchNameError)


def test_arguments_are_explained_and_calls_are_as_before() -> None:
    @knows_arguments
    def scaled(x: float, axis: int = 0, *, keepdims: bool = False) -> float:
        """Doc."""
        return x * (axis + keepdims)

    assert scaled(2, 3) == 6
    assert scaled(2, axis=3, keepdims=True) == 8
    assert str(inspect.signature(scaled)).startswith("(x: 'float', axis:")
    assert (scaled.__name__, scaled.__doc__) == ("scaled", "Doc.")
    for call, said in (
        (lambda: scaled(1, dim=1), "scaled: takes no argument 'dim'; it is called axis here."),
        (lambda: scaled(1, axs=1), "nearest: axis"),
        (lambda: scaled(1, eps=1), "it takes x, axis, keepdims"),
        (lambda: scaled(axis=1), "'x' is missing"),
    ):
        with pytest.raises(ArgumentError) as caught:
            call()
        assert said in str(caught.value)
        assert isinstance(caught.value, TypeError)


def test_a_type_error_from_the_inside_stays_what_it_is() -> None:
    @knows_arguments
    def broken(x: int = 0) -> int:
        return x + "text"  # type: ignore[operator]

    with pytest.raises(TypeError, match="unsupported operand") as caught:
        broken(1)
    assert not isinstance(caught.value, ArgumentError)


def test_too_many_arguments_are_left_to_python() -> None:
    with pytest.raises(TypeError, match="positional argument"):
        tx.softmax(1.0, 2, 3, 4)  # type: ignore[call-arg]


def test_functions_without_options_are_not_wrapped() -> None:
    found = knowing_arguments({"add": lambda x, y: x, "sum": lambda x, axis=0: x, "pi": 3})
    assert list(found) == ["sum"]


def test_numpy_still_finds_the_functions() -> None:
    assert isinstance(np.sum(tx.ones(3), axis=0), tx.Tensor)
