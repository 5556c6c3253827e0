"""The places where a model can be looked into and changed: their names and axes, in one table.

`reasoning` finds them in the graph by module path and name, as `blocks.0.residual_before`; what
stands inside of attention and norms (scores, pattern, context, scale) their operators name.
"""

from __future__ import annotations

from collections.abc import Mapping

from tinygrad_tx.errors import PointError, explain
from tinygrad_tx.tensor import Tensor, point

__all__ = ["BETWEEN", "marked"]

_STREAM = ("batch", "time", "width")

BETWEEN: Mapping[str, tuple[str, ...]] = {
    "token_embedding": _STREAM,
    "position_embedding": ("time", "width"),
    "segment_embedding": _STREAM,
    "residual_before": _STREAM,
    "residual_after_attention": _STREAM,
    "residual_after_cross_attention": _STREAM,
    "residual_after_feed_forward": _STREAM,
    "normalized": ("width",),
    "preactivation": ("units",),
    "gate": ("units",),
    "hidden": ("units",),
    "output": ("width",),
    "pooled": ("batch", "width"),
    "logits": ("vocab",),
}
"""Between the parts of a model: a picture shows them as arrows."""

INSIDE: Mapping[str, tuple[str, ...]] = {
    "query": ("heads", "time", "width"),
    "key": ("kv_heads", "time", "width"),
    "value": ("kv_heads", "time", "width"),
}
"""Inside of attention: a picture shows them as boxes."""


def marked(x: Tensor, name: str) -> Tensor:
    """`x` as the point of this name in the module that is being called.

    Errors: PointError for a name that is in neither table.
    """
    axes = BETWEEN.get(name) or INSIDE.get(name)
    if axes is None:
        what = f"{name!r} is not one of {', '.join([*BETWEEN, *INSIDE])}"
        remedy = f'name it yourself: tx.point(x, {name!r}, axes=("batch", "time", "width"))'
        raise PointError(explain("marked", what, remedy=remedy))
    return point(x, name, axes)
