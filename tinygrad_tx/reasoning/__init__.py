"""Understanding a model: look inside, change, explain, find a defect and mend it."""

from tinygrad_tx.reasoning.ablate import ablate, ablations
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
from tinygrad_tx.reasoning.change import Change, Where, add, replace, scale, zero
from tinygrad_tx.reasoning.changed import Changed
from tinygrad_tx.reasoning.faithfulness import Faithfulness, MethodFaithfulness, faithfulness
from tinygrad_tx.reasoning.look import (
    Activations,
    capture,
    gradients,
    intervene,
    look,
    points,
)
from tinygrad_tx.reasoning.neurons import Example, Neurons, neurons
from tinygrad_tx.reasoning.point import Point
from tinygrad_tx.reasoning.probes import Probe, Probes, probe
from tinygrad_tx.reasoning.randomised import Cascade, cascade
from tinygrad_tx.reasoning.selective import Selective, selective
from tinygrad_tx.reasoning.sweep import sweep

__all__ = [
    "Activations",
    "Answers",
    "Calibrated",
    "Calibration",
    "Cascade",
    "Change",
    "Changed",
    "Example",
    "Faithfulness",
    "MethodFaithfulness",
    "Neurons",
    "Point",
    "Probe",
    "Probes",
    "Selective",
    "Temperature",
    "Where",
    "ablate",
    "ablations",
    "add",
    "calibrate",
    "calibration",
    "capture",
    "cascade",
    "faithfulness",
    "gradients",
    "intervene",
    "look",
    "neurons",
    "next_tokens",
    "points",
    "probe",
    "replace",
    "scale",
    "selective",
    "sweep",
    "temperature_scaling",
    "zero",
]
