"""Understanding a model: look inside, change, explain, find a defect and mend it."""

from tinygrad_tx.reasoning.ablate import ablate, ablations
from tinygrad_tx.reasoning.change import Change, Where, add, replace, scale, zero
from tinygrad_tx.reasoning.changed import Changed
from tinygrad_tx.reasoning.look import (
    Activations,
    capture,
    gradients,
    intervene,
    look,
    points,
)
from tinygrad_tx.reasoning.point import Point
from tinygrad_tx.reasoning.probes import Probe, Probes, probe
from tinygrad_tx.reasoning.sweep import sweep

__all__ = [
    "Activations",
    "Change",
    "Changed",
    "Point",
    "Probe",
    "Probes",
    "Where",
    "ablate",
    "ablations",
    "add",
    "capture",
    "gradients",
    "intervene",
    "look",
    "points",
    "probe",
    "replace",
    "scale",
    "sweep",
    "zero",
]
