"""Understanding a model: look inside, change, explain, find a defect and mend it."""

from tinygrad_tx.reasoning.ablate import ablate, ablations
from tinygrad_tx.reasoning.audit import (
    Audit,
    Check,
    Effect,
    bias_audit,
    compare_audits,
    over_models,
)
from tinygrad_tx.reasoning.change import Change, Where, add, replace, scale, zero
from tinygrad_tx.reasoning.changed import Changed
from tinygrad_tx.reasoning.continuations import Continuations
from tinygrad_tx.reasoning.look import (
    Activations,
    capture,
    gradients,
    intervene,
    look,
    points,
)
from tinygrad_tx.reasoning.planted import Training, planted_checks, planted_truth, trained_on
from tinygrad_tx.reasoning.point import Point
from tinygrad_tx.reasoning.sweep import sweep

__all__ = [
    "Activations",
    "Audit",
    "Change",
    "Changed",
    "Check",
    "Continuations",
    "Effect",
    "Point",
    "Training",
    "Where",
    "ablate",
    "ablations",
    "add",
    "bias_audit",
    "capture",
    "compare_audits",
    "gradients",
    "intervene",
    "look",
    "over_models",
    "planted_checks",
    "planted_truth",
    "points",
    "replace",
    "scale",
    "sweep",
    "trained_on",
    "zero",
]
