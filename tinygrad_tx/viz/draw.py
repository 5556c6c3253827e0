"""draw: a picture of what a tensor, a model or a captured function computes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from tinygrad_tx.errors import DrawError, explain
from tinygrad_tx.graph.node import Node
from tinygrad_tx.jit import Jitted
from tinygrad_tx.nn import Module
from tinygrad_tx.tensor.tensor import Tensor, as_tensor, no_grad
from tinygrad_tx.tree import flatten
from tinygrad_tx.viz.blocks import blocks_of
from tinygrad_tx.viz.dot import dot_of_blocks, dot_of_ops
from tinygrad_tx.viz.fold import folded
from tinygrad_tx.viz.names import Names
from tinygrad_tx.viz.render import SUFFIXES, Drawing

__all__ = ["draw"]

View = Literal["blocks", "ops"]
Overlay = Literal["shapes"]


def draw(
    target: Any,
    path: str | Path | None = None,
    view: View = "blocks",
    *,
    inputs: Sequence[Any] = (),
    depth: int | None = None,
    overlay: Overlay | None = None,
) -> Drawing:
    """The picture of `target`: a Tensor, a Module or a captured function with example `inputs`.

    view: "blocks" draws modules as boxes and repeated modules once, with their number; "ops" draws
    every operation. depth: how many levels of modules stand open in "blocks" (1 if not given).
    overlay: "shapes" writes the shape of what flows along each arrow. The suffix of `path` decides
    the format: .svg, .png, .pdf or .dot; the .dot is always written beside it. Nothing is computed.
    Errors: DrawError where the target has no graph, or no renderer can draw it.
    """
    if view not in ("blocks", "ops"):
        raise DrawError(explain("draw", f"view {view!r} is not blocks or ops"))
    if overlay not in (None, "shapes"):
        raise DrawError(explain("draw", f"overlay {overlay!r} is not shapes"))
    if depth is not None and depth < 0:
        raise DrawError(explain("draw", f"depth {depth} is negative"))
    if path is not None and Path(path).suffix not in SUFFIXES:
        what = f"{str(path)!r} ends in none of {', '.join(SUFFIXES)}"
        raise DrawError(explain("draw", what))
    outputs, names = _read(target, inputs)
    shapes = overlay == "shapes"
    if view == "ops":
        drawing = Drawing(dot_of_ops(outputs, names, shapes))
    else:
        diagram = folded(blocks_of(outputs, names, 1 if depth is None else depth))
        drawing = Drawing(dot_of_blocks(diagram, names, shapes))
    if path is not None:
        drawing.save(path)
    return drawing


def _read(target: Any, inputs: Sequence[Any]) -> tuple[list[Node], Names]:
    """The nodes to draw, and what is known of names: of parameters, modules and inputs."""
    if isinstance(target, Module):
        return _of_module(target, inputs)
    if isinstance(target, Jitted):
        return list(target.graph(*inputs)), Names()
    tensors, _ = flatten(target, lambda v: isinstance(v, Tensor))
    if not tensors:
        remedy = "pass a tensor, a module with inputs=, or a function under tx.jit with inputs="
        raise DrawError(explain("draw", f"{type(target).__name__} has no graph", remedy=remedy))
    return [t.node for t in tensors], Names()


def _of_module(model: Module, inputs: Sequence[Any]) -> tuple[list[Node], Names]:
    tensors = [as_tensor(value) for value in inputs]
    try:
        with no_grad():
            result = model(*tensors)
    except TypeError as error:
        remedy = "pass example inputs=(...), one for each argument of the model"
        raise DrawError(
            explain("draw", f"{type(model).__name__}: {error}", remedy=remedy)
        ) from None
    found, _ = flatten(result, lambda v: isinstance(v, Tensor))
    names = Names(
        title=type(model).__name__,
        parameters={t.node: name for name, t in model.named_parameters()},
        modules={path: type(m).__name__ for path, m in model.named_modules()},
        inputs=dict(zip((t.node for t in tensors), _arguments(model.forward), strict=False)),
    )
    return [t.node for t in found], names


def _arguments(function: Callable[..., Any]) -> list[str]:
    return list(inspect.signature(function).parameters)
