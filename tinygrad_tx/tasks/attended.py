"""Who looks where: the weights of attention, opened in a model's own graph at `pattern`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_tx.autodiff.expansion import expanded
from tinygrad_tx.graph.walk import collect
from tinygrad_tx.tensor import Tensor

__all__ = ["patterns"]


def patterns(output: Tensor, within: str = "") -> list[np.ndarray[Any, Any]]:
    """The weights (batch, heads, queries, keys) of each attention behind `output`, in its order.

    output: computed outside of a capture, and not read yet. within: a part of the module's path,
    as "cross_attention". The fused kernel stores no weights; its expansion computes them anew.
    """
    found = []
    for node in collect([output.node]):
        if node.op.name == "attention" and within in node.scope:
            inside = collect(expanded(node))
            pattern = [n for n in inside if n.name == "pattern"][-1]
            found.append(Tensor(pattern).numpy())
    return found
