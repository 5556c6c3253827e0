"""Subject: what a picture is asked of: its nodes, and what is known of their names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_tx.errors import DrawError, explain
from tinygrad_tx.graph.node import Node
from tinygrad_tx.jit import Jitted, jit
from tinygrad_tx.nn import Module
from tinygrad_tx.runtime.buffer import Array
from tinygrad_tx.tensor.tensor import Tensor, as_tensor, no_grad
from tinygrad_tx.tree import flatten
from tinygrad_tx.viz.names import Names

if TYPE_CHECKING:
    from tinygrad_tx.interop import ForeignGraph

__all__ = ["Subject", "check_foreign", "is_onnx"]

# What needs no more of an operator than its name, its shapes and its cost.
_FOREIGN_VIEWS = ("blocks", "ops")
_FOREIGN_OVERLAYS = ("shapes", "parameters", "flops", "bytes", "memory")


@dataclass
class Subject:
    """What is drawn: its nodes, and what is known of the names of parameters and modules.

    note: what must be said beside figures of it.
    """

    target: Any
    inputs: Sequence[Any]

    def __post_init__(self) -> None:
        self.note = ""
        model, method = _model_and_method(self.target)
        if model is None and _is_function(self.target) and self.inputs:
            self.target = jit(self.target)
        if model is not None:
            self.inputs = self.inputs or _example_of(model, method)
            self.nodes, self.names = _of_module(model, method, self.inputs)
        elif isinstance(self.target, Jitted):
            _check_bound(getattr(self.target, "__name__", "function"), self.target, self.inputs)
            self.nodes, self.names = list(self.target.graph(*self.inputs)), Names()
        elif is_onnx(self.target):
            # Here, for who draws no file does not wait for what reads one.
            from tinygrad_tx.interop import read_onnx

            graph = read_onnx(self.target, [as_tensor(value).shape for value in self.inputs])
            self.nodes, self.names = list(graph.outputs), _names_in(graph)
            if graph.open_sizes:
                self.note = f"figures count {', '.join(graph.open_sizes)} as 1"
        else:
            tensors, _ = flatten(self.target, lambda v: isinstance(v, Tensor))
            if not tensors:
                raise _no_graph(self.target)
            self.nodes, self.names = [t.node for t in tensors], Names()

    @property
    def is_abstract(self) -> bool:
        """Whether it is a model by shape alone."""
        return any(not getattr(p.attrs["buffer"], "is_real", True) for p in self.names.parameters)

    @property
    def given(self) -> dict[Node, Array]:
        """What leaves stand for, where that is not their own memory."""
        return self.target.arguments(*self.inputs) if isinstance(self.target, Jitted) else {}

    def captured(self) -> Jitted[..., Any]:
        """What can be compiled and timed."""
        target = self.target
        if isinstance(target, Jitted):
            return target
        if _model_and_method(target)[0] is not None:
            return jit(lambda *values: target(*values))
        remedy = "draw the module, or the function under tx.jit"
        raise DrawError(explain("draw", "a tensor has no program of its own", remedy=remedy))


def is_onnx(target: Any) -> bool:
    """Whether it is the path of an ONNX file, by its suffix."""
    return isinstance(target, (str, Path)) and Path(target).suffix.lower() == ".onnx"


def check_foreign(target: Any, view: str, overlay: Any) -> None:
    """Refuses what would run the graph of another program. Errors: DrawError."""
    if not is_onnx(target):
        return
    asks_figures = overlay is None or isinstance(overlay, Mapping) or overlay in _FOREIGN_OVERLAYS
    if view not in _FOREIGN_VIEWS or not asks_figures:
        asked = f"view {view}" if view not in _FOREIGN_VIEWS else f"overlay {overlay}"
        what = f"{asked} of {Path(target).name}: a graph of another program is drawn, not run"
        words = [" or ".join(_FOREIGN_VIEWS), ", ".join(_FOREIGN_OVERLAYS)]
        remedy = (
            f"use view {words[0]}, with no overlay or one of {words[1]}; or draw "
            "tx.interop.import_onnx(path), which runs"
        )
        raise DrawError(explain("draw", what, remedy=remedy))


def _names_in(graph: ForeignGraph) -> Names:
    return Names(graph.title, graph.parameters, graph.modules, graph.inputs)


def _is_function(target: Any) -> bool:
    """Whether it is to be recorded before it is drawn."""
    return callable(target) and not isinstance(target, (Jitted, type))


def _model_and_method(target: Any) -> tuple[Module | None, Callable[..., Any]]:
    """The module that is drawn and what is called: itself, or one of its methods."""
    owner = getattr(target, "__self__", None)
    if isinstance(owner, Module) and inspect.ismethod(target):
        return owner, target
    return (target, target) if isinstance(target, Module) else (None, target)


def _example_of(model: Module, method: Callable[..., Any]) -> Sequence[Any]:
    """Arguments that a model proposes for itself, where none are given."""
    propose = getattr(model, "example", None)
    return propose() if propose is not None and method is model else ()


def _check_bound(name: str, called: Callable[..., Any], inputs: Sequence[Any]) -> None:
    """Errors: DrawError for inputs that it cannot be called with."""
    try:
        inspect.signature(called).bind(*inputs)
    except TypeError as error:
        remedy = "pass example inputs=(...), one for each argument of it"
        raise DrawError(explain("draw", f"{name}: {error}", remedy=remedy)) from None


def _no_graph(target: Any) -> DrawError:
    """The error for a target that nothing is known of, with what was probably meant."""
    remedy = (
        "pass a tensor, a module or a function of tensors with inputs=, or the path of an .onnx "
        "file"
    )
    if isinstance(target, (str, Path)):
        remedy = (
            'a published model by shape is tx.models.abstract("gpt2"); a run folder is drawn by '
            'tinygrad-tx draw, its history by view="pipeline"'
        )
    elif isinstance(target, type):
        remedy = f"make one of it: {target.__name__}(...)"
    elif hasattr(target, "vocab_size"):
        remedy = "build its model: tx.models.abstract(config)"
    elif inspect.isroutine(target):
        remedy = "give what it is called with: inputs=(...)"
    what = f"{type(target).__name__} has no graph"
    return DrawError(explain("draw", what, remedy=remedy))


def _of_module(
    model: Module, method: Callable[..., Any], inputs: Sequence[Any]
) -> tuple[list[Node], Names]:
    tensors = [as_tensor(value) for value in inputs]
    called = model.forward if method is model else method
    _check_bound(type(model).__name__, called, tensors)
    with no_grad():
        # Called by itself, a module that is part of another is the whole, and has no path.
        result = called(*tensors)
    found, _ = flatten(result, lambda v: isinstance(v, Tensor))
    # A file's module takes any arguments, and knows what they are called.
    known = getattr(model, "input_names", None) if called == model.forward else None
    names = Names(
        title=getattr(model, "title", "") or type(model).__name__,
        parameters={t.node: name for name, t in model.named_parameters()},
        modules={path: type(m).__name__ for path, m in model.named_modules()},
        inputs=dict(zip((t.node for t in tensors), known or _arguments(called), strict=False)),
        titles={path: m.title for path, m in model.named_modules() if path and m.title},
    )
    return [t.node for t in found], names


def _arguments(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)
