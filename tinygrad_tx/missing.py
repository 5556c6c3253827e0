"""Names and arguments that do not exist: the errors say what they are called here.

Nothing here runs unless something is missing, but for the call of a wrapper around functions whose
arguments have other names elsewhere.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType
from typing import Any, TypeVar

from tinygrad_tx.elsewhere import ARGUMENTS, MISSING, PACKAGES
from tinygrad_tx.errors import ArgumentError, NoSuchNameError, TinygradTxError, explain

__all__ = ["knowing_arguments", "knows_arguments", "nearest", "no_such_name", "of_package"]

T = TypeVar("T")


def no_such_name(
    owner: str, name: str, known: Iterable[str], table: Mapping[str, str]
) -> AttributeError:
    """The error for `owner.name`: what it is called here, or which name is nearest."""
    if name.startswith("_"):  # asked by protocols, which go on when it is not there
        return AttributeError(f"{owner} has no attribute {name!r}")
    remedy = table.get(name) or nearest(name, known)
    return NoSuchNameError(explain(owner, f"has no {name!r}", remedy=remedy))


def of_package(package: str, known: Iterable[str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package: refuses, and says what the name is called here."""
    names, table = list(known), PACKAGES.get(package, {})
    short = "tx" + package.removeprefix("tinygrad_tx").replace(".tensor", "")

    def missing(name: str) -> Any:
        raise no_such_name(short, name, names, table)

    return missing


def knows_arguments(target: T, name: str = "") -> T:
    """A function or class as it is, but for what it says of arguments that it does not take.

    name: what it is called by whoever gives them, if that is another function.
    Costs a tenth of a microsecond a call. Errors: ArgumentError, a TypeError.
    """
    if isinstance(target, type):
        made: Any = target
        made.__init__ = _explained(made.__init__, target.__name__)
        return target
    function: Any = target
    return _explained(function, name or function.__qualname__.rpartition(".")[2])  # type: ignore[no-any-return]


def knowing_arguments(names: Mapping[str, Any]) -> dict[str, Any]:
    """Of functions by name those with optional arguments, as by `knows_arguments`: people ask for
    these by the names that they have elsewhere."""
    return {
        name: knows_arguments(function)
        for name, function in names.items()
        if isinstance(function, FunctionType)
        and not name.startswith("_")
        and (function.__defaults__ or function.__kwdefaults__)
    }


def _explained(function: Any, name: str) -> Any:
    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TypeError as error:
            refused = _refused(function, name, args, kwargs)
            if refused is None or isinstance(error, TinygradTxError):
                raise  # of what goes on inside
        raise refused

    return called


def _refused(
    function: Any, name: str, args: Any, kwargs: Mapping[str, Any]
) -> ArgumentError | None:
    """What is wrong with the arguments; None if nothing is."""
    parameters = dict(inspect.signature(function).parameters)
    kinds = {p.kind for p in parameters.values()}
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        for key in kwargs:
            if key not in parameters:
                shown = [p for p in parameters if p != "self"]
                remedy = ARGUMENTS.get(key, "")
                called = remedy.removeprefix("it is called ").partition(" here")[0]
                if not remedy or (remedy.startswith("it is called ") and called not in shown):
                    remedy = nearest(key, shown) or f"it takes {', '.join(shown)}"
                return ArgumentError(explain(name, f"takes no argument {key!r}", remedy=remedy))
    positional = [
        p
        for p in parameters.values()
        if p.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    ]
    for place, parameter in enumerate(positional):
        is_given = place < len(args) or parameter.name in kwargs
        if not is_given and parameter.default is inspect.Parameter.empty:
            remedy = MISSING.get(parameter.name, "")
            what = f"the argument {parameter.name!r} is missing"
            return ArgumentError(explain(name, what, remedy=remedy))
    return None


def nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 3, 0.6)
    return f"nearest: {', '.join(near)}" if near else ""
