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
from tinygrad_tx.reasoning.carriers import Carriers, find_carriers
from tinygrad_tx.reasoning.causal_trace import Trace, causal_trace
from tinygrad_tx.reasoning.change import Change, Where, add, replace, scale, zero
from tinygrad_tx.reasoning.changed import Changed
from tinygrad_tx.reasoning.constrained import Constrained
from tinygrad_tx.reasoning.continuations import Continuations
from tinygrad_tx.reasoning.counterfactual import counterfactual_finetune, counterfactual_text
from tinygrad_tx.reasoning.edit import Edit
from tinygrad_tx.reasoning.erasure import Eraser, erase, erase_words, eraser, erasers, guardedness
from tinygrad_tx.reasoning.fact_edit import Wish, edit_fact, edit_facts, key_covariance
from tinygrad_tx.reasoning.fact_effects import FactEffects, fact_effects
from tinygrad_tx.reasoning.look import Activations, capture, gradients, intervene, look, points
from tinygrad_tx.reasoning.mending import Mending, mend
from tinygrad_tx.reasoning.mending_picture import mending_picture, write_mending
from tinygrad_tx.reasoning.planted import Training, planted_checks, planted_truth, trained_on
from tinygrad_tx.reasoning.planted_mending import PlantedControls
from tinygrad_tx.reasoning.point import Point
from tinygrad_tx.reasoning.report import Report, report
from tinygrad_tx.reasoning.side_effects import SideEffect, right_answers, text_losses
from tinygrad_tx.reasoning.steering import choose_steering, steer, steering_vector, steering_vectors
from tinygrad_tx.reasoning.sweep import sweep
from tinygrad_tx.reasoning.table import Table

__all__ = [
    "Activations",
    "Audit",
    "Carriers",
    "Change",
    "Changed",
    "Check",
    "Constrained",
    "Continuations",
    "Edit",
    "Effect",
    "Eraser",
    "FactEffects",
    "Mending",
    "PlantedControls",
    "Point",
    "Report",
    "SideEffect",
    "Table",
    "Trace",
    "Training",
    "Where",
    "Wish",
    "ablate",
    "ablations",
    "add",
    "bias_audit",
    "capture",
    "causal_trace",
    "choose_steering",
    "compare_audits",
    "counterfactual_finetune",
    "counterfactual_text",
    "edit_fact",
    "edit_facts",
    "erase",
    "erase_words",
    "eraser",
    "erasers",
    "fact_effects",
    "find_carriers",
    "gradients",
    "guardedness",
    "intervene",
    "key_covariance",
    "look",
    "mend",
    "mending_picture",
    "over_models",
    "planted_checks",
    "planted_truth",
    "points",
    "replace",
    "report",
    "right_answers",
    "scale",
    "steer",
    "steering_vector",
    "steering_vectors",
    "sweep",
    "text_losses",
    "trained_on",
    "write_mending",
    "zero",
]
