"""Understanding a model: look inside, change, explain, find a defect and mend it."""

from tinygrad_tx.reasoning.ablate import ablate, ablations
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
from tinygrad_tx.reasoning.change import Change, Where, add, replace, scale, zero
from tinygrad_tx.reasoning.changed import Changed
from tinygrad_tx.reasoning.direct import (
    DirectAttribution,
    completeness,
    direct_attribution,
    head_outputs,
)
from tinygrad_tx.reasoning.heads import HeadScores, induction_scores
from tinygrad_tx.reasoning.lens import Lens, logit_lens
from tinygrad_tx.reasoning.look import (
    Activations,
    capture,
    gradients,
    intervene,
    look,
    points,
)
from tinygrad_tx.reasoning.pictures import picture_bytes
from tinygrad_tx.reasoning.point import Point
from tinygrad_tx.reasoning.sweep import sweep
from tinygrad_tx.reasoning.table import Table
from tinygrad_tx.reasoning.target import Target
from tinygrad_tx.reasoning.tuned_lens import TunedLens, Tuning, train_tuned_lens

__all__ = [
    "Activations",
    "AttentionPatterns",
    "Attribution",
    "Change",
    "Changed",
    "DirectAttribution",
    "Followed",
    "HeadAttribution",
    "HeadScores",
    "Lens",
    "Point",
    "Table",
    "Target",
    "TunedLens",
    "Tuning",
    "Where",
    "ablate",
    "ablations",
    "add",
    "attention_flow",
    "attention_patterns",
    "attention_rollout",
    "capture",
    "completeness",
    "direct_attribution",
    "gradient_x_input",
    "gradients",
    "head_attribution",
    "head_outputs",
    "induction_scores",
    "integrated_gradients",
    "intervene",
    "logit_lens",
    "look",
    "occlusion",
    "picture_bytes",
    "points",
    "replace",
    "scale",
    "sweep",
    "train_tuned_lens",
    "zero",
]
