"""Understanding a model: look inside, change, explain, find a defect and mend it.

Read point.py and look.py (a value inside by its name), change.py and sweep.py (that value
changed, many times); on these stand the folders explain, circuits, audits, mending, trust and
report.
"""

from tinygrad_tx.missing import of_package
from tinygrad_tx.plots import picture_bytes
from tinygrad_tx.reasoning.ablate import ablate, ablations
from tinygrad_tx.reasoning.audits.association import (
    Association,
    Leaning,
    hidden_means,
    weat,
    word_vectors,
)
from tinygrad_tx.reasoning.audits.audit import (
    Audit,
    Check,
    Effect,
    bias_audit,
    compare_audits,
    over_models,
)
from tinygrad_tx.reasoning.audits.continuations import Continuations
from tinygrad_tx.reasoning.audits.defects import Defects, defects
from tinygrad_tx.reasoning.audits.exposure import Exposure, exposure
from tinygrad_tx.reasoning.audits.forest import forest, write_audit
from tinygrad_tx.reasoning.audits.group_errors import GroupErrors, calibration_error
from tinygrad_tx.reasoning.audits.memorised import Memorised, memorised
from tinygrad_tx.reasoning.audits.not_finite import NotFinite, not_finite
from tinygrad_tx.reasoning.audits.planted import (
    Training,
    classifier_on,
    planted_checks,
    planted_truth,
    trained_on,
)
from tinygrad_tx.reasoning.audits.shortcuts import Shortcuts, shortcut_tokens
from tinygrad_tx.reasoning.audits.slices import Slices, classified_by, failing_slices
from tinygrad_tx.reasoning.audits.standard_checks import embedding_checks, pronoun_checks
from tinygrad_tx.reasoning.audits.templates import Sensitivity, template_sensitivity
from tinygrad_tx.reasoning.change import Change, Where, add, replace, scale, zero
from tinygrad_tx.reasoning.changed import Changed
from tinygrad_tx.reasoning.circuits.circuit import Circuit, discover_circuit
from tinygrad_tx.reasoning.circuits.circuit_drawing import draw_circuit, draw_faithfulness
from tinygrad_tx.reasoning.circuits.edges import EdgeEffects, edge_attribution
from tinygrad_tx.reasoning.circuits.metric import LogitDifference
from tinygrad_tx.reasoning.circuits.oracle import Oracle, exact_circuit
from tinygrad_tx.reasoning.circuits.patching import (
    Patching,
    activation_patching,
    attribution_patching,
)
from tinygrad_tx.reasoning.circuits.paths import PathEffect, edge_patching, path_patching
from tinygrad_tx.reasoning.circuits.planted_circuits import (
    Planted,
    planted_copy,
    planted_gate,
    planted_induction,
)
from tinygrad_tx.reasoning.explain.attention_maps import (
    AttentionPatterns,
    Followed,
    attention_flow,
    attention_patterns,
    attention_rollout,
)
from tinygrad_tx.reasoning.explain.attribution import (
    Attribution,
    HeadAttribution,
    gradient_x_input,
    head_attribution,
    integrated_gradients,
    occlusion,
)
from tinygrad_tx.reasoning.explain.direct import (
    DirectAttribution,
    completeness,
    direct_attribution,
    head_outputs,
)
from tinygrad_tx.reasoning.explain.heads import HeadScores, induction_scores
from tinygrad_tx.reasoning.explain.lens import Lens, logit_lens
from tinygrad_tx.reasoning.explain.target import Target
from tinygrad_tx.reasoning.explain.tuned_lens import TunedLens, Tuning, train_tuned_lens
from tinygrad_tx.reasoning.look import Activations, capture, gradients, intervene, look, points
from tinygrad_tx.reasoning.mending.carriers import Carriers, find_carriers
from tinygrad_tx.reasoning.mending.causal_trace import Trace, causal_trace
from tinygrad_tx.reasoning.mending.constrained import Constrained
from tinygrad_tx.reasoning.mending.counterfactual import (
    counterfactual_finetune,
    counterfactual_text,
)
from tinygrad_tx.reasoning.mending.edit import Edit
from tinygrad_tx.reasoning.mending.erasure import (
    Eraser,
    erase,
    erase_words,
    eraser,
    erasers,
    guardedness,
)
from tinygrad_tx.reasoning.mending.fact_edit import Wish, edit_fact, edit_facts, key_covariance
from tinygrad_tx.reasoning.mending.fact_effects import FactEffects, fact_effects
from tinygrad_tx.reasoning.mending.mending import Mending, mend
from tinygrad_tx.reasoning.mending.mending_picture import mending_picture, write_mending
from tinygrad_tx.reasoning.mending.planted_mending import (
    PlantedControls,
    planted_mending,
    planted_side_effects,
    unseen_checks,
)
from tinygrad_tx.reasoning.mending.side_effects import SideEffect, right_answers, text_losses
from tinygrad_tx.reasoning.mending.steering import (
    choose_steering,
    steer,
    steering_vector,
    steering_vectors,
)
from tinygrad_tx.reasoning.point import Point
from tinygrad_tx.reasoning.report import Report, report
from tinygrad_tx.reasoning.sweep import sweep
from tinygrad_tx.reasoning.trust.calibration import (
    Answers,
    Calibrated,
    Calibration,
    Temperature,
    calibrate,
    calibration,
    next_tokens,
    temperature_scaling,
)
from tinygrad_tx.reasoning.trust.dictionary import Dictionary, learn_dictionary
from tinygrad_tx.reasoning.trust.faithfulness import Faithfulness, MethodFaithfulness, faithfulness
from tinygrad_tx.reasoning.trust.influence import Influence, influence
from tinygrad_tx.reasoning.trust.methods import explanations, which_to_trust
from tinygrad_tx.reasoning.trust.neurons import Example, Neurons, neurons
from tinygrad_tx.reasoning.trust.probes import Probe, Probes, probe
from tinygrad_tx.reasoning.trust.randomised import Cascade, cascade
from tinygrad_tx.reasoning.trust.selective import Selective, selective
from tinygrad_tx.reasoning.trust.sparse_autoencoder import SparseAutoencoder, train_autoencoder
from tinygrad_tx.table import Table

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
    "Dictionary",
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
    "Influence",
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
    "SparseAutoencoder",
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
    "explanations",
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
    "influence",
    "integrated_gradients",
    "intervene",
    "key_covariance",
    "learn_dictionary",
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
    "planted_side_effects",
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
    "train_autoencoder",
    "train_tuned_lens",
    "trained_on",
    "unseen_checks",
    "weat",
    "which_to_trust",
    "word_vectors",
    "write_audit",
    "write_mending",
    "zero",
]


__getattr__ = of_package(__name__, __all__)
