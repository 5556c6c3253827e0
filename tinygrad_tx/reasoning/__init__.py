"""Understanding a model: look inside, change, explain, find a defect and mend it."""

from tinygrad_tx.reasoning.change import Change, Where, add, replace, scale, zero
from tinygrad_tx.reasoning.look import (
    Activations,
    capture,
    gradients,
    intervene,
    look,
    points,
)
from tinygrad_tx.reasoning.point import Point

__all__ = [
    "Activations",
    "Change",
    "Point",
    "Where",
    "add",
    "capture",
    "gradients",
    "intervene",
    "look",
    "points",
    "replace",
    "scale",
    "zero",
]
