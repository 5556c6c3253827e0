"""Understanding a model: look inside, change, explain, find a defect and mend it."""

from tinygrad_tx.reasoning.ablate import ablate, ablations
from tinygrad_tx.reasoning.association import Association, Leaning, hidden_means, weat, word_vectors
from tinygrad_tx.reasoning.attention_maps import (
    AttentionPatterns,
    Followed,
    attention_flow,
    attention_patterns,
    attention_rollout,
)
from tinygrad_tx.reasoning.attribution import (
    Attribution,
    HeadAttribution,
    gradient_x_input,
    head_attribution,
    integrated_gradients,
    occlusion,
)
from tinygrad_tx.reasoning.audit import (
    Audit,
    Check,
    Effect,
    bias_audit,
    compare_audits,
    over_models,
)
from tinygrad_tx.reasoning.calibration import (
    Answers,
    Calibrated,
    Calibration,
    Temperature,
    calibrate,
    calibration,
    next_tokens,
    temperature_scaling,
)
from tinygrad_tx.reasoning.carriers import Carriers, find_carriers
from tinygrad_tx.reasoning.causal_trace import Trace, causal_trace
from tinygrad_tx.reasoning.change import Change, Where, add, replace, scale, zero
from tinygrad_tx.reasoning.changed import Changed
from tinygrad_tx.reasoning.circuit import Circuit, discover_circuit
from tinygrad_tx.reasoning.circuit_drawing import draw_circuit, draw_faithfulness
from tinygrad_tx.reasoning.constrained import Constrained
from tinygrad_tx.reasoning.continuations import Continuations
from tinygrad_tx.reasoning.counterfactual import counterfactual_finetune, counterfactual_text
from tinygrad_tx.reasoning.defects import Defects, defects
from tinygrad_tx.reasoning.direct import (
    DirectAttribution,
    completeness,
    direct_attribution,
    head_outputs,
)
from tinygrad_tx.reasoning.edges import EdgeEffects, edge_attribution
from tinygrad_tx.reasoning.edit import Edit
from tinygrad_tx.reasoning.erasure import Eraser, erase, erase_words, eraser, erasers, guardedness
from tinygrad_tx.reasoning.exposure import Exposure, exposure
from tinygrad_tx.reasoning.fact_edit import Wish, edit_fact, edit_facts, key_covariance
from tinygrad_tx.reasoning.fact_effects import FactEffects, fact_effects
from tinygrad_tx.reasoning.faithfulness import Faithfulness, MethodFaithfulness, faithfulness
from tinygrad_tx.reasoning.forest import forest, write_audit
from tinygrad_tx.reasoning.group_errors import GroupErrors, calibration_error
from tinygrad_tx.reasoning.heads import HeadScores, induction_scores
from tinygrad_tx.reasoning.lens import Lens, logit_lens
from tinygrad_tx.reasoning.look import Activations, capture, gradients, intervene, look, points
from tinygrad_tx.reasoning.memorised import Memorised, memorised
from tinygrad_tx.reasoning.mending import Mending, mend
from tinygrad_tx.reasoning.mending_picture import mending_picture, write_mending
from tinygrad_tx.reasoning.metric import LogitDifference
from tinygrad_tx.reasoning.neurons import Example, Neurons, neurons
from tinygrad_tx.reasoning.not_finite import NotFinite, not_finite
from tinygrad_tx.reasoning.oracle import Oracle, exact_circuit
from tinygrad_tx.reasoning.patching import Patching, activation_patching, attribution_patching
from tinygrad_tx.reasoning.paths import PathEffect, edge_patching, path_patching
from tinygrad_tx.reasoning.pictures import picture_bytes
from tinygrad_tx.reasoning.planted import (
    Training,
    classifier_on,
    planted_checks,
    planted_truth,
    trained_on,
)
from tinygrad_tx.reasoning.planted_circuits import (
    Planted,
    planted_copy,
    planted_gate,
    planted_induction,
)
from tinygrad_tx.reasoning.planted_mending import PlantedControls, planted_mending
from tinygrad_tx.reasoning.point import Point
from tinygrad_tx.reasoning.probes import Probe, Probes, probe
from tinygrad_tx.reasoning.randomised import Cascade, cascade
from tinygrad_tx.reasoning.report import Report, report
from tinygrad_tx.reasoning.selective import Selective, selective
from tinygrad_tx.reasoning.shortcuts import Shortcuts, shortcut_tokens
from tinygrad_tx.reasoning.side_effects import SideEffect, right_answers, text_losses
from tinygrad_tx.reasoning.slices import Slices, classified_by, failing_slices
from tinygrad_tx.reasoning.standard_checks import embedding_checks, pronoun_checks
from tinygrad_tx.reasoning.steering import choose_steering, steer, steering_vector, steering_vectors
from tinygrad_tx.reasoning.sweep import sweep
from tinygrad_tx.reasoning.table import Table
from tinygrad_tx.reasoning.target import Target
from tinygrad_tx.reasoning.templates import Sensitivity, template_sensitivity
from tinygrad_tx.reasoning.tuned_lens import TunedLens, Tuning, train_tuned_lens

