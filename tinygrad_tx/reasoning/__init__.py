"""Understanding a model: look inside, change, explain, find a defect and mend it."""

from tinygrad_tx.reasoning.ablate import ablate, ablations
from tinygrad_tx.reasoning.association import Association, Leaning, hidden_means, weat, word_vectors
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
from tinygrad_tx.reasoning.defects import Defects, defects
from tinygrad_tx.reasoning.exposure import Exposure, exposure
from tinygrad_tx.reasoning.forest import forest, write_audit
from tinygrad_tx.reasoning.group_errors import GroupErrors, calibration_error
from tinygrad_tx.reasoning.look import (
    Activations,
    capture,
    gradients,
    intervene,
    look,
    points,
)
from tinygrad_tx.reasoning.memorised import Memorised, memorised
from tinygrad_tx.reasoning.not_finite import NotFinite, not_finite
from tinygrad_tx.reasoning.planted import (
    Training,
    classifier_on,
    planted_checks,
    planted_truth,
    trained_on,
)
from tinygrad_tx.reasoning.point import Point
from tinygrad_tx.reasoning.report import Report, report
from tinygrad_tx.reasoning.shortcuts import Shortcuts, shortcut_tokens
from tinygrad_tx.reasoning.slices import Slices, classified_by, failing_slices
from tinygrad_tx.reasoning.standard_checks import embedding_checks, pronoun_checks
from tinygrad_tx.reasoning.sweep import sweep
from tinygrad_tx.reasoning.table import Table
from tinygrad_tx.reasoning.templates import Sensitivity, template_sensitivity

__all__ = [
    "Activations",
    "Association",
    "Audit",
    "Change",
    "Changed",
    "Check",
    "Continuations",
    "Defects",
    "Effect",
    "Exposure",
    "GroupErrors",
    "Leaning",
    "Memorised",
    "NotFinite",
    "Point",
    "Report",
    "Sensitivity",
    "Shortcuts",
    "Slices",
    "Table",
    "Training",
    "Where",
    "ablate",
    "ablations",
    "add",
    "bias_audit",
    "calibration_error",
    "capture",
    "classified_by",
    "classifier_on",
    "compare_audits",
    "defects",
    "embedding_checks",
    "exposure",
    "failing_slices",
    "forest",
    "gradients",
    "hidden_means",
    "intervene",
    "look",
    "memorised",
    "not_finite",
    "over_models",
    "planted_checks",
    "planted_truth",
    "points",
    "pronoun_checks",
    "replace",
    "report",
    "scale",
    "shortcut_tokens",
    "sweep",
    "template_sensitivity",
    "trained_on",
    "weat",
    "word_vectors",
    "write_audit",
    "zero",
]
