"""Why a step failed, in one sentence: where a NaN came from, or how far a loss leapt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tinygrad_tx.graph.node import Node
from tinygrad_tx.runtime import not_finite

__all__ = ["explain_step", "first_not_finite"]


class _Learning(Protocol):
    def zero_grad(self) -> None: ...


def explain_step(
    model: Any, optimizer: _Learning, batch: Sequence[Any], limit: float = float("inf")
) -> str:
    """The same step outside of a capture: what failed has changed no state, so it fails again.

    limit: of what losses count as usual.
    """
    optimizer.zero_grad()
    loss = model.loss(*batch)
    names = {p.node: f"parameter {name}" for name, p in model.named_parameters()}
    found = first_not_finite([loss.node], names)
    if not found and float(loss.item()) > limit:
        found = f"the loss leaps to {loss.item():.4g}, beyond {limit:.4g}"
    if not found:
        loss.backward()
        gradients = [p.grad.node for p in model.parameters() if p.grad is not None]
        found = first_not_finite(gradients, names) or "only their joint norm overflows"
    optimizer.zero_grad()
    return found


def first_not_finite(outputs: Sequence[Node], names: Mapping[Node, str]) -> str:
    """A sentence on the first node, in order of computation, with a NaN or an infinity.

    Leaves come first: a bad weight or input is named before what it spoils. Empty if all is
    finite. names: what to call a leaf.
    """
    found = not_finite.first_not_finite(outputs)
    if found is None:
        return ""
    node = found.node
    kind = names.get(node, "an input") if node.op.name == "buffer" else node.op.name
    place = " in ".join(p for p in (kind, node.scope) if p)
    made = f", made at {node.where}" if node.where else ""
    read = ", ".join(f"{i.op.name} {i.aval}" for i in node.inputs)
    fed = f", fed by {read}" if read else ""
    value = f"{found.count} bad, {found.value} at {found.index}"
    return f"first in {place} {node.shape}{made}{fed}: {value}"