__all__ = [
    "Activations",
    "Answers",
    "Association",
    "AttentionPatterns",
    "Attribution",
    "Audit",
    "Calibrated",
    "Calibration",
    "Carriers",
    "Cascade",
    "Change",
    "Changed",
    "Check",
    "Circuit",
    "Constrained",
    "Continuations",
    "Defects",
    "DirectAttribution",
    "EdgeEffects",
    "Edit",
    "Effect",
    "Eraser",
    "Example",
    "Exposure",
    "FactEffects",
    "Faithfulness",
    "Followed",
    "GroupErrors",
    "HeadAttribution",
    "HeadScores",
    "Leaning",
    "Lens",
    "LogitDifference",
    "Memorised",
    "Mending",
    "MethodFaithfulness",
    "Neurons",
    "NotFinite",
    "Oracle",
    "Patching",
    "PathEffect",
    "Planted",
    "PlantedControls",
    "Point",
    "Probe",
    "Probes",
    "Report",
    "Selective",
    "Sensitivity",
    "Shortcuts",
    "SideEffect",
    "Slices",
    "Table",
    "Target",
    "Temperature",
    "Trace",
    "Training",
    "TunedLens",
    "Tuning",
    "Where",
    "Wish",
    "ablate",
    "ablations",
    "activation_patching",
    "add",
    "attention_flow",
    "attention_patterns",
    "attention_rollout",
    "attribution_patching",
    "bias_audit",
    "calibrate",
    "calibration",
    "calibration_error",
    "capture",
    "cascade",
    "causal_trace",
    "choose_steering",
    "classified_by",
    "classifier_on",
    "compare_audits",
    "completeness",
    "counterfactual_finetune",
    "counterfactual_text",
    "defects",
    "direct_attribution",
    "discover_circuit",
    "draw_circuit",
    "draw_faithfulness",
    "edge_attribution",
    "edge_patching",
    "edit_fact",
    "edit_facts",
    "embedding_checks",
    "erase",
    "erase_words",
    "eraser",
    "erasers",
    "exact_circuit",
    "exposure",
    "fact_effects",
    "failing_slices",
    "faithfulness",
    "find_carriers",
    "forest",
    "gradient_x_input",
    "gradients",
    "guardedness",
    "head_attribution",
    "head_outputs",
    "hidden_means",
    "induction_scores",
    "integrated_gradients",
    "intervene",
    "key_covariance",
    "logit_lens",
    "look",
    "memorised",
    "mend",
    "mending_picture",
    "neurons",
    "next_tokens",
    "not_finite",
    "occlusion",
    "over_models",
    "path_patching",
    "picture_bytes",
    "planted_checks",
    "planted_copy",
    "planted_gate",
    "planted_induction",
    "planted_mending",
    "planted_truth",
    "points",
    "probe",
    "pronoun_checks",
    "replace",
    "report",
    "right_answers",
    "scale",
    "selective",
    "shortcut_tokens",
    "steer",
    "steering_vector",
    "steering_vectors",
    "sweep",
    "temperature_scaling",
    "template_sensitivity",
    "text_losses",
    "train_tuned_lens",
    "trained_on",
    "weat",
    "word_vectors",
    "write_audit",
    "write_mending",
    "zero",
]
